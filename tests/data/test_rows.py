from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.columnar import Memory
from tunesmith.data.rows import Concatenated, first_rows


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
