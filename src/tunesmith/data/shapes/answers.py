"""Answers to a question in a text: as data has them, and where they are in the text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tunesmith.data.profile import as_text
from tunesmith.data.shapes.offsets import CHARACTERS, POSITIONS, Counting, cuts_a_word
from tunesmith.data.shapes.shape import nested

__all__ = [
    "Answer",
    "are_in_place",
    "are_structured",
    "occurrences",
    "read_answers",
    "similar",
    "start_of",
    "ways_of",
]

_TEXTS = ("text", "answer_text", "answer", "value")
_STARTS = ("answer_start", "answer_starts", "start", "start_position", "offset")
_NEARLY_ALL = 0.99
_LONGEST = 100_000
_ARRAY = re.compile(r"\barray\((\[.*?\])(?:, dtype=\w+)?\)", re.DOTALL)
"""As pandas writes the arrays of a table to CSV."""


class Answer(NamedTuple):
    """An answer as the data has it.

    Attributes:
        text: of the answer.
        start: where it is said to start; None if the data does not say.
    """

    text: str
    start: int | None = None


def read_answers(value: object, start: object = None) -> list[Answer] | None:
    """Return the answers of a row, none without a text; None if it is missing.

    Args:
        value: a text; an object of texts and their starts; a list of objects with a text and its
            start, or of texts; any of them also as JSON or Python write it.
        start: in a column of its own, one for each text.

    Raises:
        ValueError: it is something else.
    """
    value = _answers(value)
    if value is None:
        return None
    answers = [Answer(text, _place(begin)) for text, begin in _pairs(value, _parsed(start))]
    return [answer for answer in answers if answer.text.strip()]


def are_structured(value: object) -> bool:
    """Return whether answers are objects with a text each, or an empty list."""
    value = _answers(value)
    items = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(item, Mapping) and _key(item, _TEXTS) is not None for item in items)


def _pairs(value: object, start: object) -> Iterator[tuple[str, object]]:
    """Yield each text with its start."""
    if isinstance(value, str):
        if isinstance(start, list | tuple):
            (start,) = start
        yield value, start
    elif isinstance(value, list | tuple):
        starts = start if isinstance(start, list | tuple) else [start]
        if start is None or not starts or not value:
            starts = [None] * len(value)
        for item, begin in zip(value, starts, strict=True):
            yield from _pairs(item, begin)
    elif isinstance(value, Mapping) and (key := _key(value, _TEXTS)) is not None:
        if isinstance(value[key], Mapping):
            raise ValueError(value)
        yield from _pairs(value[key], value.get(_key(value, _STARTS) or "", start))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield as_text(value), start
    else:
        raise ValueError(value)


def _key(values: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        if key in values:
            return key
    return None


def _place(value: object) -> int | None:
    """Return a start as a number; None if it is missing, or -1."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - not a number
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    number = int(float(value))
    if number != float(value):
        raise ValueError(value)
    return None if number == -1 else number


def _answers(value: object) -> Any:
    """The answers that a field holds as JSON or Python write them; "[1]" is a text."""
    parsed = _parsed(value)
    is_list = isinstance(value, str) and isinstance(parsed, list | tuple | set)
    has_texts = not is_list or all(isinstance(item, str | Mapping) for item in parsed)
    return parsed if has_texts else value


def _parsed(value: object) -> Any:
    """Lists and objects that a field holds as JSON or Python write them; others as they are."""
    parsed = nested(value)
    if isinstance(parsed, str) and parsed[:1] in ("[", "{") and len(parsed) <= _LONGEST:
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return ast.literal_eval(_ARRAY.sub(r"\1", parsed))
    return parsed


def occurrences(context: str, text: str) -> list[int]:
    """Return where a text is in another; only where it cuts no word, if there are such places."""
    places = []
    place = context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    whole = [
        place
        for place in places
        if not (cuts_a_word(context, place) or cuts_a_word(context, place + len(text)))
    ]
    return whole or places


def similar(context: str, text: str) -> str | None:
    """Return the part of a text that differs from another only in case or white space."""
    words = text.split()
    match = words and re.search(r"\s*".join(map(re.escape, words)), context, re.IGNORECASE)
    return match[0] if match else None


def start_of(context: str, answer: Answer, way: Counting) -> int | None:
    """Return the character at which an answer starts, without white space; None if it does not."""
    place = None if answer.start is None else way.place(context, answer.start)
    if place is None:
        return None
    if context.startswith(answer.text, place):
        return place + len(answer.text) - len(answer.text.lstrip())
    return place if context.startswith(answer.text.strip(), place) else None


def are_in_place(context: str, answers: Iterable[Answer], way: Counting) -> bool:
    """Return whether all answers are at their starts, where they have one."""
    return all(one.start is None or start_of(context, one, way) is not None for one in answers)


def ways_of(rows: Iterable[tuple[str, Sequence[Answer]]]) -> tuple[Counting, ...]:
    """Return the ways to count starts that explain nearly all rows; characters without evidence."""
    counted = dict.fromkeys(POSITIONS, 0)
    total = 0
    for context, answers in rows:
        if any(answer.start is not None for answer in answers):
            total += 1
            for way in counted:
                counted[way] += are_in_place(context, answers, way)
    ways = [way for way, count in counted.items() if total and count >= _NEARLY_ALL * total]
    return tuple(ways) or (CHARACTERS,)
