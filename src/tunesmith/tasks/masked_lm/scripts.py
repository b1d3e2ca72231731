"""Script parts of masked-lm: chunks of text, the draw of `masking` in numpy, and its metrics."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.i18n import gettext as _
from tunesmith.tasks.script_parts import ScriptCode, ScriptParts

__all__ = ["masked_lm_parts"]

_ENCODE = """\
def encode(rows):
    encoded = tokenizer(
        rows[TEXT], truncation=True, max_length=MAX_LENGTH, return_overflowing_tokens=True
    )
    del encoded["overflow_to_sample_mapping"]
    encoded["words"] = [
        [0 if word is None else word + 1 for word in encoded.word_ids(i)]
        for i in range(len(encoded["input_ids"]))
    ]
    return encoded
"""
_ENCODE_PAIR = """\
def word_numbers(words, texts):
    first = max((word + 1 for word, text in zip(words, texts) if text == 0), default=0)
    return [
        0 if word is None else word + 1 + (first if text else 0) for word, text in zip(words, texts)
    ]


def encode(rows):
    encoded = tokenizer(rows[TEXT], rows[TEXT_PAIR], truncation=True, max_length=MAX_LENGTH)
    encoded["words"] = [
        word_numbers(encoded.word_ids(i), encoded.sequence_ids(i))
        for i in range(len(encoded["input_ids"]))
    ]
    return encoded
"""
_COLLATE = """

data = raw.map(encode, batched=True, remove_columns=COLUMNS)
data = data.filter(lambda row: any(row["words"]))


def collate(rows):
    numbers = [row.pop("words") for row in rows]
    batch = tokenizer.pad(rows, return_tensors="pt")
    width = batch["input_ids"].shape[1]
    batch["words"] = torch.tensor([row + [0] * (width - len(row)) for row in numbers])
    return batch
"""
_RANDOM = """\
def splitmix64(z):
    with np.errstate(over="ignore"):
        z = np.atleast_1d(z).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def seed_of(*numbers):
    state = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        state = splitmix64(state ^ splitmix64(np.uint64(number)))
    return int(state[0])


def uniform(seed, *keys):
    state = np.full((1, 1), seed_of(seed), dtype=np.uint64)
    for key in keys:
        state = splitmix64(state ^ splitmix64(key))
    return (state >> np.uint64(11)) * 2.0**-53


"""
_ALWAYS = """\
spellings = [spelling for word in ALWAYS_MASK for spelling in (word, f" {word}")]
always_tokens = [tokenizer.encode(text, add_special_tokens=False) for text in spellings]


def find_always(ids, words):
    is_always = np.zeros(ids.shape, dtype=bool)
    for tokens, numbers, marks in zip(ids.tolist(), words, is_always):
        is_edge = [True, *(numbers[1:] != numbers[:-1]), True]
        for pieces in filter(None, always_tokens):
            for start in range(len(tokens) - len(pieces) + 1):
                stop = start + len(pieces)
                if tokens[start:stop] == pieces and is_edge[start] and is_edge[stop]:
                    marks[start:stop] = True
    return is_always & (words > 0)


"""
_CORRUPT = """\
def corrupt(batch, seed):
    ids, words = batch["input_ids"].cpu().numpy(), batch.pop("words").cpu().numpy()
    positions = np.arange(ids.shape[1], dtype=np.uint64)[None, :]
    each = splitmix64(ids.astype(np.uint64) ^ (positions << np.uint64(32)))
    text = np.where(words > 0, each, np.uint64(0)).sum(axis=1, keepdims=True)
    draws = uniform(seed, text, {unit})
    draws[words == 0] = 2.0
    lowest = draws.min(axis=1, keepdims=True)
    is_target = ((draws < MLM_PROBABILITY) | (draws == lowest)) & (words > 0)
    fate = uniform(seed + 1, text, positions)
    other = (uniform(seed + 2, text, positions) * len(tokenizer)).astype(np.int64)
    shown = np.where(fate < 0.9, other, ids)
    shown = np.where(fate < 0.8, tokenizer.mask_token_id, shown)
    device = batch["input_ids"].device
    batch["input_ids"] = torch.from_numpy(np.where(is_target, shown, ids)).to(device)
    batch["labels"] = torch.from_numpy(np.where(is_target, ids, -100)).to(device)
    return batch
"""
_IS_TARGET = "    is_target = ((draws < MLM_PROBABILITY) | (draws == lowest)) & (words > 0)\n"
_FATE = "    fate = uniform(seed + 1, text, positions)\n"
_STATISTICS = """\
def statistics(logits, labels):
    logits, is_target = logits.float(), labels != -100
    losses = cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    hits = (logits.argmax(-1) == labels) & is_target
    return torch.stack([losses.sum(1), hits.sum(1), is_target.sum(1)], dim=1)
"""


def masked_lm_parts(
    *, mlm_probability: float, whole_word_mask: bool, always_mask: Sequence[str], is_pair: bool
) -> ScriptParts:
    """Return the script parts of a masked language model.

    Args:
        mlm_probability: fraction of the tokens that are predicted.
        whole_word_mask: whether all pieces of a word are masked together.
        always_mask: words that are masked wherever they occur.
        is_pair: whether two texts are read together.
    """
    constants: list[tuple[str, object, str]] = [
        ("MLM_PROBABILITY", mlm_probability, _("fraction of the tokens to predict"))
    ]
    if always_mask:
        comment = _("words that are masked wherever they occur")
        constants.append(("ALWAYS_MASK", list(always_mask), comment))
    return ScriptParts(
        model_class="AutoModelForMaskedLM",
        constants=constants,
        scores="losses, hits, targets = values.astype(float).T",
        metrics={
            "perplexity": "math.exp(min(losses.sum() / targets.sum(), 700.0))",
            "token_accuracy": "hits.sum() / targets.sum()",
            "loss": "losses.sum() / targets.sum()",
        },
        loss_sum='cross_entropy(outputs.logits.transpose(1, 2), labels, reduction="sum")',
        num_targets='(batch["labels"] != -100).sum().item()',
        encode=_encode(is_pair=is_pair),
        corrupt=_corrupt(whole_word_mask=whole_word_mask, has_always=bool(always_mask)),
        statistics=ScriptCode(
            _STATISTICS,
            (
                _(
                    "Three numbers are kept of each text: its summed loss, how many tokens were "
                    "predicted correctly, and how many there were to predict."
                ),
            ),
        ),
    )


def _encode(*, is_pair: bool) -> ScriptCode:
    words = _("`words` numbers the word of each token within its text, from 1; 0 for none.")
    if is_pair:
        return ScriptCode(_ENCODE_PAIR + _COLLATE, (words,))
    chunks = _("Long texts are cut into several chunks, so that no word is lost.")
    return ScriptCode(_ENCODE + _COLLATE, (f"{chunks} {words}",))


def _corrupt(*, whole_word_mask: bool, has_always: bool) -> ScriptCode:
    code = _CORRUPT.format(unit="words" if whole_word_mask else "positions")
    if has_always:
        code = code.replace(
            _IS_TARGET,
            "    is_always = find_always(ids, words)\n"
            "    lowest[is_always.any(axis=1)] = -1.0  # one target is enough\n"
            f"{_IS_TARGET}    is_target = is_target | is_always\n",
        )
        fate = "np.where(is_always, 0.0, uniform(seed + 1, text, positions))"
        code = _ALWAYS + code.replace(_FATE, f"    fate = {fate}\n")
    note = _(
        "The masked tokens follow from the seed and the text alone, whatever the batch: each "
        "position draws a number from 0 to 1, mixed by splitmix64. Of the tokens to predict, 80 % "
        "are masked, 10 % replaced by another token and 10 % left unchanged. Each text has at "
        "least one."
    )
    return ScriptCode(_RANDOM + code, (note,))
