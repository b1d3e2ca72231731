"""The kernels over tensors at addresses; against torch's optimizer they are in `test_update.py`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.fast.kernels.adamw import PIECE, Tensors, norm, update


def tensors_of(
    *weights: torch.Tensor, gradients: list[torch.Tensor]
) -> tuple[Tensors, list[torch.Tensor]]:
    moments = [torch.zeros_like(weight) for weight in weights for _moment in range(2)]
    table = [
        [
            weight.data_ptr(), moments[2 * i].data_ptr(), moments[2 * i + 1].data_ptr(),
            gradient.data_ptr(), gradient.dtype == torch.bfloat16, 0, 0,
        ]
        for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True))
    ]  # fmt: skip
    pieces = [
        (i, first, min(first + PIECE, weight.numel()))
        for i, weight in enumerate(weights)
        for first in range(0, weight.numel(), PIECE)
    ]
    fractions = np.array([[0.1, 0.98, 0.02, 1e-2, 1.0, 1e-8, 1 - 1e-3]], dtype=np.float32)
    return Tensors(np.array(table, np.int64), np.array(pieces, np.int64), fractions), moments


@given(
    size=st.integers(1, 3 * PIECE), scale=st.floats(1e-6, 1e6),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
)  # fmt: skip
def test_the_norm_is_that_of_all_values(size: int, scale: float, kind: torch.dtype) -> None:
    gradient = (torch.randn(size) * scale).to(kind)
    tensors, _moments = tensors_of(torch.zeros(size), gradients=[gradient])
    assert norm(tensors) == pytest.approx(float(gradient.double().norm()), rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_has_no_finite_norm(bad: float) -> None:
    gradient = torch.zeros(PIECE + 7)
    gradient[PIECE + 3] = bad
    tensors, _moments = tensors_of(torch.zeros(PIECE + 7), gradients=[gradient])
    assert not math.isfinite(norm(tensors))


def test_each_weight_is_updated_by_its_formula() -> None:
    weights = [torch.randn(PIECE + 100), torch.randn(3)]
    before = [weight.clone() for weight in weights]
    gradients = [torch.randn_like(weight) for weight in weights]
    tensors, moments = tensors_of(*weights, gradients=gradients)
    update(tensors, 0.5)
    for i, (weight, old, gradient) in enumerate(zip(weights, before, gradients, strict=True)):
        mean, square = 0.1 * 0.5 * gradient, 0.02 * (0.5 * gradient) ** 2
        torch.testing.assert_close(moments[2 * i], mean)
        torch.testing.assert_close(moments[2 * i + 1], square)
        expected = old * (1 - 1e-3) - 1e-2 * mean / (square.sqrt() + 1e-8)
        torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-6)
