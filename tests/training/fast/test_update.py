from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.training.fast.update import FusedUpdate, HalfGradients


def weights(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(300, 70), (5,), (1,), (40_000,)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def adamw(parameters: list[nn.Parameter], **more: Any) -> torch.optim.AdamW:
    groups = [
        {"params": parameters[::2], "weight_decay": 0.1},
        {"params": parameters[1::2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.98), eps=1e-6, fused=True, **more)


def give(parameters: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in parameters:
        gradient = torch.randn(parameter.shape, generator=generator)
        parameter.grad = gradient.to(parameter.dtype)


@pytest.mark.parametrize("half", [False, True])
def test_updates_are_those_of_torch(half: bool) -> None:
    mine, theirs = weights(), weights()
    own, reference = adamw(mine), adamw(theirs)
    gradients = HalfGradients()
    fused = FusedUpdate(own, gradients)
    copies: dict[torch.Tensor, torch.Tensor] = {mine[0]: mine[0].detach().bfloat16()}
    for step in range(12):
        for parameters in (mine, theirs):
            give(parameters, step)
        for group in (*own.param_groups, *reference.param_groups):
            group["lr"] = 1e-2 / (1 + step)
        if half:
            for parameter, other in zip(mine, theirs, strict=True):
                assert parameter.grad is not None
                rounded = parameter.grad.bfloat16()
                other.grad, parameter.grad = rounded.float(), None
                gradients.take(parameter, rounded)
        prepared = fused.prepare(copies)
        squares = [float(p.grad.double().square().sum()) for p in theirs if p.grad is not None]
        norm = sum(squares) ** 0.5
        if step == 0:  # torch makes the moments
            assert prepared is None
            gradients.widen()
            own.step()
            reference.step()
        else:
            assert prepared is not None
            assert prepared.norm() == pytest.approx(norm, rel=1e-6)
            prepared.apply(1 / norm)
            for other in theirs:  # torch's own norm is less exact
                assert other.grad is not None
                other.grad.mul_(1 / norm)
            reference.step()
        own.zero_grad()
        gradients.clear()
        for parameter, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)
            state, others = own.state[parameter], reference.state[other]
            assert state["step"] == others["step"]
            for moment in ("exp_avg", "exp_avg_sq"):
                torch.testing.assert_close(state[moment], others[moment], rtol=1e-5, atol=1e-8)
    assert torch.equal(copies[mine[0]], mine[0].detach().bfloat16())


def test_weights_without_a_gradient_are_left_alone() -> None:
    parameters = weights()
    optimizer = adamw(parameters)
    give(parameters, 0)
    optimizer.step()
    parameters[1].grad = None
    before = parameters[1].detach().clone()
    prepared = FusedUpdate(optimizer, HalfGradients()).prepare({})
    assert prepared is not None
    prepared.apply(1.0)
    assert torch.equal(parameters[1], before)
    assert optimizer.state[parameters[1]]["step"] == 1
    assert optimizer.state[parameters[0]]["step"] == 2


def test_weights_updated_unequally_often_have_their_own_correction() -> None:
    mine, theirs = weights(), weights()
    own, reference = adamw(mine), adamw(theirs)
    for step in range(3):
        for parameters, optimizer in ((mine, own), (theirs, reference)):
            give(parameters, step)
            if step == 1:
                parameters[3].grad = None
            prepared = FusedUpdate(own, HalfGradients()).prepare({}) if optimizer is own else None
            if prepared is None:
                optimizer.step()
            else:
                prepared.apply(1.0)
    for parameter, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["amsgrad", "hook", "float64", "other", "strided"])
def test_what_the_kernel_does_not_know_is_left_to_torch(kind: str) -> None:
    parameters = weights()
    if kind == "float64":
        parameters = [nn.Parameter(parameter.detach().double()) for parameter in parameters]
    if kind == "strided":
        parameters[0] = nn.Parameter(parameters[0].detach().t())
    optimizer: Any = adamw(parameters, amsgrad=kind == "amsgrad")
    if kind == "other":
        optimizer = torch.optim.Adam(parameters)
    if kind == "hook":
        optimizer.register_step_pre_hook(lambda *_: None)
    give(parameters, 0)
    optimizer.step()
    assert FusedUpdate(optimizer, HalfGradients()).prepare({}) is None


def test_gradients_in_bfloat16_add_up_in_float32() -> None:
    (parameter,) = weights()[:1]
    gradients = HalfGradients()
    one, two = (torch.full_like(parameter, value).bfloat16() for value in (1.0, 2.0**-10))
    gradients.take(parameter, one)
    assert gradients.of(parameter) is one
    assert parameter.grad is None
    gradients.take(parameter, two)
    expected = np.float32(1.0) + np.float32(2.0**-10)
    assert parameter.grad is not None
    assert (parameter.grad == float(expected)).all()
    gradients.take(parameter, two)
    assert gradients.of(parameter) is parameter.grad
    assert float(parameter.grad[0, 0]) == float(expected + np.float32(2.0**-10))
    gradients.clear()
    parameter.grad = None
    assert gradients.of(parameter) is None
