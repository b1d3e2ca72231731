"""Questions with their contexts as token ids: long contexts in windows that overlap.

The question comes first and is whole in each window; only the context is cut. Windows and targets
are those of run_qa.py, and so is the order of what is kept of them. Positions of tokens become
characters of the context once, when predictions are joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Encoded, Ragged
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.tasks.question_answering.rows import Asked
from tunesmith.text import shortened

__all__ = ["Frame", "encode_asked"]


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens around question and context, and the types of all tokens.

    Attributes:
        ids: before the question, between both, and after the context.
        types: of these tokens, then of those of question and context.
    """

    ids: tuple[Sequence[int], Sequence[int], Sequence[int]]
    types: tuple[Sequence[int], Sequence[int], Sequence[int]]
    content: tuple[int, int]

    @classmethod
    def of(cls, tokenizer: Any) -> Frame:
        """Return what a tokenizer puts around two texts."""
        pair = tokenizer.backend_tokenizer.encode("a", "b")
        places: list[list[int]] = [
            [i for i, owner in enumerate(pair.sequence_ids) if owner == number] for number in (0, 1)
        ]
        borders = (0, places[0][0], places[0][-1] + 1, places[1][0], places[1][-1] + 1, len(pair))
        parts = [slice(borders[i], borders[i + 1]) for i in (0, 2, 4)]
        ids, types = (
            (all_[parts[0]], all_[parts[1]], all_[parts[2]]) for all_ in (pair.ids, pair.type_ids)
        )
        content = (pair.type_ids[places[0][0]], pair.type_ids[places[1][0]])
        return cls(ids, types, content)

    def __len__(self) -> int:
        return sum(map(len, self.ids))


@dataclass
class _Columns:
    """What is encoded so far."""

    ids: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    targets: list[tuple[int, int]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)
    spans: list[NDArray[np.int32]] = field(default_factory=list)


def encode_asked(
    questions: Sequence[Asked],
    rows: Sequence[int],
    tokenizer: Any,
    max_length: int,
    *,
    stride: int,
    labeled: bool,
) -> Encoded:
    """Tokenize questions with their contexts; a long context gives several examples.

    Args:
        questions: with their contexts; the first answer of each is the target.
        rows: the index of the row of each.
        tokenizer: a fast one.
        max_length: tokens of a window.
        stride: tokens by which windows overlap, if they are longer.
        labeled: whether rows have answers.

    Returns:
        With "labels", the first and the last token of the answer, (n, 2); the first token of all
        where a window does not hold it. Aside, "window" is the place of its first token of the
        context, the number of that among those of the context, and how many follow, and "spans"
        where the tokens of a whole context are, with its first window.

    Raises:
        DataError: a question takes more than half of a window (D354).
    """
    backend, frame = tokenizer.backend_tokenizer, Frame.of(tokenizer)
    firsts = backend.encode_batch(
        [one.question.lstrip() for one in questions], add_special_tokens=False
    )
    texts = list(dict.fromkeys(one.context for one in questions))  # several questions have one
    encodings = backend.encode_batch(texts, add_special_tokens=False)
    contexts = {
        text: (encoding.ids, _trimmed(text, encoding.offsets))
        for text, encoding in zip(texts, encodings, strict=True)
    }
    columns = _Columns()
    for one, row, question in zip(questions, rows, firsts, strict=True):
        context_ids, spans = contexts[one.context]
        size = max_length - len(frame) - len(question)
        if 2 * len(question) > max_length or size < 1:
            raise DataError(_too_long(one, row, len(question), max_length))
        target = _target(one, spans) if labeled else None
        head = [*frame.ids[0], *question.ids, *frame.ids[1]]
        first = len(head)
        head_types = [*frame.types[0], *[frame.content[0]] * len(question), *frame.types[1]]
        for start, stop in _windows(len(context_ids), size, stride):
            columns.ids += [*head, *context_ids[start:stop], *frame.ids[2]]
            columns.types += [*head_types, *[frame.content[1]] * (stop - start), *frame.types[2]]
            columns.lengths.append(first + stop - start + len(frame.ids[2]))
            columns.rows.append(row)
            columns.places.append((first, start, stop - start))
            columns.spans.append(spans if start == 0 else spans[:0])
            if target is not None and start <= target[0] and target[1] < stop:
                columns.targets.append((first + target[0] - start, first + target[1] - start))
            else:
                columns.targets.append((0, 0))
    return _encoded(columns, tokenizer, labeled=labeled)


def _encoded(columns: _Columns, tokenizer: Any, *, labeled: bool) -> Encoded:
    lengths = np.array(columns.lengths, dtype=np.int64)
    narrow = np.uint16 if len(tokenizer) <= 1 << 16 else np.int32
    ragged = {"input_ids": Ragged(np.array(columns.ids, dtype=narrow), lengths)}
    if "token_type_ids" in tokenizer.model_input_names:
        ragged["token_type_ids"] = Ragged(np.array(columns.types, dtype=np.uint8), lengths)
    fixed = {"labels": np.array(columns.targets, dtype=np.int32).reshape(-1, 2)} if labeled else {}
    spans = np.concatenate([np.zeros((0, 2), np.int32), *columns.spans])
    aside = {
        "window": Ragged(
            np.array(columns.places, dtype=np.int32).reshape(-1), np.full(len(lengths), 3)
        ),
        "spans": Ragged(spans.reshape(-1), np.array([2 * len(one) for one in columns.spans])),
    }
    return Encoded(ragged, fixed, np.array(columns.rows, dtype=np.int64), lengths, aside=aside)


def _windows(count: int, size: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield the tokens of each window; the last one may be short."""
    step = size - (stride if stride < size else size // 2)
    start = 0
    while True:
        stop = min(start + size, count)
        yield start, stop
        if stop == count:
            return
        start += step


def _trimmed(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """Return where tokens are, without white space at their ends, shape (n, 2)."""
    spans = np.array(offsets, dtype=np.int32).reshape(-1, 2)
    for i, (start, end) in enumerate(offsets):
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            inside = text[start:end]
            first = end - len(inside.lstrip())
            spans[i] = first, first + len(inside.strip())
    return spans


def _target(row: Asked, spans: NDArray[np.int32]) -> tuple[int, int] | None:
    """Return the first and the last token of the answer; None if no tokens hold all of it."""
    if not row.answers or not len(spans):
        return None
    answer = row.answers[0]
    text = answer.text.strip()
    start = answer.start + answer.text.index(text)
    first = int(np.searchsorted(spans[:, 0], start, side="right")) - 1
    last = int(np.searchsorted(spans[:, 1], start + len(text), side="left"))
    return (first, last) if 0 <= first <= last < len(spans) else None


def _too_long(one: Asked, row: int, count: int, max_length: int) -> Problem:
    message = _('the question has {count} tokens, more than half of {limit}: "{text}"')
    return Problem(
        "D354",
        message.format(count=count, limit=max_length, text=shortened(one.question)),
        Place("", row=row),
        fix=_("Shorten it, or raise train.max_length as far as the model allows."),
    )
