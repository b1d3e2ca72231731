"""Parquet, Arrow, data sets of the `datasets` library, pandas frames and lists of dicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunesmith.data.rows import CHUNK_ROWS, Column, Row
from tunesmith.errors import DataError, Place, Problem
from tunesmith.language import gettext as _

__all__ = ["ArrowFile", "HubSplit", "Memory", "ParquetFile"]


def _type_in_words(kind: Any) -> str:
    """An Arrow type as people call it."""
    if pa.types.is_dictionary(kind):
        return _type_in_words(kind.value_type)
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string),
        "boolean": (pa.types.is_boolean,),
        "integer": (pa.types.is_integer,),
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "list": (pa.types.is_list, pa.types.is_large_list),
    }
    words = (word for word, checks in tests.items() if any(check(kind) for check in checks))
    return next(words, str(kind))


def _columns(schema: Any) -> tuple[Column, ...]:
    return tuple(Column(field.name, _type_in_words(field.type)) for field in schema)


def _rows_of(batches: Iterator[Any]) -> Iterator[Sequence[Row]]:
    """Arrow batches as rows, numbered through."""
    index = 0
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            part = batch.slice(start, CHUNK_ROWS)
            records = part.to_pylist() if part.num_columns else [{}] * part.num_rows
            yield [Row(index + i, record) for i, record in enumerate(records)]
            index += part.num_rows


@contextmanager
def _telling_damage(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise DataError(
                Problem(
                    "D105",
                    _("cannot read the file: {reason}").format(reason=error.strerror),
                    Place(str(path)),
                )
            ) from error
        raise DataError(
            Problem(
                "D130",
                _("not a whole {kind} file ({size} bytes): {reason}").format(
                    kind=kind, size=path.stat().st_size, reason=str(error).splitlines()[0]
                ),
                Place(str(path)),
                fix=_("It may be cut off; copy or export it again."),
            )
        ) from error


@dataclass(frozen=True)
class _ColumnarFile:
    path: Path
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Rows of a columnar file have numbers, no lines."""
        return {index: Place(self.name, row=index) for index in indices}


@dataclass(frozen=True)
class ParquetFile(_ColumnarFile):
    """A Parquet file."""

    @classmethod
    def open(cls, path: Path) -> ParquetFile:
        """Read the schema; raises `DataError` if the file is damaged (D130)."""
        import pyarrow.parquet as pq

        with _telling_damage(path, "Parquet"):
            return cls(path, _columns(pq.read_schema(path)))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, read in pieces."""
        import pyarrow.parquet as pq

        names = [c.name for c in self.columns if columns is None or c.name in columns]
        with _telling_damage(self.path, "Parquet"), pq.ParquetFile(self.path) as file:
            yield from _rows_of(file.iter_batches(batch_size=CHUNK_ROWS * 4, columns=names))


@dataclass(frozen=True)
class ArrowFile(_ColumnarFile):
    """An Arrow IPC file or stream, memory-mapped."""

    @classmethod
    def open(cls, path: Path) -> ArrowFile:
        """Read the schema; raises `DataError` if the file is damaged (D130)."""
        with _telling_damage(path, "Arrow"), _arrow_reader(path) as (schema, _batches):
            return cls(path, _columns(schema))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, in the pieces they were written in."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        with _telling_damage(self.path, "Arrow"), _arrow_reader(self.path) as (_schema, batches):
            yield from _rows_of(batch.select(names) for batch in batches)


@contextmanager
def _arrow_reader(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema and the batches of an IPC file, or of an IPC stream as `datasets` writes them."""
    with pa.memory_map(str(path)) as mapped:
        if mapped.read(6) == b"ARROW1":
            mapped.seek(0)
            reader = pa.ipc.open_file(mapped)
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            mapped.seek(0)
            stream = pa.ipc.open_stream(mapped)
            yield stream.schema, iter(stream)


@dataclass(frozen=True)
class HubSplit:
    """One split of a `datasets` data set: from the Hub, from `save_to_disk`, or from Python.

    Attributes:
        dataset: a `datasets.Dataset`, which maps its file into memory.
        name: the data set and the split.
        revision: the commit it was read at, if it came from the Hub.
    """

    dataset: Any
    name: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    revision: str | None = None

    @classmethod
    def of(cls, dataset: Any, name: str, *, revision: str | None = None) -> HubSplit:
        """Wrap a `datasets.Dataset`."""
        columns = tuple(_feature_column(key, kind) for key, kind in dataset.features.items())
        return cls(dataset.with_format("arrow"), name, columns, revision=revision)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, read in pieces from the mapped file."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        chosen = self.dataset.select_columns(names) if names else self.dataset
        for start in range(0, len(self.dataset), CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, len(self.dataset))
            records = chosen[start:stop].to_pylist() if names else [{}] * (stop - start)
            yield [Row(start + i, record) for i, record in enumerate(records)]

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Rows of a data set have numbers, as `dataset[15]` shows them."""
        return {index: Place(self.name, row=index) for index in indices}


def _feature_column(name: str, feature: Any) -> Column:
    inner = getattr(feature, "feature", None)
    own_names, item_names = getattr(feature, "names", None), getattr(inner, "names", None)
    if own_names is not None:
        return Column(name, "ClassLabel", tuple(own_names))
    if inner is not None or isinstance(feature, list):
        return Column(name, "list", tuple(item_names) if item_names else None)
    try:
        return Column(name, _type_in_words(feature.pa_type))
    except AttributeError:
        return Column(name, type(feature).__name__)


@dataclass(frozen=True)
class Memory:
    """Rows that are in memory already: a list of dicts, or a pandas frame."""

    records: Sequence[Mapping[str, object]]
    name: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of_records(cls, records: Sequence[Mapping[str, object]], name: str) -> Memory:
        """Wrap a list of dicts.

        Raises:
            DataError: something in the list is not a dict (D144).
        """
        types: dict[str, str] = {}
        for i, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise DataError(
                    Problem(
                        "D144",
                        _("not an object with columns: {text}").format(text=repr(record)[:80]),
                        Place(name, row=i),
                    )
                )
            for key, value in record.items():
                if value is not None:
                    types.setdefault(str(key), _type_of(value))
        return cls(records, name, tuple(Column(key, kind) for key, kind in types.items()))

    @classmethod
    def of_frame(cls, frame: Any, name: str) -> Memory:
        """Wrap a pandas frame; its missing values become None."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        found = cls.of_records(table.to_pylist(), name)
        return cls(found.records, name, _columns(table.schema))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        for start in range(0, len(self.records), CHUNK_ROWS):
            part = self.records[start : start + CHUNK_ROWS]
            yield [
                Row(start + i, {name: record.get(name) for name in names})
                for i, record in enumerate(part)
            ]

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Rows by their number."""
        return {index: Place(self.name, row=index) for index in indices}


def _type_of(value: object) -> str:
    known = ((bool, "boolean"), (str, "text"), (int, "integer"), (float, "number"), (list, "list"))
    return next((word for kind, word in known if isinstance(value, kind)), type(value).__name__)
