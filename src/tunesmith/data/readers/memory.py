"""Rows that are in memory: lists of dicts and pandas frames."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tunesmith.data.findings import BadRecords, unwritable_in
from tunesmith.data.readers.arrow_rows import columns_of
from tunesmith.data.rows import (
    CHUNK_ROWS,
    Column,
    NumberedRows,
    Row,
    distinct_columns,
    selected,
)
from tunesmith.errors import DataError, Place
from tunesmith.i18n import gettext as _

__all__ = ["Memory"]


@dataclass(frozen=True)
class Memory(NumberedRows):
    """Rows from Python: a list of dicts, or a pandas frame."""

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
        has_other_keys = False
        for i, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise DataError.of(
                    "D144",
                    _("not an object with columns: {text}").format(text=repr(record)[:80]),
                    Place(name, row=i),
                    fix=_("Each record is one object: {example}").format(
                        example='{"text": "…", "label": "…"}'
                    ),
                )
            for key, value in record.items():
                if value is not None:
                    types.setdefault(str(key), _type_of(value))
                has_other_keys = has_other_keys or not isinstance(key, str)
        if has_other_keys:
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
        except (pa.ArrowException, ValueError, TypeError, OverflowError):  # a column mixes types
            records = _plain_records(once)
            types = {column.name: column.type for column in cls.of_records(records, name).columns}
        columns = [Column(str(key), types.get(str(key), "text")) for key in frame.columns]
        return cls(records, name, distinct_columns(columns))

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        """Yield all rows; then raise a `BadRecordsError` for the others (D142, D140)."""
        names = selected(self.columns, columns)
        bad = BadRecords(self)
        for start in range(0, len(self.records), CHUNK_ROWS):
            chunk = []
            for index, record in enumerate(self.records[start : start + CHUNK_ROWS], start):
                row = Row(index, {name: record.get(name) for name in names})
                if finding := unwritable_in(row.values):
                    bad.reject(index, finding, Place(self.name, row=index))
                else:
                    chunk.append(row)
            if chunk:
                yield chunk
        bad.raise_if_any()


def _plain_records(frame: Any) -> list[dict[str, object]]:
    """Return the rows of a frame whose columns mix types, with None for missing values."""
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
