"""What a shape is: it recognizes a source by its columns and first values, and wraps it.

The wrapped source has the same rows with canonical values. A column of canonical values has a type
of its own, such as "tokens" or "entities", by which a task knows it whatever its name is.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tunesmith.data.columns import plain_name
from tunesmith.data.findings import BadRecords, Finding
from tunesmith.data.rows import BadRecordsError, Column, Row, Source, first_rows
from tunesmith.data.wrapped import WrappedSource
from tunesmith.errors import DataError, Problem

__all__ = [
    "Convert",
    "ConvertedSource",
    "ExplodedSource",
    "Record",
    "Sample",
    "Shape",
    "nested",
]

_SAMPLE_ROWS, _MANY_ROWS = 200, 20_000
_LONGEST_JSON = 1_000_000
_LONGEST_PYTHON = 100_000

Record = Mapping[str, object]
"""Values by column."""
Convert = Callable[[Record], "Record | Finding"]


class Sample:
    """The columns of a source and its first rows, which are read on demand.

    Attributes:
        source: where they are from.
        offsets: how the user says that positions in texts are counted; None if that is to be found.
    """

    def __init__(self, source: Source, offsets: str | None = None) -> None:
        """Read nothing yet."""
        self.source, self.offsets = source, offsets
        self._by_name = {plain_name(column.name): column for column in reversed(source.columns)}

    def column(self, *names: str) -> Column | None:
        """Return the first column with one of these names, as `plain_name` writes them."""
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    @cached_property
    def rows(self) -> Sequence[Row]:
        """The first rows that can be read; what is wrong with others is reported later."""
        return self._first(_SAMPLE_ROWS)

    @cached_property
    def many_rows(self) -> Sequence[Row]:
        """More rows, for what only some of them tell."""
        return self._first(_MANY_ROWS)

    def _first(self, count: int) -> Sequence[Row]:
        try:
            return first_rows(self.source, count)
        except DataError:
            return ()

    def values(self, *names: str) -> list[Any]:
        """Return the values of a column, named as the source spells it, without missing ones."""
        values = [row.values.get(name) for row in self.rows for name in names]
        return [value for value in values if value is not None and value != ""]


Shape = Callable[[Sample], "Source | None"]
"""Returns the source wrapped, or None if it has another shape."""


def nested(value: object) -> Any:
    """Return lists and objects that a field holds as JSON or Python write them; else the value."""
    if isinstance(value, str) and value[:1] in ("[", "{") and len(value) <= _LONGEST_JSON:
        with suppress(ValueError, RecursionError):
            return json.loads(value)
        if len(value) <= _LONGEST_PYTHON:
            with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                return _as_lists(ast.literal_eval(value))
    return value


def _as_lists(value: object) -> object:
    """Return tuples as lists, as JSON has them, also inside."""
    if isinstance(value, list | tuple):
        return [_as_lists(one) for one in value]
    return {k: _as_lists(v) for k, v in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class ConvertedSource(WrappedSource):
    """A source each of whose rows becomes one row.

    Attributes:
        made: the columns that are replaced or added.
        read: the columns that they are made from. They are always read, so that each reading
            refuses the same rows.
        convert: returns the values of `made`, or what is wrong with the row.
        removed: columns that the result does not have.
    """

    made: tuple[Column, ...]
    read: tuple[str, ...]
    convert: Convert
    removed: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the inner source, with those that are made in their places or at last."""
        made = {column.name: column for column in self.made}
        remaining = [c for c in self.source.columns if c.name not in self.removed]
        return (*(made.pop(c.name, c) for c in remaining), *made.values())

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows; then raise a `BadRecordsError` for rows that cannot be converted."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        bad: dict[int, Finding] = {}
        problems: Sequence[Problem] = ()
        bad_records: Sequence[Any] = ()
        try:
            for chunk in self.source.chunks(None if columns is None else {*columns, *self.read}):
                if rows := list(self._converted(chunk, names, bad)):
                    yield rows
        except BadRecordsError as error:
            problems, bad_records = error.problems, error.records
        _raise_if_any(self, bad, problems, bad_records)

    def _converted(
        self, chunk: Sequence[Row], names: Sequence[str], bad: dict[int, Finding]
    ) -> Iterator[Row]:
        for row in chunk:
            made = self.convert(row.values)
            if isinstance(made, Finding):
                bad[row.index] = made
            else:
                values = {**row.values, **made}
                yield Row(row.index, {name: values.get(name) for name in names})

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the same numbers."""
        return {index: index for index in indices}


@dataclass(frozen=True)
class ExplodedSource(WrappedSource):
    """A source each of whose rows becomes any number of rows, none included.

    Attributes:
        made: all columns of the result.
        read: the columns that rows are made from; they are always read.
        explode: returns records, which lack only what the row has, or what is wrong in their place.
    """

    made: tuple[Column, ...]
    read: tuple[str, ...]
    explode: Callable[[Record], Sequence[Record | Finding]]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are made."""
        return self.made

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows; then raise a `BadRecordsError` for rows that cannot be converted."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        bad: dict[int, Finding] = {}
        problems: Sequence[Problem] = ()
        bad_records: Sequence[Any] = ()
        index = 0
        try:
            for chunk in self.source.chunks(None if columns is None else {*columns, *self.read}):
                rows = []
                for row in chunk:
                    for made in self.explode(row.values):
                        if isinstance(made, Finding):
                            bad[index] = made
                        else:
                            values = {**row.values, **made}
                            rows.append(Row(index, {name: values.get(name) for name in names}))
                        index += 1
                if rows:
                    yield rows
        except BadRecordsError as error:
            problems, bad_records = error.problems, error.records
        _raise_if_any(self, bad, problems, bad_records)

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the row that each row was made from; this reads the source."""
        requested = set(indices)
        originals: dict[int, int] = {}
        index = 0
        with suppress(BadRecordsError):
            for chunk in self.source.chunks(self.read) if requested else ():
                for row in chunk:
                    stop = index + len(self.explode(row.values))
                    originals |= {i: row.index for i in range(index, stop) if i in requested}
                    index = stop
        return originals

    def places(self, indices: Collection[int]) -> dict[int, Any]:
        """Return where the rows are that some rows were made from."""
        originals = self.originals(indices)
        places = self.source.places(set(originals.values()))
        return {i: places[row] for i, row in originals.items() if row in places}


def _raise_if_any(
    source: Source,
    bad: Mapping[int, Finding],
    problems: Sequence[Problem],
    records: Sequence[Any],
) -> None:
    """Raise one error for the rows that the inner source refused and for those refused here."""
    places = source.places(bad) if bad else {}
    refused = BadRecords(source)
    for index, finding in bad.items():
        refused.reject(index, finding, places[index])
    if problems or refused:
        raise BadRecordsError([*problems, *refused.problems()], [*records, *refused.records])
