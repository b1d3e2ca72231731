"""Long texts as code for a script: which tokens are retained, and the logits of windows pooled."""

from __future__ import annotations

from typing import Any

from tunesmith.i18n import gettext as _
from tunesmith.tasks.long_texts.options import LongTexts
from tunesmith.tasks.script_parts import ScriptCode

__all__ = ["RETAINED", "long_text_parts"]

_TAIL = """\
tokenizer.truncation_side = "left"
"""
RETAINED = """\
def both_ends(places, count):
    head = count if len(places) <= count else round(count * 128 / 510)
    return places[:head] + places[len(places) - count + head :]


def retained(owners, size):
    first, second, special = (
        [i for i, owner in enumerate(owners) if owner == one] for one in (0, 1, None)
    )
    space = size - len(special)
    one, two = len(first), len(second)
    if one <= two:
        one = min(one, max(space // 2, space - two))
        two = min(two, space - one)
    else:
        two = min(two, max(space // 2, space - one))
        one = min(one, space - two)
    return sorted(special + both_ends(first, one) + both_ends(second, two))
"""
_HEAD_TAIL = """\
def tokenize(rows):
    encoded = tokenizer({texts})
    places = [retained(encoded.sequence_ids(i), MAX_LENGTH) for i in range(len(rows[TEXT]))]
    return {{
        name: [[ids[at] for at in those] for ids, those in zip(values, places)]
        for name, values in encoded.items()
    }}
"""
_WINDOWS = """\
def windows_of(owners):
    first, second, special = (
        [i for i, owner in enumerate(owners) if owner == one] for one in (0, 1, None)
    )
    if len(owners) <= MAX_LENGTH:
        return [range(len(owners))]
    longer, other = (second, first) if len(second) > len(first) else (first, second)
    space = MAX_LENGTH - len(special)
    other = other[: space - space // 4]
    size = space - len(other)
    step = size - size // 4
    total = 1 - (size - len(longer)) // step
    count = min(total, MAX_WINDOWS)
    starts = [i * (total - 1) // max(1, count - 1) * step for i in range(count)]
    return [sorted([*special, *other, *longer[start : start + size]]) for start in starts]


def tokenize(rows):
    encoded = tokenizer({texts})
    places = [windows_of(encoded.sequence_ids(i)) for i in range(len(rows[TEXT]))]
    return {{
        name: [
            [[ids[at] for at in window] for window in windows]
            for ids, windows in zip(values, places)
        ]
        for name, values in encoded.items()
    }}
"""
_COLLATE = """\
pad = DataCollatorWithPadding(tokenizer)


def collate(rows):
    names = [name for name in rows[0] if name != "labels"]
    windows = [
        dict(zip(names, window)) for row in rows for window in zip(*(row[name] for name in names))
    ]
    owner = [i for i, row in enumerate(rows) for _window in row["input_ids"]]
    labels = torch.tensor([row["labels"] for row in rows])
    return BatchEncoding({"labels": labels, "owner": torch.tensor(owner), **pad(windows)})
"""
_POOLED = """\
forward_windows = model.forward


def forward(input_ids, attention_mask, owner, token_type_ids=None, labels=None):
    types = {{}} if token_type_ids is None else {{"token_type_ids": token_type_ids}}
    outputs = forward_windows(input_ids=input_ids, attention_mask=attention_mask, **types)
    windows, sizes = outputs.logits.float(), torch.bincount(owner)
{pool}
    loss = None if labels is None else {loss}
    return SequenceClassifierOutput(loss=loss, logits=logits)


model.forward = forward
"""
_MEAN = """\
    total = windows.new_zeros(len(sizes), windows.shape[1]).index_add(0, owner, windows)
    logits = total / sizes[:, None]"""
_MAX = """\
    logits = torch.stack([part.amax(0) for part in windows.split(sizes.tolist())])"""


def long_text_parts(long: LongTexts, loss: str, *, has_pair: bool) -> dict[str, Any]:
    """Return fields of `ScriptParts`; none if the end of a text is cut.

    Args:
        long: what becomes of long texts.
        loss: expression of the mean loss of `logits` and `labels`.
        has_pair: whether rows have two texts.
    """
    texts = "rows[TEXT], rows[TEXT_PAIR]" if has_pair else "rows[TEXT]"
    if long.long == "tail":
        note = _("Long texts lose their beginning.")
        return {"before_tokens": ScriptCode(_TAIL, (note,))}
    if long.long == "head_tail":
        note = _("A quarter of what is retained of a long text is its head, the rest its tail.")
        return {"tokenize": ScriptCode(f"{RETAINED}\n\n{_HEAD_TAIL.format(texts=texts)}", (note,))}
    if not long.in_windows:
        return {}
    notes = (
        _(
            "A long text is read in windows that overlap by a quarter; of a pair, windows slide "
            "over the longer text."
        ),
    )
    pooled = _POOLED.format(pool=_MAX if long.pooling == "max" else _MEAN, loss=loss)
    note = _("Logits of windows are pooled to those of their text, which has one loss.")
    return {
        "tokenize": ScriptCode(_WINDOWS.format(texts=texts), notes),
        "collate": ScriptCode(_COLLATE),
        "network": ScriptCode(pooled, (note,)),
    }
