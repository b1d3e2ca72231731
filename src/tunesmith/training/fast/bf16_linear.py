"""Linear layers in bfloat16 with float32 masters.

Autocast casts every weight to bfloat16 again in each pass. Here each linear layer keeps bfloat16
copies of its float32 weight and bias, refreshed after each update; products are those of autocast,
the casts are saved, and weights, moments and updates stay in float32.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

__all__ = ["HalfCopies", "stacked"]

_ALIGNED = 32
"""Copies start at multiples of so many numbers, 64 bytes."""


class HalfCopies:
    """The bfloat16 copies of weights and biases of a model's linear layers."""

    def __init__(self, network: nn.Module, *, without: Container[nn.Module] = frozenset()) -> None:
        """Make the copies, `without` those of some layers, and let the layers use them."""
        self.patched: list[nn.Module] = []
        layers = [
            module
            for module in network.modules()
            if type(module) is nn.Linear and module not in without
        ]
        biases: list[torch.Tensor | None] = [layer.bias for layer in layers]
        self._masters = [layer.weight for layer in layers]
        self._masters += [bias for bias in biases if bias is not None]
        self._copies = _rounded(self._masters)
        self.by_weight = dict(zip(self._masters, self._copies, strict=True))
        # nothing can go wrong from here on
        for layer, bias in zip(layers, biases, strict=True):
            halves = self.by_weight[layer.weight], None if bias is None else self.by_weight[bias]
            layer.forward = _forward_of(layer, halves)  # type: ignore[method-assign]
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


def stacked(matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Matrices one below the other; only a view of those that are adjacent in memory."""
    one, other = matrices[0], matrices[-1]
    if (
        one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()
        or any(a.data_ptr() + a.nbytes != b.data_ptr() for a, b in pairwise(matrices))
        or any(a.shape[1:] != one.shape[1:] or not a.is_contiguous() for a in matrices)
    ):
        return torch.cat(list(matrices))
    rows = sum(len(matrix) for matrix in matrices)
    return one.as_strided((rows, *one.shape[1:]), one.stride())


def _rounded(masters: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Copies of weights in bfloat16, one behind the other in memory.

    The matrices of queries, keys and values are one matrix there, if sizes are even enough.
    """
    masters = [master.detach() for master in masters]
    if not masters:
        return []
    sizes = [-(-master.numel() // _ALIGNED) * _ALIGNED for master in masters]
    memory = torch.empty(sum(sizes), dtype=torch.bfloat16, device=masters[0].device)
    copies = [
        room[: master.numel()].view(master.shape).copy_(master)
        for master, room in zip(masters, torch.split(memory, sizes), strict=True)
    ]
    return copies


def _forward_of(module: nn.Linear, halves: tuple[torch.Tensor, torch.Tensor | None]) -> Any:
    def forward(values: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = _Linear.apply(  # type: ignore[no-untyped-call]
            values, module.weight, module.bias, halves
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
        halves: tuple[torch.Tensor, torch.Tensor | None],
    ) -> torch.Tensor:
        half = values.to(torch.bfloat16)
        ctx.save_for_backward(half, halves[0])
        ctx.kinds = (values.dtype, None if bias is None else bias.dtype, weight.dtype)
        return nn.functional.linear(half, *halves)

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
