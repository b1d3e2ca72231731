from __future__ import annotations

import pytest
import torch
from torch import nn

from tunesmith.training.fast.bf16_linear import HalfCopies, stacked


def pair() -> tuple[nn.Sequential, nn.Sequential]:
    models = []
    for _time in range(2):
        torch.manual_seed(0)
        models.append(nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3, bias=False)))
    return models[0], models[1]


def test_products_are_those_of_autocast() -> None:
    stock, patched = pair()
    HalfCopies(patched)
    values = torch.randn(7, 6)
    gradients = []
    for model in (stock, patched):
        arguments = values.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            result = model(arguments)
        assert result.dtype == torch.bfloat16
        result.float().square().sum().backward()
        gradients.append([result.detach(), arguments.grad, *(p.grad for p in model.parameters())])
    for one, two in zip(*gradients, strict=True):
        assert one is not None and two is not None and one.dtype == two.dtype
        torch.testing.assert_close(one, two, rtol=0.02, atol=0.02)
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=0, atol=0)


def test_masters_and_their_gradients_stay_in_float32() -> None:
    _stock, patched = pair()
    HalfCopies(patched)
    for _micro_batch in range(3):
        patched(torch.randn(4, 6)).float().sum().backward()
    for parameter in patched.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32


def test_copies_follow_their_masters() -> None:
    _stock, patched = pair()
    copies = HalfCopies(patched)
    with torch.no_grad():
        for parameter in patched.parameters():
            parameter.mul_(1.5)
    copies.refresh()
    for copy, master in zip(copies._copies, copies._masters, strict=True):
        assert torch.equal(copy, master.to(torch.bfloat16))
    assert len(copies.patched) == 2


def test_frozen_weights_get_no_gradient() -> None:
    _stock, patched = pair()
    patched[0].weight.requires_grad_(requires_grad=False)
    HalfCopies(patched)
    patched(torch.randn(2, 6)).float().sum().backward()
    assert patched[0].weight.grad is None
    assert patched[0].bias.grad is not None


@pytest.mark.parametrize("shape", [(6,), (2, 6), (2, 3, 6)])
def test_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    _stock, patched = pair()
    HalfCopies(patched)
    values = torch.randn(shape, requires_grad=True)
    result = patched(values)
    assert result.shape == (*shape[:-1], 3)
    if len(shape) > 1:
        result.float().sum().backward()
        assert values.grad is not None and values.grad.shape == shape


def test_matrices_of_one_layer_are_stacked_without_a_copy() -> None:
    layers = nn.Sequential(*(nn.Linear(16, 16) for _part in range(3)), nn.Linear(5, 3))
    copies = HalfCopies(layers)
    parts = [copies.by_weight[layer.weight] for layer in layers[:3]]  # type: ignore[union-attr]
    view = stacked(parts)
    assert torch.equal(view, torch.cat(parts))
    assert view.data_ptr() == parts[0].data_ptr()
    for others in (parts[::2], [copies._copies[3], copies._copies[3].clone()]):
        one = stacked(others)
        assert torch.equal(one, torch.cat(others))
        assert one.data_ptr() != others[0].data_ptr()


def test_copies_stay_adjacent_in_the_memory_of_others() -> None:
    layers = nn.Sequential(*(nn.Linear(16, 16) for _part in range(3)))
    before, after = HalfCopies(layers), HalfCopies(layers)
    after.move_into(before)
    assert stacked(after._copies[:3]).data_ptr() == before._copies[0].data_ptr()
