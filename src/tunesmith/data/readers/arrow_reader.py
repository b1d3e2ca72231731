"""Arrow IPC files and streams, as Feather and `datasets` write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

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
from tunesmith.data.rows import Column, NumberedRows, PathSource, Row, selected

__all__ = ["FORMAT", "ArrowFile"]

_COUNTED_BYTES = 64 << 20
"""Smaller Arrow files, which may be compressed, are counted before any row is decoded."""


@dataclass(frozen=True)
class ArrowFile(NumberedRows, PathSource):
    """An Arrow IPC file or stream, memory-mapped."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> ArrowFile:
        """Read the schema.

        Raises:
            DataError: the file is damaged (D130), it decodes to more than texts can be (D131), or
                there are too many columns (D116).
        """
        with coded(str(path), "Arrow"):
            require_regular_file(path)
            with _arrow_reader(path) as (schema, batches):
                columns = checked_columns(schema, path)
                file_size = path.stat().st_size
                if file_size < _COUNTED_BYTES or "dictionary" in str(schema):
                    _check_batches(batches, bomb_limit(file_size), path)
                return cls(path, columns)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows, batch by batch."""
        names = selected(self.columns, columns)
        with coded(self.name, "Arrow"), _arrow_reader(self.path) as (_schema, batches):
            limit = bomb_limit(self.path.stat().st_size)
            yield from rows_of(batches, names, self.name, limit)


def _check_batches(batches: Iterable[Any], limit: int, path: Path) -> None:
    """Add up what batches decode to, by their offsets and dictionaries.

    Raises:
        DataError: it is too much (D131).
    """
    size = 0
    for batch in batches:
        size += sum(int(decoded_sizes(column).sum()) for column in batch.columns)
        if size > limit:
            raise too_large_decoded(str(path), size)


@contextmanager
def _arrow_reader(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Open an IPC file, or an IPC stream as `datasets` writes it; yield its schema and batches."""
    with pa.memory_map(str(path)) as mapped:
        if mapped.read(6) == b"ARROW1":
            mapped.seek(0)
            reader = pa.ipc.open_file(mapped)
            batches = (_whole(reader.get_batch(i)) for i in range(reader.num_record_batches))
            yield reader.schema, batches
        else:
            mapped.seek(0)
            stream = pa.ipc.open_stream(mapped)
            yield stream.schema, map(_whole, stream)


def _whole(batch: Any) -> Any:
    """Return the batch, if its offsets stay within its buffers: a flipped bit must not lead out."""
    batch.validate(full=True)
    return batch


FORMAT = Format(
    "Arrow",
    (".arrow", ".feather"),
    lambda path, _options: ArrowFile.open(path),
    first_bytes=(b"ARROW1", b"\xff\xff\xff\xff"),
)
