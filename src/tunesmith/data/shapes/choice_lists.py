"""Where the choices of a row are: in a list, in texts with keys, or in columns of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.columns import plain_name
from tunesmith.data.label_lists import parsed_list
from tunesmith.data.profile import as_text
from tunesmith.data.rows import Column
from tunesmith.data.shapes.shape import Record, nested

__all__ = [
    "KEY",
    "ChoiceReader",
    "InColumns",
    "InOneColumn",
    "Listed",
    "numbered_columns",
    "stem_of",
]

_ITEM = re.compile(
    r"(ending|choice|option|opt|op|candidate|alternative|answer|ans|solution|sol|hypothesis|hyp|"
    r"选项|选择|候选|答案|备选)?([0-9]|[a-j])"
)
KEY = re.compile(r"[\s(\[（【]*(\w{1,2})[\s)\].、:：）】]*")
"""A letter or number, also written as "(A)" or "A."."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The choices of a row.

    Attributes:
        texts: what can be chosen; as the row has them, to be checked by the task.
        keys: what a label calls them, where they came with the choices; else they are counted.
        question: that came with them.
        numbers: of the choices, rising from 0, where some are left out; empty for all.
    """

    texts: Sequence[object]
    keys: tuple[str, ...] = ()
    question: object = None
    numbers: tuple[int, ...] = ()

    def place(self, number: int) -> int | None:
        """Return which choice has a number, None if none."""
        numbers = self.numbers or range(len(self.texts))
        return numbers.index(number) if number in numbers else None


@dataclass(frozen=True, slots=True)
class InOneColumn:
    """Choices in one column."""

    column: str

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    def __call__(self, values: Record) -> Listed | None:
        """Return the choices of a row, None if it has none."""
        return _listed(values.get(self.column))


@dataclass(frozen=True, slots=True)
class InColumns:
    """Each choice in a column of its own; empty ones are left out."""

    columns: Mapping[str, str]
    """The name of each by its key."""

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(self.columns.values())

    def __call__(self, values: Record) -> Listed | None:
        """Return the choices of a row, None if it has none."""
        present = {
            number: as_text(value)
            for number, name in enumerate(self.columns.values())
            if (value := values.get(name)) is not None and as_text(value).strip()
        }
        return Listed([*present.values()], numbers=tuple(present)) if present else None


ChoiceReader = InOneColumn | InColumns


def numbered_columns(columns: Sequence[Column]) -> list[ChoiceReader]:
    """Columns that number the choices, such as "ending0" and "ending1", or "A" and "B"."""
    stems: dict[str, dict[str, str]] = {}
    for column in columns:
        if match := _ITEM.fullmatch(plain_name(column.name)):
            stems.setdefault(match[1] or "", {})[match[2].upper()] = column.name
    readers: list[ChoiceReader] = []
    for items in stems.values():
        keys = sorted(items)
        if len(keys) > 1 and _follow(keys):
            readers.append(InColumns({key: items[key] for key in keys}))
    return readers


def _follow(keys: Sequence[str]) -> bool:
    """Whether keys are 0, 1, … or 1, 2, … or A, B, …."""
    places = [ord(key) for key in keys]
    return keys[0] in ("0", "1", "A") and places == [*range(places[0], places[0] + len(keys))]


def _listed(value: object) -> Listed | None:
    """Choices in one field: a list, texts with keys, or JSON of these."""
    value = nested(value)
    if isinstance(value, str):
        value = parsed_list(value) or _separated(value)
    if isinstance(value, Mapping):
        return None if "answer_start" in value else _with_keys(value)
    if not isinstance(value, list | tuple) or not value:
        return None
    if all(isinstance(one, Mapping) and "text" in one for one in value):
        keys = [one.get("label", one.get("key")) for one in value]
        known = () if None in keys else tuple(map(str, keys))
        return Listed([one["text"] for one in value], known)
    return Listed([one if isinstance(one, str) else _text_of(one) for one in value])


def _with_keys(value: Mapping[str, Any]) -> Listed | None:
    """Choices in an object: {"text": […], "label": […]}, {"A": …}, or a stem with its choices."""
    stem = next((value[name] for name in ("stem", "question") if name in value), None)
    inside = next((value[name] for name in ("choices", "options") if name in value), None)
    if inside is not None:
        listed = _listed(inside)
        return None if listed is None else Listed(listed.texts, listed.keys, stem)
    texts, keys = value.get("text"), value.get("label", value.get("key"))
    if isinstance(texts, list | tuple):
        return Listed(texts, tuple(map(str, keys if isinstance(keys, list | tuple) else ())))
    are_texts = all(isinstance(one, str) for one in value.values())
    if len(value) > 1 and are_texts and all(map(KEY.fullmatch, map(str, value))):
        return Listed([*value.values()], tuple(map(str, value)))
    return None


def _separated(text: str) -> list[str]:
    """Choices on lines of their own, or with bars between them."""
    parts = text.split("\n" if "\n" in text.strip() else "|")
    return [part.strip() for part in parts if part.strip()] if len(parts) > 1 else []


def _text_of(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return as_text(value) if is_number else value


def stem_of(column: str) -> str:
    """Return what is before the number or letter of a column: "ending" of "ending0"."""
    match = _ITEM.fullmatch(plain_name(column))
    return (match[1] or "") if match is not None else ""
