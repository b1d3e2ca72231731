from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from tunesmith.training.fast.kernels.numbers import HALF, SINGLE, splitmix64
from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    added,
    divided,
    exp,
    filled,
    first,
    larger,
    largest,
    load,
    load_half,
    multiplied,
    read,
    retained,
    root,
    size_of,
    store,
    store_half,
    subtracted,
    summed,
    write,
)


@njit
def _computed(one, other, target):  # type: ignore[no-untyped-def]
    a, b = load(one), load(other)
    store(target, added(a, b))
    store(target + 64, subtracted(a, b))
    store(target + 128, multiplied(a, b))
    store(target + 192, divided(a, b))
    store(target + 256, root(b))
    store(target + 320, filled(np.float32(2.5)))


@njit
def _widened(halves, target):  # type: ignore[no-untyped-def]
    store(target, load_half(halves))


@njit
def _rounded(singles, target):  # type: ignore[no-untyped-def]
    store_half(target, load(singles))


def test_operations_are_those_of_numbers() -> None:
    one, other = torch.randn(WIDTH + 1)[1:], torch.rand(WIDTH) + 0.5  # not aligned
    results = torch.empty(6, WIDTH)
    _computed(one.data_ptr(), other.data_ptr(), results.data_ptr())
    expected = torch.stack(
        [one + other, one - other, one * other, one / other, other.sqrt(), torch.full((16,), 2.5)]
    )
    torch.testing.assert_close(results, expected, rtol=1e-6, atol=1e-7)


@njit
def _summed(address):  # type: ignore[no-untyped-def]
    return summed(load(address))


def test_sums_have_one_order() -> None:
    values = torch.randn(WIDTH) * 10.0 ** torch.arange(-8, 8)
    halves = values
    while len(halves) > 1:
        halves = halves[: len(halves) // 2] + halves[len(halves) // 2 :]
    assert _summed(values.data_ptr()) == float(halves)


@pytest.mark.parametrize("seed", range(20))
def test_bfloat16_is_widened_and_rounded_as_torch_does(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(-(2**31), 2**31, WIDTH, dtype=np.int32)
    singles = torch.from_numpy(bits).view(torch.float32)
    singles[3], singles[5] = torch.nan, torch.inf
    halves, back = torch.empty(WIDTH, dtype=torch.bfloat16), torch.empty(WIDTH)
    _rounded(singles.data_ptr(), halves.data_ptr())
    torch.testing.assert_close(halves, singles.bfloat16(), rtol=0, atol=0, equal_nan=True)
    _widened(halves.data_ptr(), back.data_ptr())
    torch.testing.assert_close(back, halves.float(), rtol=0, atol=0, equal_nan=True)


@njit
def _powers(values):  # type: ignore[no-untyped-def]
    address = values.ctypes.data
    for j in range(0, len(values), WIDTH):
        store(address + 4 * j, exp(load(address + 4 * j)))


def test_exp_is_exact_to_single_precision() -> None:
    values = -np.geomspace(1e-8, 86, 100_000).astype(np.float32)
    expected = np.exp(values.astype(np.float64))
    _powers(values)
    assert np.abs(values / expected - 1).max() < 3e-7
    ends = np.zeros(WIDTH, dtype=np.float32)
    ends[1:3] = -np.inf, np.nan
    _powers(ends)
    assert ends[0] == 1
    assert 0 <= ends[1] < 1e-37
    assert np.isnan(ends[2])
    assert (ends[3:] == 1).all()


@njit
def _compared(one, other, target, count):  # type: ignore[no-untyped-def]
    store(target, larger(load(one), load(other)))
    store(target + 64, first(load(one), count, np.float32(-1)))
    return largest(load(one))


@pytest.mark.parametrize("count", [0, 1, 7, 16, 99])
def test_the_larger_and_the_first(count: int) -> None:
    one, other, results = torch.randn(WIDTH), torch.randn(WIDTH), torch.empty(2, WIDTH)
    largest_of_one = _compared(one.data_ptr(), other.data_ptr(), results.data_ptr(), count)
    assert largest_of_one == float(one.max())
    assert torch.equal(results[0], torch.maximum(one, other))
    expected = one.clone()
    expected[count:] = -1
    assert torch.equal(results[1], expected)


@njit
def _dropped(target, words, seed, number, threshold):  # type: ignore[no-untyped-def]
    store(target, retained(filled(np.float32(3)), seed, number, threshold))
    for i in range(4):
        words[i] = splitmix64(seed, 4 * number + i)


@pytest.mark.parametrize("threshold", [1, 6554, 40000, 65535])
def test_dropout_follows_the_stream(threshold: int) -> None:
    for number in (0, 1, 12345, 2**40):
        left, words = np.empty(WIDTH, np.float32), np.empty(4, np.uint64)
        _dropped(left.ctypes.data, words, np.uint64(2**63 + 5), number, threshold)
        assert np.array_equal(left, np.where(words.view(np.uint16) >= threshold, 3.0, 0.0))


@njit
def _copied(source, target, kind):  # type: ignore[no-untyped-def]
    write(target, read(source, kind), kind)
    return size_of(kind)


@pytest.mark.parametrize(("kind", "like"), [(torch.bfloat16, HALF), (torch.float32, SINGLE)])
def test_either_kind_is_read_and_written(kind: torch.dtype, like: np.generic) -> None:
    values, copy = torch.randn(WIDTH + 1).to(kind), torch.zeros(WIDTH + 1, dtype=kind)
    assert _copied(values.data_ptr(), copy.data_ptr(), like) == values.element_size()
    assert torch.equal(copy[:WIDTH], values[:WIDTH])
    assert copy[WIDTH] == 0
