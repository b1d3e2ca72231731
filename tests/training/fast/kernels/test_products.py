from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.training.fast.kernels.products import ROWS, add_product, write_product
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
