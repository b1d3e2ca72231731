"""Marked texts as token ids: long ones in windows, so that no entity is lost.

Windows overlap by a quarter. Each piece of a text counts in one window only, in the one where it is
farther from the ends; words are not divided. So the loss counts each piece once, and predictions of
the windows, one after the other, are those of the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import IGNORED, Examples
from tunesmith.data.encoded import Encoded, Ragged
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["OneUnit", "encode_marked", "join_windows"]

_UNSEEN = -1
_FAR = 1e4
"""A logit lower by this has no probability."""

OneUnit = Callable[[MarkedText, Sequence[tuple[int, int]]], tuple[Sequence[int], Sequence[int]]]
"""From a text and its units to the label of the first piece of each, and of its other pieces."""


@dataclass(frozen=True)
class _Pieces:
    """A text as pieces of the tokenizer, grouped to units: words, or pieces themselves.

    Attributes:
        ids: of the pieces.
        units: for each piece the number of its unit; -1 for none.
        spans: where each unit is in the text.
        heads: for each unit the piece that answers for it: its first one; -1 for units without a
            piece; or -2 minus the piece that it shares with a unit before it.
        borders: whether a window may begin at a piece.
    """

    ids: Sequence[int]
    units: Sequence[int]
    spans: Sequence[tuple[int, int]]
    heads: Sequence[int]
    borders: Sequence[bool]


@dataclass
class _Columns:
    """What is encoded so far."""

    ids: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    num_heads: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)


def encode_marked(
    texts: Sequence[MarkedText],
    rows: Sequence[int],
    tokenizer: Any,
    max_length: int,
    labels_of: OneUnit,
    *,
    by_words: bool,
) -> Encoded:
    """Tokenize texts; a long one gives several examples.

    Args:
        texts: with their entities.
        rows: the index of the row of each text.
        tokenizer: a fast one.
        max_length: tokens of a window.
        labels_of: the labels of units; those of tokens that do not count are `IGNORED`.
        by_words: whether texts without tokens are labeled by words of the tokenizer, not pieces.
    """
    backend = tokenizer.backend_tokenizer
    before, after = _special_tokens(backend)
    size = max(1, max_length - len(before) - len(after))
    columns = _Columns()
    encodings = backend.encode_batch([one.text for one in texts], add_special_tokens=False)
    for text, row, encoding in zip(texts, rows, encodings, strict=True):
        pieces = _pieces(text, encoding, by_words=by_words)
        labels = _labels(pieces, *labels_of(text, pieces.spans))
        counted = np.cumsum([0, *(label != IGNORED for label in labels)])
        windows = list(_windows(pieces, size))
        for number, (start, stop, first, last) in enumerate(windows):
            own = [IGNORED] * (first - start) + labels[first:last] + [IGNORED] * (stop - last)
            ids = [*before.ids, *pieces.ids[start:stop], *after.ids]
            columns.ids += ids
            columns.types += [*before.types, *[before.content] * (stop - start), *after.types]
            columns.labels += [IGNORED] * len(before) + own + [IGNORED] * len(after)
            columns.lengths.append(len(ids))
            columns.rows.append(row)
            heads = [_moved(head, counted) for head in pieces.heads] if number == 0 else []
            columns.heads += heads
            columns.num_heads.append(len(heads))
            columns.spans += [end for span in pieces.spans for end in span] if heads else []
    return _encoded(columns, tokenizer)


def _encoded(columns: _Columns, tokenizer: Any) -> Encoded:
    lengths = np.array(columns.lengths, dtype=np.int64)
    num_heads = np.array(columns.num_heads, dtype=np.int64)
    narrow = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    ragged = {"input_ids": Ragged(np.array(columns.ids, dtype=narrow), lengths)}
    if "token_type_ids" in tokenizer.model_input_names:
        ragged["token_type_ids"] = Ragged(np.array(columns.types, dtype=np.uint8), lengths)
    ragged["labels"] = Ragged(np.array(columns.labels, dtype=np.int16), lengths)
    aside = {
        "heads": Ragged(np.array(columns.heads, dtype=np.int32), num_heads),
        "spans": Ragged(np.array(columns.spans, dtype=np.int32), 2 * num_heads),
    }
    return Encoded(ragged, {}, np.array(columns.rows, dtype=np.int64), lengths, aside=aside)


@dataclass(frozen=True)
class _Special:
    """The special tokens on one side of a text, and the type of the text itself."""

    ids: Sequence[int]
    types: Sequence[int]
    content: int

    def __len__(self) -> int:
        return len(self.ids)


def _special_tokens(backend: Any) -> tuple[_Special, _Special]:
    """Return what a tokenizer puts before and after a text."""
    one = backend.encode("a")
    inside = [i for i, is_special in enumerate(one.special_tokens_mask) if not is_special]
    first, last = (inside[0], inside[-1] + 1) if inside else (len(one.ids), len(one.ids))
    content = one.type_ids[first] if inside else 0
    return (
        _Special(one.ids[:first], one.type_ids[:first], content),
        _Special(one.ids[last:], one.type_ids[last:], content),
    )


def _pieces(text: MarkedText, encoding: Any, *, by_words: bool) -> _Pieces:
    offsets = [_trimmed(text.text, *span) for span in encoding.offsets]
    words: list[int] = [-1 if word is None else word for word in encoding.word_ids]
    if text.has_tokens:
        units, spans = _units_of_tokens(text.words, offsets), list(text.words)
    elif by_words:
        units, spans = words, _spans_of_words(words, offsets)
    else:
        units, spans = list(range(len(offsets))), offsets
    heads = [_UNSEEN] * len(spans)
    for piece, unit in enumerate(units):
        if unit >= 0 and heads[unit] == _UNSEEN:
            heads[unit] = piece
    if text.has_tokens and _UNSEEN in heads:
        _share(heads, spans, offsets)
    groups = units if text.has_tokens else words
    borders = [i == 0 or groups[i] < 0 or groups[i] != groups[i - 1] for i in range(len(groups))]
    return _Pieces(encoding.ids, units, spans, heads, borders)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where a piece is, without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _units_of_tokens(
    words: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]
) -> list[int]:
    """Return the word in which each piece begins; one without characters is of the next word."""
    starts = [start for start, _end in words]
    units = []
    for start, end in offsets:
        unit = bisect_right(starts, start) - 1
        if unit >= 0 and start >= words[unit][1]:
            unit = unit + 1 if start == end and unit + 1 < len(words) else -1
        units.append(unit)
    return units


def _spans_of_words(
    words: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for word, (start, end) in zip(words, offsets, strict=True):
        while word >= len(spans):
            spans.append((start, start))
        if word >= 0:
            spans[word] = (spans[word][0] if spans[word][0] < spans[word][1] else start, end)
    return spans


def _share(
    heads: list[int], spans: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]]
) -> None:
    """Let words within a piece be answered by it, such as each digit of a number."""
    ends = [end for _start, end in offsets]
    for unit, head in enumerate(heads):
        start, end = spans[unit]
        if head != _UNSEEN or start == end:
            continue
        piece = bisect_right(ends, start)
        if piece < len(offsets) and offsets[piece][0] <= start:
            heads[unit] = -2 - piece


def _moved(head: int, counted: NDArray[np.int64]) -> int:
    """Return a head by its number among the pieces that count."""
    if head == _UNSEEN:
        return head
    return int(counted[head]) if head >= 0 else -2 - int(counted[-2 - head])


def _labels(pieces: _Pieces, firsts: Sequence[int], rest: Sequence[int]) -> list[int]:
    labels = []
    for piece, unit in enumerate(pieces.units):
        if unit < 0:
            labels.append(IGNORED)
        else:
            labels.append(firsts[unit] if pieces.heads[unit] == piece else rest[unit])
    return labels


def _windows(pieces: _Pieces, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each window its pieces, and those that count in it: all pieces once."""
    count = len(pieces.ids)
    step = size - size // 4
    starts = [0]
    while starts[-1] + size < count:
        starts.append(min(starts[-1] + step, count - size))
    first = 0
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        stop = min(start + size, count)
        if following is None:
            yield start, stop, first, count
            return
        middle = (following + stop + 1) // 2
        border = next((i for i in range(middle, following - 1, -1) if pieces.borders[i]), middle)
        last = max(border, first)
        yield start, stop, first, last
        first = last


def join_windows(
    logits: Ragged, examples: Examples, *, inside_of: NDArray[np.int64]
) -> tuple[Ragged, Ragged]:
    """Return the logits of each unit of each row, and where the units are.

    Args:
        logits: of the pieces that count, for each example, shape (pieces, C).
        examples: of these predictions.
        inside_of: for each label the one that continues it, itself if none does, shape (C,).
    """
    prepared = examples.prepared
    heads = prepared.aside("heads", examples.indices)
    spans = prepared.aside("spans", examples.indices)
    starts = examples.row_starts
    counted = np.add.reduceat(logits.lengths, starts) if len(starts) else logits.lengths
    counts = np.add.reduceat(heads.lengths, starts) if len(starts) else heads.lengths
    numbers = heads.flat.astype(np.int64)
    is_unseen, is_shared = numbers == _UNSEEN, numbers < _UNSEEN
    numbers[is_shared] = -2 - numbers[is_shared]
    numbers += np.repeat(counted.cumsum() - counted, counts)
    values = np.zeros((len(numbers), len(inside_of)), dtype=np.float32)
    values[~is_unseen] = logits.flat[numbers[~is_unseen]]
    values[is_unseen, 1:] = -_FAR
    for label, inside in enumerate(inside_of.tolist()):
        if label != inside:  # a word after the first of a piece continues what the piece is
            both = np.logaddexp(values[is_shared, label], values[is_shared, inside])
            values[is_shared, inside] = both
            values[is_shared, label] = -_FAR
    return Ragged(values, counts), Ragged(spans.flat.reshape(-1, 2), counts)
