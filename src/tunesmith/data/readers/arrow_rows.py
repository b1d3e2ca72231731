"""Arrow batches as rows, in memory that does not grow with what a batch decodes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.data.rows import CHUNK_BYTES, CHUNK_ROWS, MAX_ROW_BYTES, Column, Row, too_long
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = [
    "bomb_limit",
    "columns_of",
    "decoded_sizes",
    "rows_of",
    "too_large_decoded",
    "type_name",
]

_BOMB_TIMES, _BOMB_BYTES = 200, 512 << 20
"""Rows that decode to so many times the size of their file, and to so much, are no texts."""


def type_name(kind: Any) -> str:
    """An Arrow type as people call it."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "boolean": (pa.types.is_boolean,),
        "integer": (pa.types.is_integer,),
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "list": (pa.types.is_list, pa.types.is_large_list),
    }
    words = (word for word, checks in tests.items() if any(check(kind) for check in checks))
    return next(words, str(kind))


def columns_of(schema: Any) -> list[Column]:
    """The columns of a schema, as it lists them."""
    return [Column(field.name, type_name(field.type)) for field in schema]


def bomb_limit(file_size: int) -> int:
    """Bytes that a file of this size may decode to."""
    return max(_BOMB_BYTES, _BOMB_TIMES * file_size)


def too_large_decoded(source: str, size: int) -> DataError:
    """The error for a file that decodes to more than `bomb_limit`."""
    return DataError(
        Problem(
            "D131",
            _("it decodes to more than {times} times its size ({size} MB)").format(
                times=_BOMB_TIMES, size=size >> 20
            ),
            Place(source),
            fix=_("If that is right, save it as CSV or JSON lines."),
        )
    )


def rows_of(
    batches: Iterable[Any], names: Sequence[str], source: str, limit: int | None = None
) -> Iterator[Sequence[Row]]:
    """Arrow batches as rows, numbered through.

    Args:
        batches: that have the columns of `names`, and perhaps others.
        names: of the columns; none for rows without values.
        source: what messages call the data.
        limit: bytes that all may decode to.

    Raises:
        DataError: a row has no end (D150), or all together decode to more than `limit` (D131).
    """
    index = total = 0
    for batch in batches:
        columns = [batch.column(batch.schema.get_all_field_indices(name)[0]) for name in names]
        sizes = np.zeros(batch.num_rows, dtype=np.int64)
        for column in columns:
            sizes += decoded_sizes(column)
        if len(sizes) and sizes.max() > MAX_ROW_BYTES:
            raise DataError(too_long(Place(source, row=index + int(sizes.argmax()))))
        for start, stop in _slices(sizes):
            total += int(sizes[start:stop].sum())
            if limit is not None and total > limit:
                raise too_large_decoded(source, total)
            parts = [column.slice(start, stop - start) for column in columns]
            records = _records(parts, names) if names else [{}] * (stop - start)
            yield [Row(index + i, record) for i, record in enumerate(records)]
            index += stop - start


def _slices(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Parts of a batch of at most `CHUNK_ROWS` rows and about `CHUNK_BYTES` when decoded."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + CHUNK_BYTES, side="right"))
        stop = min(max(fitting, start + 1), start + CHUNK_ROWS, len(sizes))
        yield start, stop
        start = stop


def decoded_sizes(column: Any) -> NDArray[np.int64]:
    """Bytes of each value when decoded: those of texts, binaries, and lists and structs of them.

    Args:
        column: an Arrow array, of which dictionaries stay as they are.

    Returns:
        An array of shape (length of the column,).
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        sizes = decoded_sizes(column.dictionary)
        codes = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        return sizes[codes] if len(sizes) else np.zeros(len(column), dtype=np.int64)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        stops = np.cumsum(counts, dtype=np.int64)
        ends = np.concatenate(([0], np.cumsum(decoded_sizes(column.flatten()))))
        own: NDArray[np.int64] = 8 * counts + ends[stops] - ends[stops - counts]
        return own
    if pa.types.is_struct(kind):
        return sum(map(decoded_sizes, column.flatten()), np.zeros(len(column), dtype=np.int64))
    try:
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    except pa.ArrowNotImplementedError:  # all values are of one size, or of a rare type
        mean = column.nbytes // max(1, len(column))
        return np.full(len(column), mean, dtype=np.int64)
    sizes_of_texts: NDArray[np.int64] = lengths.astype(np.int64)
    return sizes_of_texts


def _records(columns: Sequence[Any], names: Sequence[str]) -> list[dict[str, object]]:
    try:
        records: list[dict[str, object]]
        records = pa.RecordBatch.from_arrays(columns, names=list(names)).to_pylist()
    except (ValueError, OverflowError):
        columns = [_held_by_python(column) for column in columns]
        records = pa.RecordBatch.from_arrays(columns, names=list(names)).to_pylist()
    return records


def _held_by_python(column: Any) -> Any:
    """A column whose times Python cannot hold, such as those of the year 20000, as texts."""
    if not pa.types.is_temporal(column.type):
        return column
    try:
        column.to_pylist()
    except (ValueError, OverflowError):
        return pc.cast(column, pa.string())
    return column
