from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tunesmith.training.engine import MAX_SKIPPED
from tunesmith.training.fast.graphs.update import DeviceUpdate

CPU = torch.device("cpu")


def parameters() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(5, 3, generator=random)), nn.Parameter(torch.ones(4))]


def adamw(weights: list[nn.Parameter]) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, lr=0.5, weight_decay=0.1, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def gradients(step: int, *, size: float = 1.0) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    return [size * torch.randn(5, 3, generator=random), size * torch.randn(4, generator=random)]


def made(
    weights: list[nn.Parameter], *, limit: float = math.inf, folds: bool = True
) -> tuple[DeviceUpdate, torch.optim.AdamW, list[bool]]:
    optimizer, reported = adamw(weights), list[bool]()
    update = DeviceUpdate(
        optimizer, weights, CPU, limit=limit, folds=folds,
        then=lambda: reported.append(bool(update.skips)),
    )  # fmt: skip
    return update, optimizer, reported


@pytest.mark.parametrize("limit", [math.inf, 1.0])
@pytest.mark.parametrize("folds", [True, False])
def test_it_is_adamw_with_clipping(limit: float, folds: bool) -> None:
    mine, theirs = parameters(), parameters()
    update, mine_optimizer, reported = made(mine, limit=limit, folds=folds)
    plain = adamw(theirs)
    for step in range(20):
        rate = 0.1 * (1 - step / 20)
        for weights in (mine, theirs):
            for weight, gradient in zip(weights, gradients(step), strict=True):
                weight.grad = gradient
        held = [weight.grad for weight in mine]
        norm = nn.utils.clip_grad_norm_(theirs, limit)
        plain.param_groups[0]["lr"] = rate
        plain.step()
        set_rate(mine_optimizer, rate)
        update.copy_rates()
        update.run()
        torch.testing.assert_close(update.norm, norm)
        assert all(weight.grad is one for weight, one in zip(mine, held, strict=True))
        assert all(not bool(one.any()) for one in held if one is not None)
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two)
    assert reported == [False] * 20


def steps_of(update: DeviceUpdate, weights: list[nn.Parameter], sizes: list[float]) -> list[bool]:
    """Whether each step changed the weights."""
    changed = []
    for step, size in enumerate(sizes):
        before = [weight.detach().clone() for weight in weights]
        for weight, gradient in zip(weights, gradients(step, size=size), strict=True):
            weight.grad = gradient
        update.copy_rates()
        update.run()
        assert bool(update.norm.isfinite()) is math.isfinite(size)
        changed.append(not all(torch.equal(a, b) for a, b in zip(before, weights, strict=True)))
    return changed


def test_what_is_not_finite_changes_nothing() -> None:
    weights = parameters()
    update, optimizer, reported = made(weights, limit=1.0)
    sizes = [1.0, math.inf, math.nan, 1.0, math.nan, 1.0]
    assert steps_of(update, weights, sizes) == [True, False, False, True, False, True]
    assert reported == [False, True, True, False, True, False]
    assert {float(state["step"]) for state in optimizer.state.values()} == {3.0}


def test_three_in_a_row_latch_until_it_is_reset() -> None:
    weights = parameters()
    update, _optimizer, _reported = made(weights)
    sizes = [1.0, *[math.nan] * MAX_SKIPPED, 1.0, 1.0]
    assert steps_of(update, weights, sizes) == [True, False, False, False, False, False]
    update.reset()
    assert steps_of(update, weights, [1.0]) == [True]


def test_a_weight_without_gradient_is_left_alone() -> None:
    """As AdamW leaves it: no decay, no state."""
    weights = parameters()
    update, optimizer, _reported = made(weights)
    weights[0].grad = torch.ones(5, 3)
    update.copy_rates()
    update.run()
    assert torch.equal(weights[1], torch.ones(4)) and weights[1] not in optimizer.state


class WithoutLooks(TorchDispatchMode):
    """Refuses to hand a number to the host."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("folds", [True, False])
def test_the_host_looks_at_nothing(folds: bool) -> None:
    weights = parameters()
    optimizer = adamw(weights)
    update = DeviceUpdate(optimizer, weights, CPU, limit=1.0, folds=folds, then=lambda: None)
    for step in range(2):
        for weight, gradient in zip(weights, gradients(step), strict=True):
            weight.grad = gradient
        before = [weight.detach().clone() for weight in weights]
        with WithoutLooks():
            update.copy_rates()
            update.run()
        for old, weight in zip(before, weights, strict=True):
            assert not torch.equal(old, weight)


def test_each_group_keeps_its_rate_as_a_number() -> None:
    """So that a scheduler or a callback may write into it between two updates."""
    weights = parameters()
    groups = [{"params": [weights[0]], "lr": 0.5}, {"params": [weights[1]], "lr": 0.0}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
    update = DeviceUpdate(optimizer, weights, CPU, limit=math.inf, folds=True, then=lambda: None)
    before = [weight.detach().clone() for weight in weights]
    for weight, gradient in zip(weights, gradients(0), strict=True):
        weight.grad = gradient
    update.copy_rates()
    update.run()
    assert not torch.equal(weights[0], before[0]) and torch.equal(weights[1], before[1])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert not any(group["capturable"] for group in optimizer.param_groups)


def test_a_recording_is_for_its_options() -> None:
    update, optimizer, _reported = made(parameters())
    before = update.options
    set_rate(optimizer, 0.3)
    assert update.options == before
    optimizer.param_groups[0]["weight_decay"] = 0.2
    assert update.options != before
