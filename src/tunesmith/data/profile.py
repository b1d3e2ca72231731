"""What a data set looks like from its first rows: types of columns, values, lengths, scripts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunesmith.data.rows import Column, Row, Source
from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _

__all__ = [
    "SAMPLE_ROWS",
    "ColumnProfile",
    "Profile",
    "as_number",
    "as_text",
    "profile",
    "script_fractions",
]

SAMPLE_ROWS = 10_000
_MIN_ROWS = 100
_MOST_CLASSES = 50
_LONGEST_CLASS = 40
"""Mean characters of the names of classes, at most."""
_MOST_CELLS = 1_000_000
_MOST_CHARACTERS = 32 << 20

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
"""There is one way to match digits; with two, a long run would take quadratic time."""


@dataclass(frozen=True)
class ColumnProfile:
    """The sampled values of one column.

    Attributes:
        column: its name, type and class names.
        values: the number of values that are not missing.
        counts: of each value as text; of lists each item counts.
        mean_length: mean characters of the values as text.
        num_numbers: of values that are numbers or are written like numbers.
        num_fractions: of numbers that are not whole.
        num_lists: of lists.
        num_nested: of objects, and of lists of objects or of lists.
    """

    column: Column
    values: int
    counts: Counter[str]
    mean_length: float
    num_numbers: int
    num_fractions: int
    num_lists: int
    num_nested: int

    @property
    def name(self) -> str:
        """The name of the column."""
        return self.column.name

    @property
    def distinct(self) -> int:
        """The number of different values."""
        return len(self.counts)

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number and none is a class of a `ClassLabel`."""
        return self.values > 0 and self.num_numbers == self.values and not self.column.class_names

    @property
    def is_continuous(self) -> bool:
        """Whether the values are numbers, with fractions or too many of them to be classes."""
        return self.is_numeric and (self.num_fractions > 0 or self.distinct > _MOST_CLASSES)

    @property
    def has_few_values(self) -> bool:
        """Whether a few short values recur, as classes do."""
        most = max(2, min(_MOST_CLASSES, self.values // 4))
        return 1 < self.distinct <= most and self.mean_length <= _LONGEST_CLASS


@dataclass(frozen=True)
class Profile:
    """The columns of a source, and how many rows were sampled."""

    source: Source
    columns: tuple[ColumnProfile, ...]
    num_rows: int

    def column(self, name: str) -> ColumnProfile | None:
        """Return the profile of a column, None if there is none of this name."""
        return next((c for c in self.columns if c.name == name), None)


def profile(source: Source, *, rows: int = SAMPLE_ROWS) -> Profile:
    """Sample the first rows of a source, fewer if they are long or have many columns.

    Raises:
        DataError: not one row can be read.
    """
    rows = min(rows, max(_MIN_ROWS, _MOST_CELLS // max(1, len(source.columns))))
    sample = _sample(source, rows)
    columns = tuple(
        _profile_column(column, [row.values.get(column.name) for row in sample])
        for column in source.columns
    )
    return Profile(source, columns, len(sample))


def _sample(source: Source, count: int) -> list[Row]:
    """Return the first rows that can be read, fewer if they are long."""
    rows: list[Row] = []
    held = 0
    try:
        for chunk in source.chunks():
            rows += chunk[: count - len(rows)]
            held += sum(len(v) for row in chunk for v in row.values.values() if isinstance(v, str))
            if len(rows) == count or held > _MOST_CHARACTERS:
                break
    except DataError:
        if not rows:
            raise
    return rows


def _profile_column(column: Column, values: Sequence[object]) -> ColumnProfile:
    present = [value for value in values if value is not None and value != ""]
    counts: Counter[str] = Counter()
    length = numbers = fractions = lists = nested = 0
    for value in present:
        nested += isinstance(value, dict)
        if isinstance(value, list):
            lists += 1
            nested += any(isinstance(item, list | dict) for item in value)
            counts.update(as_text(item) for item in value)
        else:
            text = as_text(value)
            counts[text] += 1
            length += len(text)
            number = as_number(value)
            if number is not None:
                numbers += 1
                fractions += number != int(number)
    return ColumnProfile(
        column,
        len(present),
        counts,
        length / max(1, len(present) - lists),
        numbers,
        fractions,
        lists,
        nested,
    )


def as_number(value: object) -> float | None:
    """Return a finite number, or the number that a text spells; None for all else, and booleans."""
    if isinstance(value, bool) or value is None:
        return None
    if not isinstance(value, int | float):
        text = str(value).strip()
        # float() also reads "1_000", "nan" and "infinity", which are no labels
        if not _NUMBER.fullmatch(text):
            return None
        value = text
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None


def as_text(value: object) -> str:
    """Return a value as text; Python refuses to write integers of more than 4,300 digits."""
    try:
        return str(value)
    except ValueError:
        return _("a number of thousands of digits")


def script_fractions(texts: Iterable[str]) -> dict[str, float]:
    """Return the fraction of letters of each script: "latin" (ASCII only), "chinese", "other"."""
    counts = Counter[str]()
    for text in texts:
        ascii_letters = len(re.findall(r"[A-Za-z]", text))
        chinese = len(re.findall(r"[\u3400-\u9fff\uf900-\ufaff]", text))
        counts["latin"] += ascii_letters
        counts["chinese"] += chinese
        counts["other"] += sum(map(str.isalpha, text)) - ascii_letters - chinese
    total = sum(counts.values()) or 1
    return {script: counts[script] / total for script in ("latin", "chinese", "other")}
