from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunesmith.rng import seed_of, splitmix64, uniform_at

numbers = st.integers(0, 2**63)
FULL = (1 << 64) - 1


def reference(value: int) -> int:
    """The finalizer in Python's whole numbers, as its authors print it."""
    z = (value + 0x9E3779B97F4A7C15) & FULL
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & FULL
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & FULL
    return z ^ (z >> 31)


@given(st.integers(0, FULL))
def test_it_is_splitmix64(value: int) -> None:
    assert int(splitmix64(np.array([value], dtype=np.uint64))[0]) == reference(value)


def test_it_begins_like_the_published_generator() -> None:
    """The first numbers that splitmix64 draws from the seed 1234567."""
    states = (1234567 + np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & FULL
    assert splitmix64(states.astype(np.uint64)).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
    ]  # fmt: skip


@given(st.integers(-5, FULL), st.integers(0, 2**40))
def test_seeds_and_numbers_follow_from_it(seed: int, number: int) -> None:
    state = reference(reference(seed & FULL))
    assert seed_of(seed) == state
    drawn = reference(state ^ reference(number))
    assert seed_of(seed, number) == drawn
    (value,) = uniform_at(seed, np.array([number]))
    assert value == (drawn >> 11) / 2**53


@given(numbers, numbers)
def test_mixing_is_one_to_one_and_moves_half_the_bits(one: int, other: int) -> None:
    a, b = splitmix64(np.array([one, other], dtype=np.uint64))
    assert (a == b) == (one == other)
    neighbor = splitmix64(np.array([one ^ 1], dtype=np.uint64))[0]
    assert 8 < int(a ^ neighbor).bit_count() < 56


@given(st.lists(numbers, min_size=1, max_size=4))
def test_the_order_and_number_of_parts_count(parts: list[int]) -> None:
    assert seed_of(*parts) == seed_of(*parts)
    assert seed_of(*parts) != seed_of(*parts, 0)
    if parts != parts[::-1]:
        assert seed_of(*parts) != seed_of(*parts[::-1])


def test_negative_numbers_are_seeds_too() -> None:
    assert seed_of(-1) != seed_of(1)


def test_numbers_are_even_and_depend_only_on_their_element() -> None:
    rows, columns = np.arange(300)[:, None], np.arange(200)[None, :]
    numbers = uniform_at(7, rows, columns)
    assert numbers.shape == (300, 200)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(uniform_at(7, rows[5:9], columns), numbers[5:9])
    assert not np.isclose(uniform_at(8, rows, columns), numbers).any()
