"""Data that is read shard by shard: any of its rows without those before.

A shard is a range of rows, whatever files they are in; all but the last have the same size.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.rows import BadRecordsError, Concatenated, Row, Source
from tunesmith.data.scan import changed
from tunesmith.data.shard_index import Indexed, index_of
from tunesmith.data.wrapped import WrappedSource
from tunesmith.errors import DataError, IntegrityError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = ["Picked", "Sharded", "parts_of", "unseekable_part"]

_NAMED = 4
"""Files that are named one by one."""

_NEAR = 4096
"""Rows that are read on the way to the next one, instead of looking it up again."""


def parts_of(source: Source) -> tuple[Source, ...]:
    """Return the files of a source."""
    if not isinstance(source, Concatenated):
        return (source,)
    return tuple(file for part in source.parts for file in parts_of(part))


def unseekable_part(source: Source) -> Source | None:
    """Return the first file that can only be read from its start; None if there is none."""
    parts = parts_of(source)
    return next((part for part in parts if not getattr(part, "is_seekable", False)), None)


@dataclass(frozen=True)
class Sharded(WrappedSource):
    """A source whose files are indexed.

    Attributes:
        files: the index of each.
        shard_rows: rows of a shard.
        skips_bad: whether records that cannot be read are left out, instead of an error.
    """

    files: tuple[Indexed, ...]
    shard_rows: int
    skips_bad: bool = False

    @classmethod
    def of(cls, source: Source, shard_rows: int, *, skips_bad: bool = False) -> Sharded:
        """Index the files of a source.

        Raises:
            DataError: some records cannot be read, and are not left out.
        """
        files = tuple(index_of(part) for part in parts_of(source))  # type: ignore[arg-type]
        sharded = cls(source, files, shard_rows, skips_bad)
        if sharded.problems and not skips_bad:
            raise DataError(sharded.problems)
        return sharded

    @property
    def problems(self) -> list[Problem]:
        """Problems of records that have no number, since they cannot be read."""
        return [problem for file in self.files for problem in file.marks.problems]

    @property
    def name(self) -> str:
        """The names of all files, or the first and the last of many."""
        if len(self.files) <= _NAMED:
            return self.source.name
        first, last = self.files[0].source.name, self.files[-1].source.name
        return _("{first} … {last} ({count} files)").format(
            first=first, last=last, count=len(self.files)
        )

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of the first row of each file, and of all rows."""
        return [0, *accumulate(file.marks.rows for file in self.files)]

    @property
    def num_rows(self) -> int:
        """Rows of all files."""
        return self._firsts[-1]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each shard, shape (shards,)."""
        whole, rest = divmod(self.num_rows, self.shard_rows)
        return np.array([self.shard_rows] * whole + [rest] * (rest > 0), dtype=np.int64)

    @property
    def digest(self) -> str:
        """A hash of the content of all files, in their order."""
        known = "\n".join(f"{file.identity} {file.marks.rows}" for file in self.files)
        return hashlib.sha256(known.encode()).hexdigest()

    def identity(self, shard: int) -> str:
        """A hash of what the rows of a shard depend on: its files, and where it begins in them."""
        start = shard * self.shard_rows
        stop = start + int(self.sizes[shard])
        ranges = self._ranges(start, stop)
        known = [f"{self.files[i].identity} {first} {last}" for i, first, last in ranges]
        return hashlib.sha256("\n".join(known).encode()).hexdigest()

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows."""
        return self.source.chunks(columns)

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the same numbers."""
        return {index: index for index in indices}

    def shard(self, number: int, columns: Collection[str]) -> Iterator[Sequence[Row]]:
        """Yield the rows of a shard."""
        start = number * self.shard_rows
        return self.between(start, start + int(self.sizes[number]), columns)

    def between(
        self, start: int, stop: int, columns: Collection[str] | None
    ) -> Iterator[Sequence[Row]]:
        """Yield a range of rows with the named columns.

        Raises:
            DataError: a record cannot be read.
            IntegrityError: a file is not what was indexed (D160).
        """
        for i, first, last in self._ranges(start, stop):
            file = self.files[i]
            if file.has_changed():
                raise IntegrityError(changed(file.source))
            at = bisect_right(file.marks.starts, first) - 1
            begin, offset = file.marks.starts[at], self._firsts[i]
            count = 0
            mark = file.marks.marks[at]
            try:
                for chunk in file.source.chunks_from(mark, columns, last - begin):
                    rows = [
                        Row(offset + begin + row.index, row.values)
                        for row in chunk
                        if first <= begin + row.index < last
                    ]
                    count += len(rows)
                    if rows:
                        yield rows
                    if count == last - first:
                        break  # else a record cannot be read, as the reader says at its end
            except BadRecordsError as error:
                if not self.skips_bad:
                    raise DataError(error.problems) from None
                count = last - first
            if count < last - first or file.has_changed():
                raise IntegrityError(changed(file.source))

    def rows_at(self, numbers: Collection[int], columns: Collection[str]) -> dict[int, Row]:
        """Return some rows by their numbers; of each file only the parts with them are read."""
        rows: dict[int, Row] = {}
        requested = set(numbers)
        for start, stop in _runs(sorted(requested)):
            for chunk in self.between(start, stop, columns):
                rows |= {row.index: row for row in chunk if row.index in requested}
        return rows

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Return where some rows are; only the parts of files with them are read."""
        places: dict[int, Place] = {}
        for index in sorted(indices):
            i = bisect_right(self._firsts, index) - 1
            marks, local = self.files[i].marks, index - self._firsts[i]
            at = bisect_right(marks.starts, local) - 1
            within = local - marks.starts[at]
            located = self.files[i].source.places_from(marks.marks[at], [within])
            places[index] = located.get(within, Place(self.files[i].source.name, row=local))
        return places

    def _ranges(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield the files of a range of rows, each with its own range."""
        for i, file in enumerate(self.files):
            first = max(start - self._firsts[i], 0)
            last = min(stop - self._firsts[i], file.marks.rows)
            if first < last:
                yield i, first, last


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges that hold all numbers; those that are near each other are in one."""
    start = 0
    for i, number in enumerate(numbers):
        if i + 1 == len(numbers) or numbers[i + 1] - number > _NEAR:
            yield numbers[start], number + 1
            start = i + 1


@dataclass(frozen=True)
class Picked(WrappedSource):
    """Some rows of a sharded source, such as a sample or validation rows.

    Attributes:
        numbers: of these rows, rising.
    """

    source: Sharded
    numbers: NDArray[np.int64]

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield the rows, renumbered from 0."""
        done = 0
        for start, stop in _runs(self.numbers.tolist()):
            end = int(np.searchsorted(self.numbers, stop))
            chosen = {int(number): i for i, number in enumerate(self.numbers[done:end], start=done)}
            for chunk in self.source.between(start, stop, columns):
                rows = [Row(chosen[row.index], row.values) for row in chunk if row.index in chosen]
                if rows:
                    yield rows
            done = end

    def originals(self, indices: Collection[int]) -> Mapping[int, int]:
        """Return the numbers of some rows among all."""
        return {index: int(self.numbers[index]) for index in indices}
