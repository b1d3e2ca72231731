"""Hiding words in a plain script: the draw of `tunesmith.tasks.masking`, in numpy."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, stacked
from tunesmith.interop.eject.run_facts import Facts

__all__ = ["masks_cell"]

_CHANCE = """\
def mixed(z):
    with np.errstate(over="ignore"):
        z = np.atleast_1d(z).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def seed_of(*numbers):
    state = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        state = mixed(state ^ mixed(np.uint64(number)))
    return int(state[0])


def uniform(seed, *places):
    state = np.full((1, 1), seed_of(seed), dtype=np.uint64)
    for numbers in places:
        state = mixed(state ^ mixed(numbers))
    return (state >> np.uint64(11)) * 2.0**-53
"""

_ALWAYS_MASK = """\
ways = [way for word in ALWAYS_MASK for way in (word, f" {word}")]
spelt = [tokenizer.encode(way, add_special_tokens=False) for way in ways]


def named(ids, words):
    found = np.zeros(ids.shape, dtype=bool)
    for tokens, numbers, marks in zip(ids.tolist(), words.tolist(), found):
        ends = [True, *(one != two for one, two in zip(numbers, numbers[1:])), True]
        for pieces in filter(None, spelt):
            for start in range(len(tokens) - len(pieces) + 1):
                stop = start + len(pieces)
                if tokens[start:stop] == pieces and ends[start] and ends[stop]:
                    marks[start:stop] = True
    return found & (words > 0)
"""


def masks_cell(facts: Facts) -> Cell:
    """`hide`, which hides words of a batch and makes labels of what stood there."""
    options = facts.recipe.options
    whole, always = bool(options["whole_word_mask"]), bool(options["always_mask"])
    hide = block(
        "def hide(batch, seed):",
        '    ids, words = batch["input_ids"].cpu().numpy(), batch.pop("words").cpu().numpy()',
        "    places = np.arange(ids.shape[1], dtype=np.uint64)[None, :]",
        "    each = mixed(ids.astype(np.uint64) ^ (places << np.uint64(32)))",
        "    text = np.where(words > 0, each, np.uint64(0)).sum(axis=1, keepdims=True)",
        f"    chance = uniform(seed, text, {'words' if whole else 'places'})",
        "    chance[words == 0] = 2.0",
        "    lowest = chance.min(axis=1, keepdims=True)",
        always and "    always = named(ids, words)",
        always and "    lowest[always.any(axis=1)] = -1.0  # asked for by name, needs no other",
        "    chosen = ((chance < MLM_PROBABILITY) | (chance == lowest)) & (words > 0)",
        always and "    chosen = chosen | always",
        "    fate = np.where(always, 0.0, uniform(seed + 1, text, places))"
        if always
        else "    fate = uniform(seed + 1, text, places)",
        "    other = (uniform(seed + 2, text, places) * len(tokenizer)).astype(np.int64)",
        "    shown = np.where(fate < 0.9, other, ids)",
        "    shown = np.where(fate < 0.8, tokenizer.mask_token_id, shown)",
        '    device = batch["input_ids"].device',
        '    batch["input_ids"] = torch.from_numpy(np.where(chosen, shown, ids)).to(device)',
        '    batch["labels"] = torch.from_numpy(np.where(chosen, ids, -100)).to(device)',
        "    return batch",
    )
    parts = [_CHANCE, *([_ALWAYS_MASK] if always else []), hide]
    words = [
        _(
            "Which tokens are hidden follows from the seed and the text alone, whatever batch it "
            "comes in: chance is a number from 0 to 1 for each place, mixed by splitmix64. Of the "
            "tokens to predict 80 % are hidden, 10 % replaced by another and 10 % left as they "
            "are; each text is asked for one at least."
        )
    ]
    return Cell(_("Hidden words"), stacked(*parts), words)
