"""Sources around a source: the same data with rows changed, rows left out, or its errors coded."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.data.readers.read_errors import reason_of
from tunesmith.data.rows import BadRecordsError, Column, Row, Source
from tunesmith.errors import DataError, Place, Problem, TunesmithError
from tunesmith.i18n import gettext as _

__all__ = ["CustomSource", "FilteredSource", "WrappedSource", "innermost", "original_rows"]

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class WrappedSource(ABC):
    """A source around another, with its name, columns, revision, notes and places.

    Attributes:
        source: the inner source.
        own_notes: notes on what happened to its rows.
    """

    source: Source
    own_notes: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def name(self) -> str:
        """The name of the inner source."""
        return self.source.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the inner source."""
        return self.source.columns

    @property
    def revision(self) -> str | None:
        """The revision of the inner source, if it came from the Hub."""
        return getattr(self.source, "revision", None)

    @property
    def repository(self) -> str | None:
        """The repository of the inner source, if it came from the Hub."""
        return getattr(self.source, "repository", None)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of the inner source, then those on its rows."""
        return (*self.source.notes, *self.own_notes)

    @abstractmethod
    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield the remaining rows, renumbered from 0."""

    @abstractmethod
    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the numbers of some rows in the inner source."""

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return where some rows are in the inner source."""
        rows = {original: index for index, original in self.originals(indices).items()}
        return {rows[original]: place for original, place in self.source.places(rows).items()}


def innermost(source: Source) -> Source:
    """Return the data itself, without the sources around it."""
    while isinstance(source, WrappedSource):
        source = source.source
    return source


def original_rows(source: Source, indices: Collection[int]) -> Mapping[int, int]:
    """Return the numbers of some rows in the data itself."""
    rows = {index: index for index in indices}
    while isinstance(source, WrappedSource):
        originals = source.originals(rows.values())
        rows = {index: originals[row] for index, row in rows.items() if row in originals}
        source = source.source
    return rows


@dataclass(frozen=True)
class FilteredSource(WrappedSource):
    """A source without its bad rows and without the records that cannot be read.

    Attributes:
        dropped: the numbers of its bad rows.
        checked: the columns that were validated. They are always read, so that each reading leaves
            out the same records.
    """

    dropped: frozenset[int]
    checked: tuple[str, ...]

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield the good rows, renumbered from 0."""
        index = 0
        for rows in self._good_rows(None if columns is None else {*columns, *self.checked}):
            yield [
                Row(
                    index + i,
                    row.values
                    if columns is None
                    else {name: value for name, value in row.values.items() if name in columns},
                )
                for i, row in enumerate(rows)
            ]
            index += len(rows)

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the numbers of some good rows among all; this reads the source."""
        requested = set(indices)
        originals: dict[int, int] = {}
        index = 0
        for rows in self._good_rows(self.checked) if requested else ():
            originals |= {
                index + i: row.index for i, row in enumerate(rows) if index + i in requested
            }
            index += len(rows)
        return originals

    def _good_rows(self, columns: Collection[str] | None) -> Iterator[Sequence[Row]]:
        with suppress(BadRecordsError):
            for chunk in self.source.chunks(columns):
                if rows := [row for row in chunk if row.index not in self.dropped]:
                    yield rows


@dataclass(frozen=True)
class CustomSource(WrappedSource):
    """A source written by the user, whose exceptions name the line of the user's code."""

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield the rows of the source.

        Raises:
            DataError: its code raised an exception (D134).
        """
        try:
            yield from self.source.chunks(columns)
        except TunesmithError:
            raise
        except Exception as error:
            raise DataError(_failure(error, self.name)) from None

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the same numbers."""
        return {index: index for index in indices}


def _failure(error: Exception, name: str) -> Problem:
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if _PACKAGE not in Path(frame.filename).parents]
    place = Place(users[-1].filename, users[-1].lineno) if users else Place(name)
    return Problem(
        "D134",
        _("the code that makes the rows of {name} raised {kind}: {reason}").format(
            name=name, kind=type(error).__name__, reason=reason_of(error)
        ),
        place,
        fix=_("Correct it; it must yield every row each time it is called."),
    )
