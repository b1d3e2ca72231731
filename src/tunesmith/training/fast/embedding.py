"""The gradient of an embedding table, kept from step to step.

A step touches a few hundred rows of a table that has ten thousand. Torch makes the whole gradient
anew each time, which is the largest piece of memory of a step; here one stays, and only the rows
that the last step touched are set back to zero.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

__all__ = ["TableGradient"]


class TableGradient:
    """Lets an embedding layer add to a gradient of its own.

    Attributes:
        table: the layer, used by one process on a CPU. Where its weight is used elsewhere, too,
            the gradient is made anew in each step.
    """

    def __init__(self, table: nn.Embedding) -> None:
        self.table = table
        self._kept: torch.Tensor | None = None
        self._touched: list[torch.Tensor] = []

    def enter(self, stack: ExitStack) -> None:
        """Replace the forward of the layer; what puts it back goes onto the stack."""
        self.table.forward = self._rows_of  # type: ignore[method-assign]
        stack.callback(delattr, self.table, "forward")
        weight: Any = self.table.weight  # torch gives the method no type
        if weight.requires_grad:  # a callback may have frozen it meanwhile
            handle = weight.register_hook(self._lose)
            stack.callback(handle.remove)

    def _lose(self, gradient: torch.Tensor | None) -> None:
        """Somebody else used the table, too: its gradient is dense, and not zero where we think."""
        if gradient is not None:
            self._kept = None
            self._touched.clear()

    def _rows_of(self, input: torch.Tensor) -> torch.Tensor:
        """What stands in for `nn.Embedding.forward`, whose argument has this name."""
        found: torch.Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
            self.table.weight, input, self
        )
        return found

    def add(self, ids: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add the gradient of some rows, (..., H), at their ids, (...)."""
        weight = self.table.weight
        if weight.grad is None:
            weight.grad = self._emptied(weight)
        rows, places = torch.unique(ids, return_inverse=True)
        added = torch.ops.aten.embedding_dense_backward(
            gradient, places, len(rows), self._padding_among(rows), False
        )
        weight.grad.index_add_(0, rows, added)
        if weight.grad is self._kept:
            self._touched.append(rows)

    def _emptied(self, weight: torch.Tensor) -> torch.Tensor:
        """The kept gradient, zero again."""
        if self._kept is None or self._kept.shape != weight.shape:
            self._kept = torch.zeros_like(weight)
        for rows in self._touched:
            self._kept.index_fill_(0, rows, 0.0)
        self._touched.clear()
        return self._kept

    def _padding_among(self, rows: torch.Tensor) -> int:
        """Where the padding token stands among some rows; -1 if it does not: it never learns."""
        if self.table.padding_idx is None:
            return -1
        found = (rows == self.table.padding_idx).nonzero()
        return int(found[0]) if len(found) else -1


class _Rows(torch.autograd.Function):
    """Rows of a table, forward; backward straight into its kept gradient."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, ids: torch.Tensor, gradient: TableGradient
    ) -> torch.Tensor:
        ctx.save_for_backward(ids)
        ctx.gradient = gradient
        return weight.index_select(0, ids.reshape(-1)).view(*ids.shape, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        ctx.gradient.add(ids, gradients[0])
        return None, None, None
