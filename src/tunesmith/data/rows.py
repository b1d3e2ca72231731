"""Rows, and the protocol of the sources that they come from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_ROWS",
    "MARKED_ROWS",
    "MAX_COLUMNS",
    "MAX_ROW_BYTES",
    "BadRecordsError",
    "Column",
    "Concatenated",
    "Marks",
    "NumberedRows",
    "PathSource",
    "Rejected",
    "Row",
    "Seekable",
    "Source",
    "Splits",
    "distinct_columns",
    "first_rows",
    "in_chunks",
    "readable_rows",
    "selected",
    "too_long",
    "too_many_columns",
]

CHUNK_ROWS = 1000
"""Rows in a chunk, at most."""

CHUNK_BYTES = 4 << 20
"""Bytes of a chunk, about, at most: long rows make shorter chunks."""

MARKED_ROWS = 1024
"""Rows of a text file from one mark to the next."""

MAX_ROW_BYTES = 10_000_000
"""A longer row is refused: it is an unclosed quote, or no row of text."""

MAX_COLUMNS = 10_000
"""A wider table is refused: it holds numbers about texts, or is no table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a source.

    Attributes:
        index: its position in the source, from 0.
        values: by column; values of text files are strings.
    """

    index: int
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that cannot be used.

    Attributes:
        place: where it is.
        code: of the problem.
        reason: the message.
        values: by column, as far as they could be read.
    """

    place: Place
    code: str
    reason: str
    values: Mapping[str, object] | None = None


class BadRecordsError(DataError):
    """Some records could not be read; all others were yielded."""

    def __init__(self, problems: Iterable[Problem], records: Sequence[Rejected]) -> None:
        super().__init__(problems)
        self.records = tuple(records)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source.

    Attributes:
        name: as the source spells it.
        type: such as "text", "integer", "ClassLabel".
        class_names: the names behind the integers of a `ClassLabel`, index 0 first.
        duplicates: the numbers, from 1, of the columns of this name, where there are several. The
            first is read; `missing_columns` refuses it where it would be used.
    """

    name: str
    type: str
    class_names: tuple[str, ...] | None = None
    duplicates: tuple[int, ...] = ()


class Source(Protocol):
    """Rows that can be read repeatedly, in one order, without holding all of them in memory."""

    @property
    def name(self) -> str:
        """Its name in messages, a path or a data set and its split."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its columns, in order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on how it is read, such as its encoding."""
        ...

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows, about `CHUNK_ROWS` at a time, with only the named columns.

        Raises:
            DataError: after the last row that could be read, with all problems; a `BadRecordsError`
                if no good record is missing.
        """
        ...

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return where some rows are; this may read the source."""
        ...


@dataclass(frozen=True, slots=True)
class Marks:
    """Where reading a source may begin.

    Attributes:
        rows: of the source.
        starts: the numbers of the rows at the marks, rising, the first 0.
        marks: what `Seekable.chunks_from` takes, one per start.
        problems: of records that have no number, since they cannot be read.
    """

    rows: int
    starts: Sequence[int]
    marks: Sequence[tuple[int, ...]]
    problems: Sequence[Problem] = ()


class Seekable(Source, Protocol):
    """A source that can be read from some of its rows on, without those before."""

    @property
    def is_seekable(self) -> bool:
        """Whether it can be; a packed file, or one value of JSON, cannot."""
        ...

    def marks(self) -> Marks:
        """Return where reading may begin; this may read the source once."""
        ...

    def chunks_from(
        self,
        mark: tuple[int, ...],
        columns: Collection[str] | None = None,
        count: int | None = None,
    ) -> Iterator[Sequence[Row]]:
        """Yield at least `count` rows from a mark on, all if None, numbered from 0.

        Raises:
            BadRecordsError: after the last one, if numbered records cannot be read.
        """
        ...

    def places_from(self, mark: tuple[int, ...], indices: Collection[int]) -> dict[int, Place]:
        """Return where some rows are, which are numbered from a mark on."""
        ...


def distinct_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns with each name once; repeated names have `duplicates`."""
    numbers: dict[str, list[int]] = {}
    for number, column in enumerate(columns, start=1):
        numbers.setdefault(column.name, []).append(number)
    first: dict[str, Column] = {}
    for column in columns:
        first.setdefault(column.name, column)
    return tuple(
        replace(column, duplicates=tuple(numbers[name])) if len(numbers[name]) > 1 else column
        for name, column in first.items()
    )


def selected(columns: Iterable[Column], names: Collection[str] | None) -> list[str]:
    """Return the names of the columns to read: those among `names`, or all."""
    return [column.name for column in columns if names is None or column.name in names]


@dataclass(frozen=True)
class PathSource:
    """A source that reads one file or folder."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)


class NumberedRows:
    """A source whose rows have numbers instead of lines."""

    def places(self: Source, indices: Collection[int]) -> dict[int, Place]:
        """Return the numbers of some rows as places."""
        return {index: Place(self.name, row=index) for index in indices}


Splits = Mapping[str, Source]
"""The splits of a data set by name, in the order it lists them."""


def first_rows(source: Source, count: int, columns: Collection[str] | None = None) -> list[Row]:
    """Return the first `count` rows that can be read; the survey reports the others.

    Raises:
        DataError: not one row can be read.
    """
    rows: list[Row] = []
    try:
        for row in islice((row for chunk in source.chunks(columns) for row in chunk), count):
            rows.append(row)  # noqa: PERF402 - what was read before an error counts
    except DataError:
        if not rows:
            raise
    return rows


def readable_rows(source: Source, columns: Collection[str] | None = None) -> Iterator[Row]:
    """Yield every row that can be read; the survey reports the others."""
    with suppress(DataError):
        for chunk in source.chunks(columns):
            yield from chunk


def in_chunks(rows: Iterable[tuple[Row, int]]) -> Iterator[list[Row]]:
    """Group rows, each with its size in bytes or characters, into chunks."""
    chunk: list[Row] = []
    held = 0
    for row, size in rows:
        chunk.append(row)
        held += size
        if len(chunk) == CHUNK_ROWS or held >= CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def too_long(place: Place, fix: str | None = None) -> Problem:
    """Return the problem of a row of more than `MAX_ROW_BYTES` (D150)."""
    limit = MAX_ROW_BYTES // 1_000_000
    return Problem("D150", _("a row of more than {limit} MB").format(limit=limit), place, fix=fix)


def too_many_columns(count: int, place: Place) -> Problem:
    """Return the problem of a table of more than `MAX_COLUMNS` (D116)."""
    return Problem(
        "D116",
        _("{count} columns; at most {limit} are read").format(count=count, limit=MAX_COLUMNS),
        place,
        fix=_("Keep only the columns of text and label, or name another delimiter."),
    )


@dataclass(frozen=True)
class Concatenated:
    """Several sources with the same columns, one after the other."""

    parts: tuple[Source, ...]

    @property
    def name(self) -> str:
        """The names of all parts."""
        return ", ".join(part.name for part in self.parts)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the first part; `open_splits` has checked the others."""
        return self.parts[0].columns

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all parts."""
        return tuple(note for part in self.parts for note in part.notes)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield the rows of all parts, numbered from 0."""
        start = 0
        problems: list[Problem] = []
        records: list[Rejected] = []
        for part in self.parts:
            count = 0
            try:
                for chunk in part.chunks(columns):
                    count = chunk[-1].index + 1
                    yield [Row(start + row.index, row.values) for row in chunk] if start else chunk
            except BadRecordsError as error:
                problems += error.problems
                records += error.records
            start += count
        if problems:
            raise BadRecordsError(problems, records)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return where some rows are, each in its own part."""
        places: dict[int, Place] = {}
        start = 0
        remaining = sorted(indices)
        for part in self.parts:
            if not remaining:
                break
            count = 0
            with suppress(BadRecordsError):
                for chunk in part.chunks(()):
                    count = chunk[-1].index + 1
            here = [index for index in remaining if index < start + count]
            remaining = remaining[len(here) :]
            inner = part.places([index - start for index in here])
            places |= {start + index: place for index, place in inner.items()}
            start += count
        return places
