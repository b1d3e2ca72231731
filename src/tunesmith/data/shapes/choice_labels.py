"""Which choice a label names: by a letter, a number, a key of its row, or its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.profile import as_text
from tunesmith.data.shapes.choice_lists import KEY, Listed

__all__ = [
    "LETTERS",
    "Place",
    "UnknownKey",
    "is_missing",
    "key_of",
    "number_of",
    "place_of_key",
    "place_of_text",
    "plain_label",
]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class UnknownKey(str):
    """A label that is none of the keys of its row.

    Attributes:
        known: the keys.
    """

    __slots__ = ("known",)

    known: tuple[str, ...]

    @classmethod
    def of(cls, label: object, known: Sequence[str]) -> UnknownKey:
        """Return a label with the keys of its row."""
        key = cls(as_text(label))
        key.known = tuple(known)
        return key


@dataclass(frozen=True, slots=True)
class Place:
    """A label that says itself which choice it is.

    Attributes:
        number: of the choice, from 0.
    """

    number: int


def plain_label(value: object, listed: Listed | None) -> object:
    """Return a label as one value: of a list with one, of a 1 among zeros, of 1.0 the number.

    Tables with missing labels hold numbers with decimals, and some data sets a 0 or 1 for each
    choice. Any other list stays as it is, and is no key.
    """
    if isinstance(value, list | tuple):
        count = len(listed.texts) if listed is not None else 0
        if len(value) == count > 1 and sorted(map(str, value)) == ["0"] * (count - 1) + ["1"]:
            return Place([str(one) for one in value].index("1"))
        return plain_label(value[0], listed) if len(value) == 1 else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().endswith(".0") and value.strip()[:-2].isdecimal():
        return value.strip()[:-2]
    return value


def is_missing(value: object) -> bool:
    """Return whether a label says that there is none: empty, NaN, or -1."""
    if isinstance(value, str):
        return value.strip() in ("", "-1")
    return value is None or value == -1 or value != value  # noqa: PLR0124 - that is NaN


def place_of_text(value: object, listed: Listed) -> int | None:
    """Return which choice has a text, None if none."""
    texts = [as_text(text).strip() for text in listed.texts]
    text = as_text(value).strip()
    return texts.index(text) if text in texts else None


def key_of(value: object) -> str | None:
    """Return the letter or number that a label is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    match = KEY.fullmatch(as_text(value))
    return None if match is None else match[1].upper()


def number_of(value: object) -> int | None:
    """Return the number that a label is, None for a letter or anything else."""
    key = key_of(value)
    return int(key) if key is not None and key.isdecimal() else None


def place_of_key(value: object, listed: Listed, first: int) -> int | None:
    """Return which choice a label names, None if none."""
    key = key_of(value)
    if key is None:
        return None
    keys = [one.strip().upper() for one in listed.keys]
    if keys:
        return keys.index(key) if key in keys else None
    if key.isdecimal():
        return listed.place(int(key) - first)
    return listed.place(LETTERS.index(key)) if key in LETTERS else None
