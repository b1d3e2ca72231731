"""Parquet, Arrow, data sets of the `datasets` library, pandas frames and lists of dicts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tunesmith.data.findings import Findings, unwritable_in
from tunesmith.data.readers.arrow_rows import (
    bomb_limit,
    columns_of,
    decoded_sizes,
    rows_of,
    too_large_decoded,
    type_name,
)
from tunesmith.data.readers.parquet_sizes import (
    check_dictionaries,
    check_footer,
    longest_texts,
    text_leaves,
)
from tunesmith.data.readers.read_errors import coded
from tunesmith.data.readers.text_file import require_regular_file
from tunesmith.data.rows import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    MAX_COLUMNS,
    BadRecordsError,
    Column,
    Rejected,
    Row,
    distinct_columns,
    too_many_columns,
)
from tunesmith.errors import DataError, Place, Problem
from tunesmith.i18n import gettext as _

__all__ = ["ArrowFile", "HubSplit", "Memory", "ParquetFile"]

_COUNTED_BYTES = 64 << 20
"""Smaller Arrow files, which may be packed, are counted before any row is decoded."""


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
    """A Parquet file.

    Attributes:
        longest: bytes of the longest text in the dictionary of each column of texts, by the numbers
            of row group and leaf. The footer tells the size as it is stored, where a few bytes may
            name one text of a megabyte a million times; these tell what rows may decode to.
    """

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
                check_footer(file.metadata, path)
                columns = _checked_columns(file.schema_arrow, path)
                leaves = text_leaves(file.schema)
            paths = [leaf.path for leaf in leaves.values()]
            with pq.ParquetFile(path, read_dictionary=paths, pre_buffer=False) as file:
                longest = dict(longest_texts(file, leaves))
                check_dictionaries(file, leaves, longest, path)
            return cls(path, columns, longest=longest)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, read in pieces of some megabytes."""
        import pyarrow.parquet as pq

        names = [c.name for c in self.columns if columns is None or c.name in columns]
        limit = bomb_limit(self.path.stat().st_size)
        with coded(self.name, "Parquet"), pq.ParquetFile(self.path, pre_buffer=False) as file:
            batches = (
                batch
                for group in range(file.num_row_groups)
                for batch in file.iter_batches(
                    batch_size=self._rows_at_once(file, group, names),
                    row_groups=[group],
                    columns=names,
                    use_threads=False,
                )
            )
            yield from rows_of(batches, names, self.name, limit)

    def _rows_at_once(self, file: Any, group: int, names: Sequence[str]) -> int:
        """As many rows of a row group as decode to some megabytes."""
        wanted = {name.split(".")[0] for name in names}
        footer = file.metadata.row_group(group)
        size: int = sum(
            chunk.total_uncompressed_size + chunk.num_values * self.longest.get((group, i), 8)
            for i, chunk in enumerate(map(footer.column, range(footer.num_columns)))
            if chunk.path_in_schema.split(".")[0] in wanted
        )
        per_row = max(1, size // max(1, footer.num_rows))
        return int(max(1, min(4 * CHUNK_ROWS, CHUNK_BYTES // per_row)))


@dataclass(frozen=True)
class ArrowFile(_ColumnarFile):
    """An Arrow IPC file or stream, memory-mapped."""

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
                columns = _checked_columns(schema, path)
                file_size = path.stat().st_size
                if file_size < _COUNTED_BYTES or "dictionary" in str(schema):
                    _check_batches(batches, bomb_limit(file_size), path)
                return cls(path, columns)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, in the pieces they were written in."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        with coded(self.name, "Arrow"), _arrow_reader(self.path) as (_schema, batches):
            limit = bomb_limit(self.path.stat().st_size)
            yield from rows_of(batches, names, self.name, limit)


def _check_batches(batches: Iterable[Any], limit: int, path: Path) -> None:
    """See what batches decode to, by their offsets and dictionaries.

    Raises:
        DataError: to too much (D131).
    """
    size = 0
    for batch in batches:
        size += sum(int(decoded_sizes(column).sum()) for column in batch.columns)
        if size > limit:
            raise too_large_decoded(str(path), size)


@contextmanager
def _arrow_reader(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema and the batches of an IPC file, or of an IPC stream as `datasets` writes them."""
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
    """The batch, if its offsets stay within its buffers: a flipped bit must not lead out."""
    batch.validate(full=True)
    return batch


def _checked_columns(schema: Any, path: Path) -> tuple[Column, ...]:
    if len(schema) > MAX_COLUMNS:
        raise DataError(too_many_columns(len(schema), Place(str(path))))
    return distinct_columns(columns_of(schema))


@dataclass(frozen=True)
class HubSplit:
    """One split of a `datasets` data set: from the Hub, from `save_to_disk`, or from Python.

    Attributes:
        dataset: a `datasets.Dataset`, which maps its file into memory.
        name: the data set and the split.
        revision: the commit it was read at, if it came from the Hub.
        repository: its repository there, without the configuration.
    """

    dataset: Any
    name: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    revision: str | None = None
    repository: str | None = None

    @classmethod
    def of(
        cls, dataset: Any, name: str, *, revision: str | None = None, repository: str | None = None
    ) -> HubSplit:
        """Wrap a `datasets.Dataset`."""
        columns = tuple(_feature_column(key, kind) for key, kind in dataset.features.items())
        rows = dataset.with_format("arrow")
        return cls(rows, name, columns, revision=revision, repository=repository)

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows, read in pieces from the mapped file."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        chosen = self.dataset.select_columns(names) if names else self.dataset
        with coded(self.name, "Arrow"):
            tables = (
                chosen[start : start + CHUNK_ROWS]
                for start in range(0, len(self.dataset), CHUNK_ROWS)
            )
            batches = (batch for table in tables for batch in table.to_batches())
            yield from rows_of(batches, names, self.name)

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
        return Column(name, type_name(feature.pa_type))
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
        named_otherwise = False
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
                named_otherwise = named_otherwise or not isinstance(key, str)
        if named_otherwise:
            records = [{str(key): value for key, value in record.items()} for record in records]
        return cls(records, name, tuple(Column(key, kind) for key, kind in types.items()))

    @classmethod
    def of_frame(cls, frame: Any, name: str) -> Memory:
        """Wrap a pandas frame; its missing values become None."""
        once = frame.loc[:, ~frame.columns.duplicated()]
        try:
            table = pa.Table.from_pandas(once, preserve_index=False)
            records: list[dict[str, object]] = table.to_pylist()
            types = {column.name: column.type for column in columns_of(table.schema)}
        except (pa.ArrowException, ValueError, TypeError, OverflowError):  # numbers beside texts
            records = _plain_records(once)
            types = {column.name: column.type for column in cls.of_records(records, name).columns}
        columns = [Column(str(key), types.get(str(key), "text")) for key in frame.columns]
        return cls(records, name, distinct_columns(columns))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """All rows; a `BadRecordsError` after them if some cannot be written (D142, D140)."""
        names = [c.name for c in self.columns if columns is None or c.name in columns]
        findings = Findings(self)
        bad: list[Rejected] = []
        for start in range(0, len(self.records), CHUNK_ROWS):
            chunk = []
            for index, record in enumerate(self.records[start : start + CHUNK_ROWS], start):
                row = Row(index, {name: record.get(name) for name in names})
                if finding := unwritable_in(row.values):
                    findings.add(index, finding)
                    bad.append(Rejected(self._place(index), finding.code, finding.message))
                else:
                    chunk.append(row)
            if chunk:
                yield chunk
        if findings:
            raise BadRecordsError(findings.problems(), bad)

    def places(self, indices: Collection[int]) -> dict[int, Place]:
        """Rows by their number."""
        return {index: self._place(index) for index in indices}

    def _place(self, index: int) -> Place:
        return Place(self.name, row=index)


def _plain_records(frame: Any) -> list[dict[str, object]]:
    """The rows of a frame whose columns mix types, with None for what is missing."""
    columns = [str(key) for key in frame.columns]
    return [
        dict(zip(columns, map(_plain, row), strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> object:
    is_nan = isinstance(value, float) and math.isnan(value)
    if is_nan or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.item() if type(value).__module__ == "numpy" and value.ndim == 0 else value


def _type_of(value: object) -> str:
    known = ((bool, "boolean"), (str, "text"), (int, "integer"), (float, "number"), (list, "list"))
    return next((word for kind, word in known if isinstance(value, kind)), type(value).__name__)
