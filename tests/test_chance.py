from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunesmith.chance import mixed, seed_of, uniform

numbers = st.integers(0, 2**63)


@given(numbers, numbers)
def test_mixing_is_one_to_one_and_moves_half_the_bits(one: int, other: int) -> None:
    a, b = mixed(np.array([one, other], dtype=np.uint64))
    assert (a == b) == (one == other)
    neighbour = mixed(np.array([one ^ 1], dtype=np.uint64))[0]
    assert 8 < int(a ^ neighbour).bit_count() < 56


@given(st.lists(numbers, min_size=1, max_size=4))
def test_the_order_and_number_of_parts_count(parts: list[int]) -> None:
    assert seed_of(*parts) == seed_of(*parts)
    assert seed_of(*parts) != seed_of(*parts, 0)
    if parts != parts[::-1]:
        assert seed_of(*parts) != seed_of(*parts[::-1])


def test_negative_numbers_are_seeds_too() -> None:
    assert seed_of(-1) != seed_of(1)


def test_numbers_are_even_and_hang_on_their_place_alone() -> None:
    rows, columns = np.arange(300)[:, None], np.arange(200)[None, :]
    found = uniform(7, rows, columns)
    assert found.shape == (300, 200)
    assert found.min() >= 0 and found.max() < 1
    assert stats.kstest(found.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(uniform(7, rows[5:9], columns), found[5:9])
    assert not np.isclose(uniform(8, rows, columns), found).any()
