from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunesmith.training.fast.kernels import layer_norm
from tunesmith.training.fast.kernels.parallel import Dropout

KINDS = [torch.float32, torch.bfloat16]


def norm_of(width: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(width, eps=1e-12)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("kind", KINDS)
@given(count=st.integers(1, 70), width=st.integers(8, 90), more=st.booleans())
def test_it_is_torchs(kind: torch.dtype, count: int, width: int, more: bool) -> None:
    torch.manual_seed(count * 97 + width)
    norm = norm_of(width)
    residual, block = torch.randn(count, width), torch.randn(count, width).to(kind)
    gradient, extra = torch.randn(count, width), torch.randn(count, width).to(kind)
    output, rounded, retained = layer_norm.forward(residual, block, norm, Dropout())
    total = (residual + block.float()).requires_grad_()
    expected = norm(total)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-4, atol=1e-4)
    assert torch.equal(rounded, output.to(kind))
    expected.backward(gradient + extra.float() * more)
    of_residual, of_block, sums = layer_norm.backward(
        gradient, extra if more else None, norm, retained, Dropout(), kind
    )
    assert total.grad is not None
    scale = float(total.grad.abs().max()) + 1
    torch.testing.assert_close(of_residual / scale, total.grad / scale, rtol=1e-3, atol=1e-4)
    assert torch.equal(of_block, of_residual.to(kind))
    summed = (norm.weight.grad, norm.bias.grad, total.grad.sum(0))
    for mine, theirs in zip(sums, summed, strict=True):
        assert theirs is not None
        torch.testing.assert_close(mine / scale, theirs / scale, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_at_its_rate_and_the_same_backward(rate: float) -> None:
    torch.manual_seed(0)
    count, width = 400, 96
    norm = nn.LayerNorm(width)
    block = torch.ones(count, width)
    dropout = Dropout.draw(rate)
    _output, _rounded, retained = layer_norm.forward(
        torch.zeros(count, width), block, norm, dropout
    )
    above = retained[: count * width].view(count, width) > 0  # what is retained is above the mean
    assert float(above.float().mean()) == pytest.approx(1 - rate, abs=0.01)
    for lane in range(4):  # of each random number
        share = float(above[:, lane::4].float().mean())
        assert share == pytest.approx(1 - rate, abs=0.02)
    columns = torch.corrcoef(above[:, :40].float().t())
    assert float((columns - torch.eye(40)).abs().max()) < 0.25
    gradient = torch.randn(count, width)
    of_residual, of_block, _sums = layer_norm.backward(
        gradient, None, norm, retained, dropout, torch.float32
    )
    expected = torch.where(above, of_residual / (1 - rate), 0.0)
    torch.testing.assert_close(of_block, expected)


def test_threads_change_no_bit() -> None:
    torch.manual_seed(0)
    norm, values = norm_of(64), torch.randn(500, 64)
    dropout = Dropout.draw(0.1)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            output, _rounded, retained = layer_norm.forward(values, values, norm, dropout)
            gradients = layer_norm.backward(output, None, norm, retained, dropout, torch.float32)
            results.append((output, *gradients))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
