"""Parquet files. What they decode to is bounded before any row is decoded.

The footer has the sizes as stored, where a few bytes may repeat one text of a megabyte a million
times. So the dictionaries of texts are read: no repeated text is longer than their longest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.readers.arrow_rows import (
    bomb_limit,
    checked_columns,
    decoded_sizes,
    rows_of,
    too_large_decoded,
)
from tunesmith.data.readers.format import Format
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import require_regular_file
from tunesmith.data.rows import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    Column,
    Marks,
    NumberedRows,
    PathSource,
    Row,
    selected,
)
from tunesmith.errors import Place

__all__ = ["FORMAT", "ParquetFile"]


_MARKED_ROWS = 16_384
"""Rows from one mark to the next within a row group."""


@dataclass(frozen=True)
class ParquetFile(NumberedRows, PathSource):
    """A Parquet file.

    Attributes:
        columns: of its schema.
        notes: none.
        longest: bytes of the longest text in the dictionary of each column of texts, by the numbers
            of row group and leaf.
    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    longest: Mapping[tuple[int, int], int] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> ParquetFile:
        """Read schema, footer and dictionaries.

        Raises:
            DataError: the file is damaged (D130), it decodes to more than texts can be (D131), or
                there are too many columns (D116).
        """
        import pyarrow.parquet as pq

        with coded(str(path), "Parquet"):
            require_regular_file(path)
            with pq.ParquetFile(path) as file:
                _check_footer(file.metadata, path)
                columns = checked_columns(file.schema_arrow, path)
                leaves = _text_leaves(file.schema)
            paths = [leaf.path for leaf in leaves.values()]
            with pq.ParquetFile(path, read_dictionary=paths, pre_buffer=False) as file:
                longest = dict(_longest_texts(file, leaves))
                _check_dictionaries(file, leaves, longest, path)
            return cls(path, columns, longest=longest)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows, read a few megabytes at a time."""
        return self.chunks_from((0, 0), columns)

    @property
    def is_seekable(self) -> bool:
        """Always."""
        return True

    def marks(self) -> Marks:
        """Return where row groups begin, as the footer says, and some places within large ones."""
        import pyarrow.parquet as pq

        with coded(self.name, "Parquet"), pq.ParquetFile(self.path, pre_buffer=False) as file:
            footer = file.metadata
            sizes = [footer.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts: list[int] = []
        marks: list[tuple[int, ...]] = []
        first = 0
        for group, size in enumerate(sizes):
            for within in range(0, size, _MARKED_ROWS):
                starts.append(first + within)
                marks.append((group, within))
            first += size
        return Marks(first, starts or [0], marks or [(0, 0)])

    def chunks_from(
        self,
        mark: tuple[int, ...],
        columns: Collection[str] | None = None,
        count: int | None = None,
    ) -> Iterator[Sequence[Row]]:
        """Yield the rows from a place in a row group on, numbered from 0."""
        import pyarrow.parquet as pq

        first, skipped = mark
        names = selected(self.columns, columns)
        limit = bomb_limit(self.path.stat().st_size)
        with coded(self.name, "Parquet"), pq.ParquetFile(self.path, pre_buffer=False) as file:
            batches = (
                batch
                for group in range(first, file.num_row_groups)
                for batch in file.iter_batches(
                    batch_size=self._rows_at_once(file, group, names),
                    row_groups=[group],
                    columns=names,
                    use_threads=False,
                )
            )
            yield from rows_of(_without_first(batches, skipped), names, self.name, limit)

    def places_from(self, mark: tuple[int, ...], indices: Collection[int]) -> dict[int, Place]:
        """Return the numbers of some rows, which are numbered from a mark on."""
        marks = self.marks()
        start = marks.starts[marks.marks.index(mark)]
        return {index: Place(self.name, row=start + index) for index in indices}

    def _rows_at_once(self, file: Any, group: int, names: Sequence[str]) -> int:
        """Return how many rows of a row group decode to a few megabytes."""
        roots = {name.split(".")[0] for name in names}
        footer = file.metadata.row_group(group)
        size: int = sum(
            chunk.total_uncompressed_size + chunk.num_values * self.longest.get((group, i), 8)
            for i, chunk in enumerate(map(footer.column, range(footer.num_columns)))
            if chunk.path_in_schema.split(".")[0] in roots
        )
        per_row = max(1, size // max(1, footer.num_rows))
        return int(max(1, min(4 * CHUNK_ROWS, CHUNK_BYTES // per_row)))


def _without_first(batches: Iterable[Any], count: int) -> Iterator[Any]:
    """Yield batches without so many rows at their start; these are decoded, but not made rows."""
    for batch in batches:
        if count < batch.num_rows:
            yield batch.slice(count) if count else batch
        count = max(0, count - batch.num_rows)


def _text_leaves(schema: Any) -> dict[int, Any]:
    """Return the leaves of a Parquet schema with texts or bytes, by their numbers."""
    leaves = ((i, schema.column(i)) for i in range(len(schema)))
    return {i: leaf for i, leaf in leaves if leaf.physical_type == "BYTE_ARRAY"}


def _longest_texts(file: Any, leaves: Mapping[int, Any]) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield the bytes of the longest text of each dictionary, 0 without one, by its row group."""
    for group in range(file.num_row_groups):
        footer = file.metadata.row_group(group)
        for i, leaf in leaves.items() if footer.num_rows else ():
            batches = file.iter_batches(
                batch_size=1, row_groups=[group], columns=[leaf.path], use_threads=False
            )
            try:
                yield (group, i), _longest_in(next(batches).column(0))
            except pa.ArrowNotImplementedError:  # a first list over several dictionaries
                yield (group, i), footer.column(i).total_uncompressed_size


def _longest_in(values: Any) -> int:
    """Return the size of the longest text in the dictionary of a column, however nested."""
    if pa.types.is_dictionary(values.type):
        longest = pc.max(pc.binary_length(values.dictionary)).as_py()
        return int(longest or 0)
    if pa.types.is_struct(values.type):
        return max(map(_longest_in, values.flatten()), default=0)
    return _longest_in(values.flatten()) if pa.types.is_nested(values.type) else 0


def _check_dictionaries(
    file: Any, leaves: Mapping[int, Any], longest: Mapping[tuple[int, int], int], path: Path
) -> None:
    """Bound what texts decode to that dictionaries repeat.

    Raises:
        DataError: it is too much (D131).
    """
    limit = bomb_limit(path.stat().st_size)
    most = {
        (group, i): size * file.metadata.row_group(group).column(i).num_values
        for (group, i), size in longest.items()
    }
    nested = [at for at in most if leaves[at[1]].max_repetition_level]
    if (size := sum(most[at] for at in nested)) > limit:  # lists are not read to be counted
        raise too_large_decoded(str(path), size)
    if sum(most.values()) <= limit:
        return
    size = 0
    for group, i in most.keys() - nested:
        for batch in file.iter_batches(
            row_groups=[group], columns=[leaves[i].path], use_threads=False
        ):
            size += int(decoded_sizes(batch.column(0)).sum())
        if size > limit:
            raise too_large_decoded(str(path), size)


def _check_footer(footer: Any, path: Path) -> None:
    """Compare the sizes in a Parquet footer with that of its file.

    Raises:
        DataError: they are too large (D131).
    """
    limit = bomb_limit(path.stat().st_size)
    if footer.num_rows > limit:
        raise too_large_decoded(str(path), footer.num_rows)
    size = sum(
        max(chunk.total_uncompressed_size, chunk.num_values // 8)
        for group in range(footer.num_row_groups)
        for chunk in map(footer.row_group(group).column, range(footer.num_columns))
    )
    if size > limit:
        raise too_large_decoded(str(path), size)


FORMAT = Format(
    "Parquet",
    (".parquet",),
    lambda path, _options: ParquetFile.open(path),
    first_bytes=(b"PAR1",),
)
