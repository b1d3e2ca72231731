"""Dropout from 16-bit lanes: four decisions from each random number of 64 bits.

Torch draws one Bernoulli number per element by a serial generator; on a CPU that is a tenth of a
step. Here whole numbers are drawn and each quarter of one decides about an element: it is dropped
if its lane is below a threshold, so the rate is exact to 1 / 65536. The numbers come from torch's
own generator, which the loop seeds for each pass.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

__all__ = ["drop", "factors", "patch_dropout"]


def factors(shape: tuple[int, ...], rate: float, like: torch.Tensor) -> torch.Tensor:
    """What to multiply elements with: 0 with probability `rate`, else 1 / (1 - `rate`).

    As numbers of the elements' own kind: a product with a boolean mask would cost two passes more.
    """
    count = math.prod(shape)
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device)
    numbers.random_(-(2**63), None)  # without the lower end the sign bit would never be set
    lanes = numbers.view(torch.int16)[:count].view(shape)
    kept, dropped = like.new_full((), 1 / (1 - rate)), like.new_zeros(())
    return torch.where(lanes >= round(65536 * rate) - 32768, kept, dropped)


class _Drop(torch.autograd.Function):
    """One product forward and one backward."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rate: float) -> torch.Tensor:
        kept = factors(tuple(values.shape), rate, values)
        ctx.save_for_backward(kept)
        return values * kept

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradients[0] * kept, None


def drop(values: torch.Tensor, rate: float) -> torch.Tensor:
    """Dropout of a tensor at a rate; differentiable."""
    if rate <= 0:
        return values
    dropped: torch.Tensor = _Drop.apply(values, rate)  # type: ignore[no-untyped-call]
    return dropped


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
