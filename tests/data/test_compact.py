from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.compact import RowNumbers, Texts


@given(st.sets(st.integers(0, 60)))
def test_rising_numbers_are_read_back(numbers: set[int]) -> None:
    rows = RowNumbers()
    for number in sorted(numbers):
        rows.append(number)
    assert len(rows) == len(numbers)
    assert rows.as_array().tolist() == sorted(numbers)
    assert rows.as_array().dtype == np.int64


def test_rows_without_a_gap_take_no_memory() -> None:
    rows = RowNumbers()
    for number in range(1000):
        rows.append(number)
    assert rows._numbers is None
    rows.append(1001)
    assert rows._numbers is not None
    assert rows.as_array().tolist() == [*range(1000), 1001]


@given(st.lists(st.text(max_size=5)))
def test_texts_are_read_back(texts: list[str]) -> None:
    retained = Texts(1000)
    for text in texts:
        retained.append(text)
    assert [retained.get(i) for i in range(len(texts))] == texts
    assert retained.get(len(texts)) is None
    assert retained.get(-1) is None


def test_one_byte_too_many_and_all_texts_are_dropped() -> None:
    retained = Texts(6)
    for text in ("ab", "打", "c"):
        retained.append(text)
    assert retained.get(1) == "打"
    retained.append("d")
    assert [retained.get(i) for i in range(4)] == [None] * 4
    retained.append("e")
    assert retained.get(0) is None
    assert len(retained._content) == len(retained._ends) == 0


def test_half_a_character_is_kept() -> None:
    retained = Texts(100)
    retained.append("\ud800x")
    assert retained.get(0) == "\ud800x"
