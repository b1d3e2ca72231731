"""Logits of windows pooled to those of their text."""

from __future__ import annotations

import pytest
import torch

from tunesmith.tasks.long_texts.pooling import pool


def test_the_mean_and_the_maximum() -> None:
    logits = torch.tensor([[1.0, -2.0], [3.0, 4.0], [5.0, -6.0]])
    owner = torch.tensor([0, 0, 1])
    assert pool(logits, owner, 2, "mean").tolist() == [[2.0, 1.0], [5.0, -6.0]]
    assert pool(logits, owner, 2, "max").tolist() == [[3.0, 4.0], [5.0, -6.0]]


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_one_window_changes_nothing(pooling: str) -> None:
    logits = torch.randn(5, 3, requires_grad=True)
    pooled = pool(logits, torch.arange(5), 5, pooling)
    assert torch.equal(pooled, logits)
    weights = torch.randn(5, 3)
    (pooled * weights).sum().backward()
    assert torch.equal(logits.grad, weights)


def test_gradients_are_those_of_the_formula() -> None:
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    owner = torch.tensor([0, 0, 0, 1, 2, 2])
    for pooling in ("mean", "max"):
        assert torch.autograd.gradcheck(lambda x, how=pooling: pool(x, owner, 3, how), (logits,))
