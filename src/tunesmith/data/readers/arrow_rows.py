"""Arrow batches as rows, in bounded memory whatever a batch decodes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunesmith.data.rows import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    Column,
    Row,
    distinct_columns,
    too_long,
    too_many_columns,
)
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _

__all__ = [
    "bomb_limit",
    "checked_columns",
    "columns_of",
    "decoded_sizes",
    "rows_of",
    "too_large_decoded",
    "type_name",
]

_BOMB_TIMES, _BOMB_BYTES = 200, 512 << 20
"""A file that decodes to more than this many times its size, and more bytes, is refused."""


def type_name(kind: Any) -> str:
    """Return the name of an Arrow type, such as "text" or "integer"."""
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
    """Return the columns of a schema, in its order."""
    return [Column(field.name, type_name(field.type)) for field in schema]


def checked_columns(schema: Any, path: Path) -> tuple[Column, ...]:
    """Return the columns of the schema of a file, each name once.

    Raises:
        DataError: there are too many (D116).
    """
    if len(schema) > MAX_COLUMNS:
        raise DataError(too_many_columns(len(schema), Place(str(path))))
    return distinct_columns(columns_of(schema))


def bomb_limit(file_size: int) -> int:
    """Return the bytes that a file of this size may decode to."""
    return max(_BOMB_BYTES, _BOMB_TIMES * file_size)


def too_large_decoded(source: str, size: int) -> DataError:
    """Return the error for a file that decodes to more than `bomb_limit` (D131)."""
    message = _("it decodes to more than {times} times its size ({size} MB)").format(
        times=_BOMB_TIMES, size=size >> 20
    )
    fix = _("If that is right, save it as CSV or JSON lines.")
    return DataError.of("D131", message, Place(source), fix=fix)


def rows_of(
    batches: Iterable[Any], names: Sequence[str], source: str, limit: int | None = None
) -> Iterator[Sequence[Row]]:
    """Yield the rows of Arrow batches in chunks, numbered from 0.

    Args:
        batches: with the columns of `names`, and maybe others.
        names: of the columns; none for rows without values.
        source: the name of the data in messages.
        limit: bytes that all batches may decode to.

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
    """Yield the parts of a batch: at most `CHUNK_ROWS` rows, and about `CHUNK_BYTES` decoded."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + CHUNK_BYTES, side="right"))
        stop = min(max(fitting, start + 1), start + CHUNK_ROWS, len(sizes))
        yield start, stop
        start = stop


def decoded_sizes(column: Any) -> NDArray[np.int64]:
    """Return the bytes of each value when decoded: texts, binaries, lists and structs of them.

    Args:
        column: an Arrow array; dictionaries are not decoded.

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
        columns = [_as_text_if_too_late(column) for column in columns]
        records = pa.RecordBatch.from_arrays(columns, names=list(names)).to_pylist()
    return records


def _as_text_if_too_late(column: Any) -> Any:
    """Return a column as texts if Python cannot hold its times, such as those of the year 20000."""
    if not pa.types.is_temporal(column.type):
        return column
    try:
        column.to_pylist()
    except (ValueError, OverflowError):
        return pc.cast(column, pa.string())
    return column
