"""The update of all weights by one kernel, and gradients that stay in bfloat16 until then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.training.fast.active_rows import ActiveRows
from tunesmith.training.fast.embedding import TableGradient

__all__ = ["FusedUpdate", "HalfGradients"]

_PLAIN = {"amsgrad": False, "maximize": False, "capturable": False, "differentiable": False}
"""Options of AdamW that the kernel does not know, as they must be."""


class HalfGradients:
    """Gradients of weights in bfloat16, as layers compute them, until an update reads them."""

    def __init__(self) -> None:
        self._pending: dict[torch.Tensor, torch.Tensor] = {}

    def take(self, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        """Keep the gradient of a weight; where there is one already, they are added in float32."""
        if parameter in self._pending or parameter.grad is not None:
            self._widen(parameter)
            self._add(parameter, gradient)
        else:
            self._pending[parameter] = gradient

    def of(self, parameter: torch.Tensor) -> torch.Tensor | None:
        """The whole gradient of a weight, bfloat16 or float32; None if it has none."""
        own = parameter.grad
        if own is None:
            return self._pending.get(parameter)
        self._widen(parameter)
        return own

    def widen(self) -> None:
        """Let every weight hold its gradient itself, in float32."""
        for parameter in list(self._pending):
            self._widen(parameter)

    def clear(self) -> None:
        """Drop them."""
        self._pending.clear()

    def _widen(self, parameter: torch.Tensor) -> None:
        gradient = self._pending.pop(parameter, None)
        if gradient is not None:
            self._add(parameter, gradient)

    def _add(self, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        if parameter.grad is None:
            parameter.grad = gradient.float()
        else:
            parameter.grad.add_(gradient)


class FusedUpdate:
    """Norm and update of torch's AdamW by kernels; its state stays where it is."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        gradients: HalfGradients,
        table: TableGradient | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            optimizer: AdamW over float32 weights on the CPU.
            gradients: those that weights do not hold themselves.
            table: the gradient of the embedding table, where it is kept.
        """
        self._optimizer = optimizer
        self._gradients = gradients
        self._rows = None if table is None else ActiveRows(table)
        self._layout: _Layout | None = None

    def forget(self) -> None:
        """Look everything up again: weights, copies or moments may be others now."""
        self._layout = None
        if self._rows is not None:
            self._rows.forget()

    def prepare(self, copies: Mapping[torch.Tensor, torch.Tensor]) -> PreparedUpdate | None:
        """Collect what an update reads and writes; None where torch has to do it.

        That is before the first update, which makes the moments; and with options, hooks or kinds
        of weights that the kernels do not know.

        Args:
            copies: of weights in bfloat16, to be written along with them; the same until `forget`.
        """
        prepared = self._prepare(copies) if self._is_plain() else None
        if prepared is None:
            self.forget()
        return prepared

    def _is_plain(self) -> bool:
        """Whether the optimizer does what the kernels do."""
        optimizer: Any = self._optimizer
        return (
            type(optimizer) is torch.optim.AdamW
            and not optimizer._optimizer_step_pre_hooks
            and not optimizer._optimizer_step_post_hooks
            and all(
                group.get(option, off) == off
                for group in optimizer.param_groups
                for option, off in _PLAIN.items()
            )
        )

    def _prepare(self, copies: Mapping[torch.Tensor, torch.Tensor]) -> PreparedUpdate | None:
        trained, groups, gradients = [], [], []
        for number, group in enumerate(self._optimizer.param_groups):
            for parameter in group["params"]:
                gradient = self._gradients.of(parameter)
                if gradient is not None:
                    trained.append(parameter)
                    groups.append(number)
                    gradients.append(gradient)
        if not trained or not all(map(_is_readable, gradients)):
            return None
        states = self._optimizer.state
        if self._layout is None or not self._layout.fits(trained, groups, states):
            if not all(_is_known(parameter, states.get(parameter)) for parameter in trained):
                return None
            self._layout = _Layout(trained, groups, states, copies)
        prepared = PreparedUpdate(self._layout, self._optimizer.param_groups, gradients)
        if self._rows is not None:
            self._mark(self._rows, trained, prepared)
        return prepared

    def _mark(
        self, rows: ActiveRows, trained: list[torch.Tensor], prepared: PreparedUpdate
    ) -> None:
        """Let an update leave out rows of the embedding table."""
        weight = rows.weight
        index = next((i for i, parameter in enumerate(trained) if parameter is weight), None)
        if index is None:
            return
        marks = rows.marks(self._optimizer.state[weight], prepared.updates_of(index))
        if marks is not None:
            prepared.leave_out(index, marks, weight.shape[1])


class _Layout:
    """Where weights and their states are, as kernels read it.

    Attributes:
        groups: of each weight, the number of its group.
        table: as `Tensors` has it; what changes from step to step is 0.
        pieces: of work.
        counters: addresses of the numbers of updates.
    """

    def __init__(
        self,
        trained: list[torch.Tensor],
        groups: list[int],
        states: Mapping[torch.Tensor, dict[str, torch.Tensor]],
        copies: Mapping[torch.Tensor, torch.Tensor],
    ) -> None:
        from tunesmith.training.fast.kernels.adamw import cut

        self.groups = groups
        self._owners, self._states = list(states), list(states.values())
        self._weights = [(parameter, parameter.data_ptr()) for parameter in trained]
        own = [states[parameter] for parameter in trained]
        self._parts = [
            (state, state["exp_avg"], state["exp_avg_sq"], state["step"]) for state in own
        ]
        self.table = np.zeros((len(trained), 9), dtype=np.int64)
        self.table[:, 0] = [place for _parameter, place in self._weights]
        self.table[:, 1] = [mean.data_ptr() for _state, mean, _square, _step in self._parts]
        self.table[:, 2] = [square.data_ptr() for _state, _mean, square, _step in self._parts]
        rounded = [copies.get(parameter) for parameter in trained]
        self.table[:, 5] = [0 if copy is None else copy.data_ptr() for copy in rounded]
        self.counters = np.array([parts[-1].data_ptr() for parts in self._parts], dtype=np.int64)
        self.pieces = cut(parameter.numel() for parameter in trained)

    def fits(
        self,
        trained: list[torch.Tensor],
        groups: list[int],
        states: Mapping[torch.Tensor, dict[str, torch.Tensor]],
    ) -> bool:
        """Whether these are the same weights and states, where they were.

        Objects are compared, and addresses only of weights: to look at all tensors takes longer,
        as none of them is in a cache.
        """
        return (
            groups == self.groups
            and len(states) == len(self._owners)
            and all(map(is_, states, self._owners))
            and all(map(is_, states.values(), self._states))
            and all(
                parameter is mine and parameter.data_ptr() == place
                for parameter, (mine, place) in zip(trained, self._weights, strict=True)
            )
            and all(
                state["exp_avg"] is mean and state["exp_avg_sq"] is square and state["step"] is step
                for state, mean, square, step in self._parts
            )
        )


class PreparedUpdate:
    """One update, whose addresses are known: use it at once."""

    def __init__(
        self,
        layout: _Layout,
        groups: Sequence[Mapping[str, Any]],
        gradients: list[torch.Tensor],
    ) -> None:
        from tunesmith.training.fast.kernels.adamw import Tensors, count

        self._counters = layout.counters
        self._updates: list[float] = count(self._counters, 0).tolist()
        keys = list(zip(layout.groups, self._updates, strict=True))
        rows = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        fractions = [_fractions(groups[number], updates + 1) for number, updates in rows]
        table = layout.table.copy()
        table[:, 3] = [gradient.data_ptr() for gradient in gradients]
        table[:, 4] = [gradient.dtype is torch.bfloat16 for gradient in gradients]
        table[:, 6] = [rows[key] for key in keys]
        self._tensors = Tensors(table, layout.pieces, np.array(fractions, dtype=np.float32))
        self._marks: NDArray[np.uint16] | None = None

    def updates_of(self, index: int) -> float:
        """How often a weight was updated so far."""
        return self._updates[index]

    def leave_out(self, index: int, marks: NDArray[np.uint16], width: int) -> None:
        """Leave out the rows of a weight without marks; all count if zeros may change them."""
        tensor = self._tensors.table[index]
        fractions = self._tensors.fractions[tensor[6]]
        if tensor[5] == 0 and np.isfinite(fractions).all() and fractions[5] > 0:
            self._marks = marks  # must stay alive
            tensor[7:] = marks.ctypes.data, width

    def norm(self) -> float:
        """Return the L2 norm of the whole gradient."""
        from tunesmith.training.fast.kernels.adamw import norm

        return norm(self._tensors)

    def apply(self, factor: float) -> None:
        """Update all weights, with gradients times a factor."""
        from tunesmith.training.fast.kernels.adamw import count, update

        update(self._tensors, factor)
        count(self._counters, 1)


def _fractions(group: Mapping[str, Any], step: float) -> tuple[float, ...]:
    """The numbers of the formula for a group of weights, in the order of `Tensors`."""
    beta1, beta2 = group["betas"]
    rate = float(group["lr"])
    return (
        1 - beta1, beta2, 1 - beta2,
        rate / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step),
        group["eps"], 1 - rate * group["weight_decay"],
    )  # fmt: skip


def _is_readable(gradient: torch.Tensor) -> bool:
    """Whether a kernel may read a gradient by its address."""
    kind = gradient.dtype
    return (kind is torch.bfloat16 or kind is torch.float32) and gradient.is_contiguous()


def _is_known(parameter: torch.Tensor, state: Mapping[str, torch.Tensor] | None) -> bool:
    """Whether a weight and its state are plain ones in memory, float32."""
    if not state:
        return False
    tensors = (parameter, state["exp_avg"], state["exp_avg_sq"], state["step"])
    return all(
        tensor.dtype is torch.float32 and tensor.is_contiguous() and tensor.is_cpu
        for tensor in tensors
    )
