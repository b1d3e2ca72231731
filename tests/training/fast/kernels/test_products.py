from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from tunesmith.training.fast.kernels.numbers import HALF, SINGLE
from tunesmith.training.fast.kernels.products import (
    ROWS,
    add_product,
    clear,
    pad,
    pad_across,
    unpad,
    write_product,
)
from tunesmith.training.fast.kernels.vectors import WIDTH


def aligned(values: NDArray[np.float32]) -> tuple[int, int, int]:
    """The address of a matrix, and the bytes between its rows and its columns."""
    return values.ctypes.data, *values.strides


@settings(max_examples=30)
@given(rows=st.integers(1, 5), columns=st.integers(1, 5), count=st.integers(0, 70))
@pytest.mark.parametrize("is_turned", [False, True])
def test_products_are_numpys(is_turned: bool, rows: int, columns: int, count: int) -> None:
    random = np.random.default_rng(count)
    shape = (rows * ROWS, count)
    left = random.normal(size=shape[::-1] if is_turned else shape).astype(np.float32)
    left = left.T if is_turned else left
    right = random.normal(size=(count, columns * WIDTH)).astype(np.float32)
    target = np.full((rows * ROWS, columns * WIDTH), np.nan, dtype=np.float32)
    sizes = rows * ROWS, columns * WIDTH, count
    write_product(*aligned(left), right.ctypes.data, target.ctypes.data, *sizes)
    expected = left.astype(np.float64) @ right
    np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-4)
    add_product(*aligned(left), right.ctypes.data, target.ctypes.data, *sizes)
    np.testing.assert_allclose(target, 2 * expected, rtol=1e-5, atol=1e-4)


@njit
def _there_and_back(source, step, target, turned, back, sizes, kind):  # type: ignore[no-untyped-def]
    length, rows, width = sizes
    pad(source, step, target, length, rows, width, kind)
    pad_across(source, step, turned, length, rows, width, kind)
    unpad(target, back, step, length, width, kind)
    clear(target, width)


@pytest.mark.parametrize(("kind", "like"), [(torch.bfloat16, HALF), (torch.float32, SINGLE)])
def test_rows_are_copied_padded_and_come_back(kind: torch.dtype, like: np.generic) -> None:
    matrix, back = torch.randn(5, 64).to(kind), torch.zeros(5, 64, dtype=kind)
    target, turned = torch.full((8, 32), torch.nan), torch.full((32, 8), torch.nan)
    step = matrix.stride(0) * matrix.element_size()
    addresses = target.data_ptr(), turned.data_ptr(), back.data_ptr()
    _there_and_back(matrix.data_ptr(), step, *addresses, (5, 8, 32), like)
    expected = torch.zeros(8, 32)
    expected[:5] = matrix[:, :32].float()
    assert torch.equal(turned, expected.t())
    assert torch.equal(target[1:], expected[1:])
    assert not target[0].any()
    assert torch.equal(back[:, :32], matrix[:, :32])
    assert not back[:, 32:].any()
