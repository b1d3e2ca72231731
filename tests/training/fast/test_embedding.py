from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunesmith.training.fast.embedding import TableGradient


def pair(padding: int | None = None) -> tuple[nn.Embedding, nn.Embedding]:
    layers = []
    for _time in range(2):
        torch.manual_seed(0)
        layers.append(nn.Embedding(20, 3, padding_idx=padding))
    return layers[0], layers[1]


batches = st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=8), min_size=1, max_size=5)


@given(batches, st.sampled_from([None, 0, 7]), st.booleans())
def test_gradients_are_torchs_own(
    steps: list[list[int]], padding: int | None, accumulates: bool
) -> None:
    """Over several steps, rows coming again, with and without setting the gradient back."""
    stock, mine = pair(padding)
    kept = TableGradient(mine)
    kept.enter(ExitStack())
    for ids in steps:
        for layer in (stock, mine):
            if not accumulates:
                layer.zero_grad()
            found = layer(torch.tensor([ids]))
            (found * torch.arange(1.0, 4.0)).square().sum().backward()
        torch.testing.assert_close(mine.weight.grad, stock.weight.grad)
    assert torch.equal(mine(torch.tensor(steps[0])), stock(torch.tensor(steps[0])))


def test_the_memory_stays() -> None:
    _stock, layer = pair()
    TableGradient(layer).enter(ExitStack())
    seen = set()
    for ids in ([1, 2], [3], [2, 4]):
        layer.zero_grad()
        layer(torch.tensor(ids)).sum().backward()
        assert layer.weight.grad is not None
        seen.add(layer.weight.grad.data_ptr())
        touched = layer.weight.grad.abs().sum(1).nonzero().flatten().tolist()
        assert touched == sorted(ids)
    assert len(seen) == 1


def test_rows_are_emptied_once() -> None:
    """What was touched is remembered for the steps since the gradient was last empty, no longer."""
    _stock, layer = pair()
    kept = TableGradient(layer)
    kept.enter(ExitStack())
    for ids in ([1, 2], [3], [2, 4]):
        layer.zero_grad()
        layer(torch.tensor(ids)).sum().backward()
        assert [rows.tolist() for rows in kept._touched] == [sorted(ids)]
    (layer(torch.tensor([5])) @ layer.weight.T).sum().backward()
    assert kept._touched == [] and kept._kept is None


def test_the_padding_token_never_learns() -> None:
    for padding in (None, 0, 2, 3):
        stock, layer = pair(padding)
        TableGradient(layer).enter(ExitStack())
        for one in (stock, layer):
            one(torch.tensor([[3, 2, 0, 0], [2, 3, 3, 1]])).sum().backward()
        torch.testing.assert_close(layer.weight.grad, stock.weight.grad)


def test_a_gradient_that_is_there_already_is_added_to() -> None:
    _stock, layer = pair()
    TableGradient(layer).enter(ExitStack())
    theirs = torch.ones(20, 3)
    layer.weight.grad = theirs
    layer(torch.tensor([5])).sum().backward()
    assert layer.weight.grad is theirs and theirs[5].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("scaled", [False, True])
def test_updates_are_those_of_a_fresh_gradient(scaled: bool) -> None:
    """AdamW may write into the gradient (it divides by grad_scale); the next step must not see."""
    stock, mine = pair()
    TableGradient(mine).enter(ExitStack())
    optimizers = [torch.optim.AdamW(m.parameters(), lr=0.1, fused=True) for m in (stock, mine)]
    for ids in ([1, 2, 2], [3, 1], [7], [1]):
        for layer, optimizer in zip((stock, mine), optimizers, strict=True):
            layer(torch.tensor(ids)).square().sum().backward()
            if scaled:
                optimizer.grad_scale = torch.tensor(2.0)  # type: ignore[attr-defined]
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(mine.weight, stock.weight)


def test_a_table_that_is_also_used_otherwise() -> None:
    """As an output layer that multiplies with its weight: the gradient is dense in each step."""
    stock, mine = pair()
    TableGradient(mine).enter(ExitStack())
    for ids in ([1, 2, 2], [3, 1], [7], [1]):
        for layer in (stock, mine):
            layer.zero_grad()
            hidden = layer(torch.tensor(ids))
            (hidden @ layer.weight.T).square().sum().backward()
        torch.testing.assert_close(mine.weight.grad, stock.weight.grad)


def test_the_layer_is_put_back() -> None:
    stock, mine = pair()
    with ExitStack() as stack:
        TableGradient(mine).enter(stack)
        assert "forward" in vars(mine)
    assert "forward" not in vars(mine)
    assert torch.equal(mine(torch.tensor([3])), stock(torch.tensor([3])))
