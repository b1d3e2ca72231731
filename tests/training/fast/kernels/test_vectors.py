from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    added,
    divided,
    filled,
    load,
    load_half,
    multiplied,
    root,
    store,
    store_half,
    subtracted,
    summed,
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
