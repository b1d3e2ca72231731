"""A source without its bad rows, for who chose to leave them out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tunesmith.data.rows import BadRecordsError, Row
from tunesmith.data.wrapped import WrappedSource

__all__ = ["FilteredSource"]


@dataclass(frozen=True)
class FilteredSource(WrappedSource):
    """The good rows of a source, numbered through; records that cannot be read are left out, too.

    Attributes:
        dropped: the numbers of its bad rows.
        checked: the columns by which they were found to be bad. They are always read, so that each
            reading leaves out the same records.
    """

    dropped: frozenset[int]
    checked: tuple[str, ...]

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """The good rows."""
        wanted = None if columns is None else {*columns, *self.checked}
        index = 0
        for kept in self._kept(wanted):
            yield [
                Row(
                    index + i,
                    row.values
                    if columns is None
                    else {name: value for name, value in row.values.items() if name in columns},
                )
                for i, row in enumerate(kept)
            ]
            index += len(kept)

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """The numbers of some good rows among all; it takes a reading."""
        wanted = set(indices)
        rows: dict[int, int] = {}
        index = 0
        for kept in self._kept(self.checked) if wanted else ():
            rows |= {index + i: row.index for i, row in enumerate(kept) if index + i in wanted}
            index += len(kept)
        return rows

    def _kept(self, columns: Collection[str] | None) -> Iterator[Sequence[Row]]:
        with suppress(BadRecordsError):
            for chunk in self.source.chunks(columns):
                if kept := [row for row in chunk if row.index not in self.dropped]:
                    yield kept
