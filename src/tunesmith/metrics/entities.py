"""Entities in texts: from tags to spans, and their scores. No torch.

The scores are those of the script conlleval of the CoNLL shared tasks, which seqeval computes, too,
by default: an entity counts if its borders and its type are right. Sang and De Meulder,
"Introduction to the CoNLL-2003 shared task" (2003).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import Metric

__all__ = [
    "ENTITY_METRICS",
    "OUTSIDE",
    "Entity",
    "Mistake",
    "Span",
    "entities_of_tags",
    "is_exactly_right",
    "mistakes",
    "score_columns",
    "split_tag",
    "type_of",
    "word_tags",
]

OUTSIDE = "O"
"""The tag of words in no entity."""

_UNTYPED = "ENTITY"
"""The type of entities whose tags name none: "B", "I"."""
_MARKS = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
"""BIOES, and what BILOU and BMES call the same."""

Span = tuple[int, int]


class Entity(NamedTuple):
    """A marked part of a text.

    Attributes:
        start: its first character, or word.
        end: after its last one.
        label: its type.
        is_begun: whether its first tag is B-; without, it does not count strictly.
    """

    start: int
    end: int
    label: str
    is_begun: bool = True


def split_tag(tag: str) -> tuple[str, str] | None:
    """Return the mark, among B, I, E and S, and the type of a tag; None if it has no mark.

    Without a type, as in "B", all entities are of one type.
    """
    if tag in _MARKS:
        return _MARKS[tag], _UNTYPED
    mark, dash, name = tag[:1], tag[1:2], tag[2:]
    return (_MARKS[mark], name) if dash == "-" and name and mark in _MARKS else None


def type_of(tag: str) -> str:
    """Return the type of a tag, which is the tag itself without a mark."""
    mark = split_tag(tag)
    return tag if mark is None else mark[1]


def entities_of_tags(tags: Iterable[str]) -> list[Entity]:
    """Return the entities that tags mark, by positions of words.

    It reads IOB1, IOB2, BIOES, BILOU and BMES; a tag without a mark is read as I-.
    """
    entities: list[Entity] = []
    before, kind, start, begun = OUTSIDE, "", 0, True
    position = -1
    for position, tag in enumerate(tags):
        mark, name = (OUTSIDE, "") if tag == OUTSIDE else (split_tag(tag) or ("I", tag))
        if before != OUTSIDE and _is_end(before, mark, is_other=kind != name):
            entities.append(Entity(start, position, kind, begun))
        if mark != OUTSIDE and _is_start(before, mark, is_other=kind != name):
            start, begun = position, mark in "BS"
        before, kind = mark, name
    if before != OUTSIDE:
        entities.append(Entity(start, position + 1, kind, begun))
    return entities


def _is_end(before: str, mark: str, *, is_other: bool) -> bool:
    return before in "ES" or mark in ("B", "S", OUTSIDE) or is_other


def _is_start(before: str, mark: str, *, is_other: bool) -> bool:
    return mark in "BS" or before in ("E", "S", OUTSIDE) or is_other


def word_tags(words: Sequence[Span], entities: Sequence[Entity]) -> list[str]:
    """Return a tag in IOB2 for each word: that of the first entity with which it shares characters.

    Args:
        words: where each is, rising; a word may be empty.
        entities: rising, without overlaps.
    """
    tags = []
    i, begun = 0, -1
    for start, end in words:
        while i < len(entities) and entities[i].end <= start:
            i += 1
        entity = entities[i] if i < len(entities) else None
        if entity is None or entity.start >= end or (start == end and entity.start >= start):
            tags.append(OUTSIDE)
            continue
        tags.append(f"{'B' if begun != i and entity.is_begun else 'I'}-{entity.label}")
        begun = i
    return tags


class Mistake(IntEnum):
    """What is wrong with an entity."""

    TYPE = 0
    """Marked, but of another type."""
    BORDER = 1
    """Of the right type, but with other borders."""
    MISSED = 2
    """Not marked at all."""
    SPURIOUS = 3
    """Marked where there is none."""


def mistakes(
    truth: Sequence[Entity], predicted: Sequence[Entity]
) -> Iterator[tuple[Mistake, Entity | None, Entity | None]]:
    """Yield each mistake with the true entity and the marked one, where there are such.

    Entities with the same borders belong together, then those that overlap; each is used once.
    """
    right = {entity[:3] for entity in truth} & {entity[:3] for entity in predicted}
    missed = [entity for entity in truth if entity[:3] not in right]
    spurious = [entity for entity in predicted if entity[:3] not in right]
    for entity in list(missed):
        near = [one for one in spurious if one.start < entity.end and entity.start < one.end]
        if not near:
            continue
        best = max(near, key=lambda one: (one[:2] == entity[:2], one.label == entity.label))
        missed.remove(entity)
        spurious.remove(best)
        yield Mistake.BORDER if best.label == entity.label else Mistake.TYPE, entity, best
    for entity in missed:
        yield Mistake.MISSED, entity, None
    for entity in spurious:
        yield Mistake.SPURIOUS, None, entity


_PER_TYPE, _OTHERS = 5, 3
"""Columns of a type: right, marked, true; strictly right, strictly marked. Then: words with the
right tag, words, and 1 for a row without a mistake."""


def score_columns(
    types: Sequence[str],
    rows: Iterable[tuple[Sequence[Span], Sequence[Entity], Sequence[Entity]]],
) -> NDArray[np.float64]:
    """Return what the scores are computed from, shape (n, columns).

    Args:
        types: of entities; others do not count.
        rows: the words, the true and the marked entities of each.
    """
    index = {name: _PER_TYPE * i for i, name in enumerate(types)}
    width = _PER_TYPE * len(types) + _OTHERS
    columns = []
    for words, truth, predicted in rows:
        row = [0] * width
        true = {entity[:3] for entity in truth}
        for entity in truth:
            row[index[entity.label] + 2] += 1
        for entity in predicted:
            if (place := index.get(entity.label)) is None:
                continue
            is_right = entity[:3] in true
            row[place] += is_right
            row[place + 1] += 1
            row[place + 3] += is_right and entity.is_begun
            row[place + 4] += entity.is_begun
        pairs = zip(word_tags(words, truth), word_tags(words, predicted), strict=True)
        row[-3:] = [
            sum(one == other for one, other in pairs),
            len(words),
            true == {entity[:3] for entity in predicted},
        ]
        columns.append(row)
    return np.array(columns, dtype=np.float64).reshape(len(columns), width)


def is_exactly_right(columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have no mistake, shape (n,)."""
    return np.asarray(columns[:, -1] > 0)


def _by_type(columns: NDArray[Any]) -> NDArray[Any]:
    """The sums over all rows, shape (types, 5)."""
    sums = columns[:, :-_OTHERS].sum(axis=0)
    return np.asarray(sums.reshape(-1, _PER_TYPE))


def _ratio(part: Any, whole: Any) -> Any:
    """The fraction, 0 of nothing."""
    return np.divide(part, whole, out=np.zeros_like(np.asarray(part, float)), where=whole > 0)


def _precision(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    sums = _by_type(columns).sum(axis=0)
    return float(_ratio(sums[0], sums[1]))


def _recall(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    sums = _by_type(columns).sum(axis=0)
    return float(_ratio(sums[0], sums[2]))


def _f1(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    sums = _by_type(columns).sum(axis=0)
    return float(_ratio(2 * sums[0], sums[1] + sums[2]))


def _f1_strict(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    sums = _by_type(columns).sum(axis=0)
    return float(_ratio(2 * sums[3], sums[4] + sums[2]))


def _f1_macro(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    sums = _by_type(columns)
    present = sums[(sums[:, 1] > 0) | (sums[:, 2] > 0)]
    scores = _ratio(2 * present[:, 0], present[:, 1] + present[:, 2])
    return float(scores.mean()) if len(scores) else 0.0


def _accuracy(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    return float(_ratio(columns[:, -3].sum(), columns[:, -2].sum()))


ENTITY_METRICS: Mapping[str, Metric] = {
    name: Metric(name, (), function, by_example=True)
    for name, function in (
        ("f1", _f1),
        ("precision", _precision),
        ("recall", _recall),
        ("f1_macro", _f1_macro),
        ("f1_strict", _f1_strict),
        ("accuracy", _accuracy),
    )
}
"""Of all types together; `f1_macro` is the mean over types that occur, `accuracy` that of words."""
