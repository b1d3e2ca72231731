from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from tunesmith.data.readers.arrow_rows import (
    bomb_limit,
    columns_of,
    rows_of,
    too_large_decoded,
    type_name,
)
from tunesmith.data.rows import Row
from tunesmith.errors import DataError, Problem


def rows(
    *batches: pa.RecordBatch, names: list[str] | None = None, limit: int | None = None
) -> list[Row]:
    expected = batches[0].schema.names if names is None else names
    return [row for chunk in rows_of(batches, expected, "a", limit) for row in chunk]


def problem(*batches: pa.RecordBatch, limit: int | None = None) -> Problem:
    with pytest.raises(DataError) as caught:
        rows(*batches, limit=limit)
    (result,) = caught.value.problems
    return result


def batch(**columns: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


VALUES = {
    "text": ["a", None, "打印机"],
    "number": [1, None, 3],
    "share": [0.5, None, 2.0],
    "flag": [True, None, False],
    "labels": [["x", "y"], [], None],
    "nested": [{"a": "b", "c": 1}, None, {"a": None, "c": 2}],
    "bytes": [b"\xff", None, b""],
    "day": [datetime.date(2026, 11, 30), None, datetime.date(1, 1, 1)],
}


def test_rows_hold_what_arrow_holds() -> None:
    records = [
        dict(zip(VALUES, record, strict=True)) for record in zip(*VALUES.values(), strict=True)
    ]
    result = rows(batch(**VALUES), batch(**VALUES))
    assert [row.values for row in result] == records * 2
    assert [row.index for row in result] == list(range(6))


def test_dictionaries_of_texts_and_lists_of_them() -> None:
    texts = pa.array(["a", "b", None, "a"]).dictionary_encode()
    lists = pa.ListArray.from_arrays(
        [0, 2, 2, 3, 4], pa.array(["x", "y", "x", "z"]).dictionary_encode()
    )
    result = rows(pa.RecordBatch.from_arrays([texts, lists], names=["t", "l"]))
    assert [row.values["t"] for row in result] == ["a", "b", None, "a"]
    assert [row.values["l"] for row in result] == [["x", "y"], [], ["x"], ["z"]]


def test_of_columns_of_one_name_the_first_is_read() -> None:
    both = pa.RecordBatch.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["t", "t"])
    assert rows(both, names=["t"])[0].values == {"t": "a"}


def test_no_columns_are_rows_without_values() -> None:
    assert [row.values for row in rows(batch(a=[1, 2]), names=[])] == [{}, {}]


def test_chunks_are_of_rows_and_of_bytes() -> None:
    many = batch(text=["a"] * 2500)
    assert [len(chunk) for chunk in rows_of([many], ["text"], "a")] == [1000, 1000, 500]
    large = batch(text=["x" * 2_000_000] * 5)
    assert [len(chunk) for chunk in rows_of([large], ["text"], "a")] == [2, 2, 1]
    assert list(rows_of([many.slice(0, 0)], ["text"], "a")) == []


@pytest.mark.parametrize("kind", ["text", "dictionary", "list", "struct"])
def test_a_row_without_end_is_refused(kind: str) -> None:
    long = "x" * 10_000_001
    made = {
        "text": pa.array(["a", long]),
        "dictionary": pa.array(["a", long]).dictionary_encode(),
        "list": pa.array([["a"], ["b", long]]),
        "struct": pa.array([{"k": "a"}, {"k": long}]),
    }[kind]
    result = problem(batch(n=[1, 2, 3]), pa.RecordBatch.from_arrays([made], names=["n"]))
    assert (result.code, str(result.place)) == ("D150", "a[4]")


def test_a_row_of_ten_megabytes_is_read() -> None:
    assert len(str(rows(batch(t=["x" * 10_000_000]))[0].values["t"])) == 10_000_000


def test_what_decodes_to_more_than_the_limit_is_refused_after_the_rows_before() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 1_000_000])
    bomb = pa.RecordBatch.from_arrays([texts], names=["t"])
    seen = 0
    with pytest.raises(DataError) as caught:
        for chunk in rows_of([bomb], ["t"], "a.parquet", 100 << 20):
            seen += len(chunk)
    (result,) = caught.value.problems
    assert (result.code, str(result.place)) == ("D131", "a.parquet")
    assert 80 <= seen <= 104
    assert len(rows(batch(t=["abc"] * 4), limit=12)) == 4
    assert problem(batch(t=["abc"] * 4), limit=11).code == "D131"


def test_the_limit_grows_with_the_file() -> None:
    assert bomb_limit(0) == 512 << 20
    assert bomb_limit(10 << 20) == 2000 << 20
    (result,) = too_large_decoded("a", 5 << 20).problems
    assert "more than 200 times its size (5 MB)" in result.message


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("us"), pa.date32(), pa.duration("s")], ids=str
)
def test_times_that_python_cannot_hold_are_texts(kind: pa.DataType) -> None:
    integers = pa.int32() if kind == pa.date32() else pa.int64()
    far = 2**31 - 1 if kind == pa.date32() else 2**62
    times = pa.array([1, far], integers).view(kind)
    result = rows(pa.RecordBatch.from_arrays([times, pa.array(["a", "b"])], names=["when", "text"]))
    assert [row.values["text"] for row in result] == ["a", "b"]
    assert all(isinstance(row.values["when"], str) for row in result)


def test_what_is_no_unicode_is_an_error() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    with pytest.raises(UnicodeDecodeError):
        rows(pa.RecordBatch.from_arrays([broken], names=["t"]))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (pa.string(), "text"),
        (pa.large_string(), "text"),
        (pa.string_view(), "text"),
        (pa.dictionary(pa.int32(), pa.string()), "text"),
        (pa.bool_(), "boolean"),
        (pa.int8(), "integer"),
        (pa.uint64(), "integer"),
        (pa.float32(), "number"),
        (pa.decimal128(5, 2), "number"),
        (pa.list_(pa.string()), "list"),
        (pa.large_list(pa.int8()), "list"),
        (pa.binary(), "binary"),
        (pa.date32(), "date32[day]"),
    ],
)
def test_types_as_users_call_them(kind: pa.DataType, word: str) -> None:
    assert type_name(kind) == word
    (column,) = columns_of(pa.schema([("c", kind)]))
    assert (column.name, column.type, column.duplicates) == ("c", word, ())
