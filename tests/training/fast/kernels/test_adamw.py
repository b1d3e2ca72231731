"""The kernels over tensors at addresses; against torch's optimizer they are in `test_update.py`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.fast.kernels.adamw import PIECE, Tensors, count, cut, norm, update


def tensors_of(
    *weights: torch.Tensor, gradients: list[torch.Tensor]
) -> tuple[Tensors, list[torch.Tensor]]:
    moments = [torch.zeros_like(weight) for weight in weights for _moment in range(2)]
    table = [
        [
            weight.data_ptr(), moments[2 * i].data_ptr(), moments[2 * i + 1].data_ptr(),
            gradient.data_ptr(), gradient.dtype == torch.bfloat16, 0, 0, 0, 0,
        ]
        for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True))
    ]  # fmt: skip
    pieces = cut(weight.numel() for weight in weights)
    fractions = np.array([[0.1, 0.98, 0.02, 1e-2, 1.0, 1e-8, 1 - 1e-3]], dtype=np.float32)
    return Tensors(np.array(table, np.int64), pieces, fractions), moments


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


@given(
    rows=st.integers(1, 400), width=st.sampled_from([1, 7, 16, 48, 384]),
    decay=st.sampled_from([1.0, 0.999]), seed=st.integers(0, 9),
)  # fmt: skip
def test_rows_of_zeros_are_left_out_to_the_bit(
    rows: int, width: int, decay: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    marks = torch.randint(-4, 4, (rows,), generator=generator).clamp_(min=0)[:, None]
    values = [torch.randn(rows, width, generator=generator) for _tensor in range(4)]
    weight, gradient = values[0], values[1] * (marks & 2 > 0)
    results = []
    for is_marked in (False, True):
        own = weight.clone()
        tensors, moments = tensors_of(own, gradients=[gradient])
        moments[0].copy_(values[2] * (marks > 0))
        moments[1].copy_(values[3].square() * (marks > 0))
        tensors.fractions[0, 6] = decay
        held = marks.numpy().astype(np.uint16)
        if is_marked:
            tensors.table[0, 7:] = held.ctypes.data, width
        squares = norm(tensors)
        update(tensors, 0.5)
        results.append((own, *moments, torch.tensor(squares)))
    for with_all, with_few in zip(*results, strict=True):
        assert torch.equal(with_all, with_few)


@given(st.lists(st.integers(1, 4 * PIECE), min_size=1, max_size=5))
def test_pieces_of_a_weight_are_about_equal(sizes: list[int]) -> None:
    pieces = cut(sizes)
    for i, size in enumerate(sizes):
        own = pieces[pieces[:, 0] == i]
        assert own[0, 1] == 0 and own[-1, 2] == size
        assert (own[1:, 1] == own[:-1, 2]).all()
        lengths = own[:, 2] - own[:, 1]
        assert lengths.max() <= PIECE
        assert lengths.max() - lengths.min() < 64 * len(own)


def test_counters_are_counted_where_they_are() -> None:
    counters = torch.tensor([1.0, 5.0, 7.0])
    places = np.array([counters[i].data_ptr() for i in (0, 2)], dtype=np.int64)
    assert count(places, 0).tolist() == [1.0, 7.0]
    assert count(places, 1).tolist() == [2.0, 8.0]
    assert counters.tolist() == [2.0, 5.0, 8.0]


def test_copies_are_the_weights_rounded() -> None:
    for size, shift in ((5000, 0), (5000, 1), (31, 0)):
        weight, gradient = torch.randn(size), torch.randn(size)
        copy = torch.zeros(size + shift, dtype=torch.bfloat16)[shift:]
        tensors, _moments = tensors_of(weight, gradients=[gradient])
        tensors.table[0, 5] = copy.data_ptr()
        update(tensors, 1.0)
        assert torch.equal(copy, weight.bfloat16())
