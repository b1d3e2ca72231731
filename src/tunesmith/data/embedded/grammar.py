"""The grammar: statements about a kitchen, and several ways to write each.

A `Frame` is a kind of statement with slots for concepts. A `Fact` is a frame with its slots filled.
`say` writes a fact; two calls give two sentences with one meaning.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from string import Formatter
from typing import TypeVar

from tunesmith.data.embedded.frames import FRAMES, Frame
from tunesmith.data.embedded.words import Concept, Language, concepts, opposite

__all__ = [
    "Draw",
    "Fact",
    "Piece",
    "confuse",
    "distinct_rows",
    "distort",
    "join",
    "name",
    "observe",
    "say",
]

T = TypeVar("T")

_USUAL = 3.0
"""How many times as often the first word for a concept is used as each of the others."""


class Draw:
    """Seeded random choices that are the same on every machine.

    Of the generator only `random()` is used: Python promises not to change it.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def fraction(self) -> float:
        """Return a number from 0 to 1."""
        return self._random.random()

    def below(self, stop: int) -> int:
        """Return an integer from 0 to `stop` - 1."""
        return int(self._random.random() * stop)

    def pick(self, choices: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Return one of the choices."""
        if weights is None:
            return choices[self.below(len(choices))]
        at = self._random.random() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            at -= weight
            if at < 0:
                return choice
        return choices[-1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order."""
        mixed = list(items)
        for i in range(len(mixed) - 1, 0, -1):
            j = self.below(i + 1)
            mixed[i], mixed[j] = mixed[j], mixed[i]
        return mixed


def distinct_rows(
    sizes: Mapping[str, int],
    make: Callable[[], dict[str, object]],
    keys: Callable[[dict[str, object]], Collection[object]],
) -> dict[str, list[dict[str, object]]]:
    """Make the rows of each split, no two of which have a key in common.

    Args:
        sizes: rows of each split.
        make: returns the next row.
        keys: returns the keys of a row.
    """
    seen: set[object] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, size in sizes.items():
        splits[split] = []
        while len(splits[split]) < size:
            row = make()
            if seen.isdisjoint(keys(row)):
                seen.update(keys(row))
                splits[split].append(row)
    return splits


@dataclass(frozen=True, slots=True)
class Fact:
    """A frame with its slots filled, stated or denied."""

    frame: Frame
    values: Mapping[str, Concept]
    is_true: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sentence: words of the pattern, or the words of a concept."""

    text: str
    concept: Concept | None = None


def observe(draw: Draw, frame: Frame | None = None) -> Fact:
    """Return a random fact; two slots of one kind have different concepts."""
    frame = frame or draw.pick(FRAMES)
    values: dict[str, Concept] = {}
    for slot, kind in frame.slots.items():
        values[slot] = _another(kind, values, draw)
    return Fact(frame, values, frame.no is None or draw.fraction() < 0.5)


def distort(fact: Fact, draw: Draw) -> Fact:
    """Change one thing of a fact: deny it, reverse it, or change the concept in a slot."""
    frame = fact.frame
    way = "slot" if draw.fraction() < 1 / 3 else "turn"
    if way == "turn" and frame.no is not None:
        return replace(fact, is_true=not fact.is_true)
    values = dict(fact.values)
    if way == "turn" and frame.swaps is not None:
        first, second = frame.swaps
        values[first], values[second] = values[second], values[first]
        return replace(fact, values=values)
    slot = draw.pick(list(frame.slots))
    if frame.slots[slot] == "quality":
        values[slot] = opposite(values[slot])
    else:
        values[slot] = _another(frame.slots[slot], values, draw)
    return replace(fact, values=values)


def confuse(fact: Fact, draw: Draw) -> Fact:
    """Change the concepts in several slots of a fact, or in all."""
    values = dict(fact.values)
    slots = draw.shuffled(list(values))
    for slot in slots[: 2 + draw.below(max(len(slots) - 1, 1))]:
        values[slot] = _another(fact.frame.slots[slot], {**values, "": fact.values[slot]}, draw)
    return replace(fact, values=values)


def _another(kind: str, taken: Mapping[str, Concept], draw: Draw) -> Concept:
    """Return a concept of a kind that is in no slot yet."""
    while True:
        concept = draw.pick(concepts(kind))
        if concept not in taken.values():
            return concept


def say(fact: Fact, language: Language, draw: Draw) -> list[Piece]:
    """Write a fact, without capital letter and full stop."""
    patterns = fact.frame.yes if fact.is_true or fact.frame.no is None else fact.frame.no
    pieces = []
    for words, slot, form in _parts(draw.pick(patterns[language])):
        if words:
            pieces.append(Piece(words))
        if slot:
            concept = fact.values[slot]
            pieces.append(Piece(name(concept, language, draw, other_form=form == "s"), concept))
    return pieces


def name(concept: Concept, language: Language, draw: Draw, *, other_form: bool = False) -> str:
    """Return one of the names of a concept, mostly the usual one."""
    ways = concept.ways(language, other_form=other_form)
    return draw.pick(ways, [_USUAL, *[1.0] * (len(ways) - 1)])


@cache
def _parts(pattern: str) -> tuple[tuple[str, str | None, str | None], ...]:
    """Split a pattern into words, each followed by a slot and the requested form of its word."""
    return tuple((words, slot, form) for words, slot, form, _rest in Formatter().parse(pattern))


def join(sentences: Sequence[Sequence[Piece]], language: Language, draw: Draw) -> list[Piece]:
    """Join sentences, with stops between them and a capital letter at each start."""
    stop = ". " if language == "en" else "。"
    text: list[Piece] = []
    starts = True
    for i, sentence in enumerate(sentences):
        for piece in sentence:
            words = piece.text[0].upper() + piece.text[1:] if starts else piece.text
            text.append(Piece(words, piece.concept))
            starts = False
        is_last = i == len(sentences) - 1
        if is_last or draw.fraction() < 0.7:
            text.append(Piece(stop.rstrip() if is_last else stop))
            starts = True
        elif language == "en":
            text.append(Piece(draw.pick((", and ", "; ", ", also "))))
        else:
            text.append(Piece(draw.pick(("，", "；", "，另外"))))
    return text
