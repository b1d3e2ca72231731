"""Linear layers in bfloat16 with float32 masters.

Autocast casts every weight to bfloat16 again in each pass. Here each linear layer keeps a bfloat16
copy of its float32 weight, refreshed after each update; products are those of autocast, the
casts are saved, and weights, moments and updates stay in float32.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import nn

__all__ = ["HalfCopies"]


class HalfCopies:
    """The bfloat16 copies of the weights of a model's linear layers."""

    def __init__(self, network: nn.Module, *, without: Container[nn.Module] = frozenset()) -> None:
        """Copy the weights, `without` those of some layers, and let the layers use the copies."""
        self.patched: list[nn.Module] = []
        self.by_weight: dict[torch.Tensor, torch.Tensor] = {}
        self._masters: list[torch.Tensor] = []
        self._copies: list[torch.Tensor] = []
        layers = [
            module
            for module in network.modules()
            if type(module) is nn.Linear and module not in without
        ]
        for layer in layers:
            self._masters.append(layer.weight)
            self._copies.append(layer.weight.detach().to(torch.bfloat16))
        # nothing can go wrong from here on
        for layer, copy in zip(layers, self._copies, strict=True):
            self.by_weight[layer.weight] = copy
            layer.forward = _forward_of(layer, copy)  # type: ignore[method-assign]
            self.patched.append(layer)

    def move_into(self, others: HalfCopies) -> None:
        """Move into the memory of earlier copies of the same model."""
        for mine, theirs in zip(self._copies, others._copies, strict=True):
            theirs.copy_(mine)
            mine.data = theirs.data

    def refresh(self) -> None:
        """Round the masters into the copies, after they have changed."""
        with torch.no_grad():
            torch._foreach_copy_(self._copies, self._masters)


def _forward_of(module: nn.Linear, copy: torch.Tensor) -> Any:
    def forward(values: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = _Linear.apply(  # type: ignore[no-untyped-call]
            values, module.weight, module.bias, copy
        )
        return output

    return forward


class _Linear(torch.autograd.Function):
    """x W^T + b in bfloat16; the gradient of the weight reaches the float32 master."""

    @staticmethod
    def forward(
        ctx: Any,
        values: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        copy: torch.Tensor,
    ) -> torch.Tensor:
        half = values.to(torch.bfloat16)
        ctx.save_for_backward(half, copy)
        ctx.kinds = (values.dtype, None if bias is None else bias.dtype, weight.dtype)
        half_bias = None if bias is None else bias.to(torch.bfloat16)
        return nn.functional.linear(half, copy, half_bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        half, copy = ctx.saved_tensors
        of_values, of_bias, of_weight = ctx.kinds
        needs = ctx.needs_input_grad
        out = gradients[0].to(torch.bfloat16)
        flat = out.flatten(0, -2)
        back = (out @ copy).to(of_values) if needs[0] else None
        weight = (flat.t() @ half.flatten(0, -2)).to(of_weight) if needs[1] else None
        # added up in float32 inside; asked for the sum in float32 torch would first copy all terms
        bias = flat.sum(0).to(of_bias) if needs[2] else None
        return back, weight, bias, None
