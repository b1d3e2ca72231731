from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import (
    CHUNK_BYTES,
    Column,
    Concatenated,
    Row,
    distinct_columns,
    first_rows,
    in_chunks,
    too_long,
    too_many_columns,
)
from tunesmith.errors import Place


def memory(count: int, name: str = "m") -> Memory:
    return Memory.of_records([{"text": f"{name}{i}", "n": i} for i in range(count)], name)


@given(st.lists(st.integers(1, 2500), min_size=1, max_size=3))
def test_parts_are_numbered_through(sizes: list[int]) -> None:
    joined = Concatenated(tuple(memory(size, f"part{i}") for i, size in enumerate(sizes)))
    rows = [row for chunk in joined.chunks() for row in chunk]
    assert [row.index for row in rows] == list(range(sum(sizes)))
    assert all(b.index == a.index + 1 for a, b in pairwise(rows))


def test_places_name_the_part() -> None:
    joined = Concatenated((memory(3, "first"), memory(3, "second")))
    places = joined.places([1, 4])
    assert str(places[1]) == "first[1]"
    assert str(places[4]) == "second[1]"
    assert joined.name == "first, second"


def test_first_rows_stop_early_and_take_columns() -> None:
    rows = first_rows(memory(10), 3, ["n"])
    assert [dict(row.values) for row in rows] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_rows_are_handed_on_by_number_and_by_size() -> None:
    def lengths(sizes: list[int]) -> list[int]:
        rows = ((Row(i, {}), size) for i, size in enumerate(sizes))
        return [len(chunk) for chunk in in_chunks(rows)]

    assert lengths([]) == []
    assert lengths([1] * 1000) == [1000]
    assert lengths([1] * 2001) == [1000, 1000, 1]
    half = CHUNK_BYTES // 2
    assert lengths([half] * 5) == [2, 2, 1]
    assert lengths([half - 1] * 5) == [3, 2]
    assert lengths([half * 9, 1, 1]) == [1, 2]
    (chunk,) = in_chunks([(Row(7, {"a": 1}), 5)])
    assert chunk == [Row(7, {"a": 1})]


def test_names_once_with_the_numbers_of_those_that_bear_them() -> None:
    columns = distinct_columns([Column("a", "text"), Column("b", "list"), Column("a", "integer")])
    assert columns == (Column("a", "text", None, (1, 3)), Column("b", "list"))
    assert distinct_columns([]) == ()


def test_limits_are_reported_with_their_numbers() -> None:
    problem = too_long(Place("a", 3), "split it")
    assert (problem.code, problem.fix) == ("D150", "split it")
    assert problem.message == "a row of more than 10 MB"
    problem = too_many_columns(12_345, Place("a", 1))
    assert problem.code == "D116"
    assert problem.message == "12345 columns; at most 10000 are read"
