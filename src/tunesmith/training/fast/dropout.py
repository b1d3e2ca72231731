"""Dropout from 16-bit lanes: four decisions from each random number of 64 bits.

Torch draws one Bernoulli number per element by a serial generator; on a CPU that is a tenth of a
step. Here whole numbers are drawn and each quarter of one decides about an element: it is dropped
if its lane is below a threshold, so the rate is exact to 1 / 65536. Where kernels are installed,
one of them draws; else numpy's fastest generator does, SFC64. Either is seeded by a number of
torch's own generator, which the loop seeds for each pass: whatever sets torch's generator back
draws the same again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.training.fast.kernels import why_missing

__all__ = ["drop", "keep", "patch_dropout"]

_ONES = {torch.bfloat16: 0x3F80, torch.float16: 0x3C00}
"""The bits of 1 in 16 bits."""


def keep(shape: tuple[int, ...], rate: float, like: torch.Tensor) -> tuple[torch.Tensor, float]:
    """What to multiply elements with: 0 with probability `rate`, and what all are then lifted by.

    Numbers of the elements' own kind: a product with a boolean mask would cost two passes more. In
    16 bits what stays is multiplied with 1, because 1 / (1 - `rate`), rounded to these, would be
    wrong in the mean by up to 0.2 %; the lift, a plain number, is left to a product in float32.

    Returns:
        A tensor of `shape`, and a factor (1.0 where the tensor holds it already).
    """
    lanes = _lanes(math.prod(shape), like.device).view(shape)
    threshold = min(max(round(65536 * rate), 1), 65535) - 32768
    if (one := _ONES.get(like.dtype)) is not None:
        # 0 below the threshold and 1 from there on, without a pass over booleans
        lanes.clamp_(threshold - 1, threshold).sub_(threshold - 1).mul_(one)
        return lanes.view(like.dtype), 1 / (1 - rate)
    scale, zero = like.new_full((), 1 / (1 - rate)), like.new_zeros(())
    return torch.where(lanes >= threshold, scale, zero), 1.0


def _lanes(count: int, device: torch.device) -> torch.Tensor:
    """Random 16-bit numbers, int16 (count,)."""
    if device.type != "cpu":
        numbers = torch.empty((count + 3) // 4, dtype=torch.int64, device=device)
        numbers.random_(-(2**63), None)  # without the lower end the sign bit would never be set
        return numbers.view(torch.int16)[:count]
    seed = int(torch.empty((), dtype=torch.int64).random_())
    drawn = np.random.SFC64(seed).random_raw((count + 3) // 4)
    return torch.from_numpy(drawn.view(np.int16))[:count]


class _DropByKernel(torch.autograd.Function):
    """One pass forward and one backward, which draws again."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rate: float) -> torch.Tensor:
        from tunesmith.training.fast.kernels import dropout
        from tunesmith.training.fast.kernels.parallel import Dropout

        ctx.dropout = Dropout.draw(rate)
        return dropout.drop(values, ctx.dropout)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        from tunesmith.training.fast.kernels import dropout

        return dropout.drop(gradients[0].contiguous(), ctx.dropout), None


class _Drop(torch.autograd.Function):
    """One product forward and one backward."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rate: float) -> torch.Tensor:
        mask, ctx.lift = keep(tuple(values.shape), rate, values)
        ctx.save_for_backward(mask)
        return _lifted(values * mask, ctx.lift)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return _lifted(gradients[0] * mask, ctx.lift), None


def _lifted(values: torch.Tensor, lift: float) -> torch.Tensor:
    return values if lift == 1.0 else values.mul_(lift)


def drop(values: torch.Tensor, rate: float) -> torch.Tensor:
    """Dropout of a tensor at a rate; differentiable."""
    if rate <= 0:
        return values
    function = _DropByKernel if _is_for_kernel(values) else _Drop
    dropped: torch.Tensor = function.apply(values, rate)  # type: ignore[no-untyped-call]
    return dropped


def _is_for_kernel(values: torch.Tensor) -> bool:
    if why_missing() is not None:
        return False
    from tunesmith.training.fast.kernels.dropout import takes

    return takes(values)


def patch_dropout(network: nn.Module) -> list[nn.Module]:
    """Let every plain dropout layer of a model draw lanes; returns them, to be restored.

    The forward of the instance is replaced, not that of the class: other models are untouched.
    """
    patched: list[nn.Module] = []
    for module in network.modules():
        if type(module) is nn.Dropout and not module.inplace:
            module.forward = _forward_of(module)  # type: ignore[method-assign]
            patched.append(module)
    return patched


def _forward_of(module: nn.Dropout) -> Any:
    def forward(values: torch.Tensor) -> torch.Tensor:
        return drop(values, module.p) if module.training else values

    return forward
