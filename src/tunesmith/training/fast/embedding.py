"""Embedding tables: only the tokens that occur are trained, and one gradient is kept.

The embedding table is the largest weight of a small encoder, and most of its rows belong to tokens
that a data set does not hold. Their gradient is zero in every step, so AdamW leaves their moments
at zero, and only weight decay changes them: `CompactVocabulary` trains the other rows.

A step uses a few hundred rows of the table. Torch allocates its whole gradient in each step, the
largest piece of memory of a step; `TableGradient` keeps it, and sets back to zero only the rows
that the last step used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

__all__ = ["CompactVocabulary", "TableGradient", "table_of"]


def table_of(network: Any) -> nn.Embedding | None:
    """The table of word embeddings, if it is plain, trained, and used nowhere else."""
    table = network.get_input_embeddings()
    if type(table) is not nn.Embedding or not table.weight.requires_grad:
        return None
    if table.max_norm is not None or table.sparse or table.scale_grad_by_freq:
        return None
    holders = sum(
        parameter is table.weight
        for module in network.modules()
        for parameter in module._parameters.values()
    )
    return table if holders == 1 else None


class CompactVocabulary:
    """A model whose embedding table holds only the used rows while it is compact.

    Attributes:
        table: the embedding layer.
        used: the token ids that occur, rising.
        is_compact: whether the layer holds the used rows only at the moment.
    """

    def __init__(self, table: nn.Embedding, used: Iterable[int]) -> None:
        """Take the used rows out of the table; `used` must hold every id that will be asked for."""
        self.table = table
        marks = () if table.padding_idx is None else (table.padding_idx,)
        self.used = np.array(sorted({*used, *marks}), dtype=np.int64)
        self._full = table.weight
        self._padding = table.padding_idx
        self._place = np.full(table.num_embeddings, -1, dtype=np.int64)
        self._place[self.used] = np.arange(len(self.used))
        self._rows = torch.from_numpy(self.used)
        lookup = torch.from_numpy(self._place.clip(min=0))  # of what fills up batches, any row
        self._lookup = lookup.to(table.weight.device)
        self._compact = nn.Parameter(self._full.detach()[self._rows.to(self._full.device)].clone())
        self.compact()

    def compact(self) -> None:
        """Let the model use the used rows."""
        self.is_compact = True
        self._compact.requires_grad_(self._full.requires_grad)  # it may have been frozen meanwhile
        self.table.weight = self._compact
        self.table.num_embeddings = len(self.used)
        if self._padding is not None:
            self.table.padding_idx = int(self._place[self._padding])

    def expand(self) -> None:
        """Put the trained rows back into the full table, and let the model use that."""
        with torch.no_grad():
            self._full[self._rows.to(self._full.device)] = self._compact
        self._show_full()

    def _show_full(self) -> None:
        self.is_compact = False
        self.table.weight = self._full
        self.table.num_embeddings = len(self._full)
        self.table.padding_idx = self._padding

    @contextmanager
    def compacted(self) -> Iterator[None]:
        """Use the compact table in a `with` block, also of a plain model; nothing is copied."""
        was_compact = self.is_compact
        self.compact()
        try:
            yield
        finally:
            if not was_compact:
                self._show_full()

    def take(self) -> None:
        """Read the used rows from the full table again, after weights were loaded into it."""
        with torch.no_grad():
            self._compact.copy_(self._full[self._rows.to(self._full.device)])

    def enter(self, stack: ExitStack) -> None:
        """Let the layer look tokens up in its used rows; what undoes that goes onto the stack.

        The model goes on seeing true token ids: some compare them with a mark.
        """
        inner, was_patched = self.table.forward, "forward" in vars(self.table)

        def forward(input: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = inner(self._lookup[input])
            return rows

        self.table.forward = forward  # type: ignore[method-assign]
        if was_patched:
            stack.callback(setattr, self.table, "forward", inner)
        else:
            stack.callback(delattr, self.table, "forward")

    def check(self, ids: NDArray[np.int64]) -> None:
        """See that tokens were said to occur; others would be read as some token that was.

        Raises:
            KeyError: an id that was not.
        """
        known = self._place[ids] >= 0
        if not known.all():
            raise KeyError(f"token {ids[~known][0]} was not among those that occur")

    @property
    def trains(self) -> bool:
        """Whether the used rows have a gradient, so that an update changes the table."""
        return self._compact.grad is not None

    def decay(self, factor: float | torch.Tensor) -> None:
        """Weight decay of the unused rows, to the bit as AdamW does it; no look at a tensor."""
        if isinstance(factor, torch.Tensor) or factor != 1.0:
            with torch.no_grad():
                self._full.mul_(factor)

    def lend(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimizer that was made for the full table train its used rows.

        Its moments of the table are narrowed. One that was made for the used rows stays as it is.
        """
        self._exchange(optimizer, self._full, self._compact, self.narrow)

    def hand_back(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimizer that trained the used rows hold the full table, moments and all."""
        self._exchange(optimizer, self._compact, self._full, self.widen)

    def _exchange(
        self,
        optimizer: torch.optim.Optimizer,
        before: torch.Tensor,
        after: torch.Tensor,
        resized: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """Put one parameter in the place of another; what has its shape in the state is resized."""
        for group in optimizer.param_groups:
            group["params"] = [after if p is before else p for p in group["params"]]
        state = optimizer.state.pop(before, None)
        if state is not None:
            optimizer.state[after] = {
                name: resized(value)
                if isinstance(value, torch.Tensor) and value.shape == before.shape
                else value
                for name, value in state.items()
            }

    def group_in(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The group of an optimizer that trains the used rows."""
        return next(
            group
            for group in optimizer.param_groups
            if any(parameter is self._compact for parameter in group["params"])
        )

    def widen(self, moment: torch.Tensor) -> torch.Tensor:
        """A moment of the used rows as one of the full table; the others are zero."""
        wide = moment.new_zeros(self._full.shape)
        wide[self._rows.to(moment.device)] = moment
        return wide

    def narrow(self, moment: torch.Tensor) -> torch.Tensor:
        """The rows of a moment of the full table that are used."""
        return moment[self._rows.to(moment.device)]


class TableGradient:
    """Lets an embedding layer add to a gradient of its own.

    Attributes:
        table: the layer, used by one process on a CPU. Where its weight is used elsewhere, too,
            the gradient is allocated in each step.
    """

    def __init__(self, table: nn.Embedding) -> None:
        self.table = table
        self._kept: torch.Tensor | None = None
        self._touched: list[torch.Tensor] = []
        self._version = -1

    def enter(self, stack: ExitStack) -> None:
        """Replace the forward of the layer; what puts it back goes onto the stack."""
        self.table.forward = self._lookup  # type: ignore[method-assign]
        stack.callback(delattr, self.table, "forward")
        weight: Any = self.table.weight  # torch gives the method no type
        if weight.requires_grad:  # a callback may have frozen it meanwhile
            handle = weight.register_hook(self._drop)
            stack.callback(handle.remove)

    def _drop(self, gradient: torch.Tensor | None) -> None:
        """Drop the kept gradient: another use of the table made a dense one."""
        if gradient is not None:
            self._kept = None
            self._touched.clear()

    def _lookup(self, input: torch.Tensor) -> torch.Tensor:
        """Replace `nn.Embedding.forward`, whose argument has this name."""
        rows: torch.Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
            self.table.weight, input, self
        )
        return rows

    def add(self, ids: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add the gradient of some rows, (..., H), at their ids, (...)."""
        weight = self.table.weight
        if weight.grad is None:
            weight.grad = self._emptied(weight)
        is_known = self._is_own(weight.grad)
        rows, places = torch.unique(ids, return_inverse=True)
        added = torch.ops.aten.embedding_dense_backward(
            gradient, places, len(rows), self._padding_among(rows), False
        )
        weight.grad.index_add_(0, rows, added)
        if is_known:
            self._touched.append(rows)
            self._version = weight.grad._version

    def _is_own(self, gradient: torch.Tensor | None) -> bool:
        """Whether a gradient is the kept one, and others have not written into it."""
        return (
            gradient is not None and gradient is self._kept and gradient._version == self._version
        )

    def rows(self) -> list[torch.Tensor] | None:
        """The rows whose gradient may be other than zero; None if that may be any.

        That is so where the layer has not made the gradient alone, or others have written into it.
        """
        return list(self._touched) if self._is_own(self.table.weight.grad) else None

    def _emptied(self, weight: torch.Tensor) -> torch.Tensor:
        """The kept gradient, zero again."""
        if self._kept is None or self._kept.shape != weight.shape:
            self._kept = torch.zeros_like(weight)
        elif not self._is_own(self._kept):
            self._kept.zero_()
        else:
            for rows in self._touched:
                self._kept.index_fill_(0, rows, 0.0)
        self._touched.clear()
        self._version = self._kept._version
        return self._kept

    def _padding_among(self, rows: torch.Tensor) -> int:
        """Return the index of the padding token, which is not trained, among some rows; or -1."""
        if self.table.padding_idx is None:
            return -1
        matches = (rows == self.table.padding_idx).nonzero()
        return int(matches[0]) if len(matches) else -1


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
