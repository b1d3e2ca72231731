"""The update of all weights by one kernel, and gradients that stay in bfloat16 until then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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
        if parameter.grad is not None:
            self._widen(parameter)
            return parameter.grad
        return self._pending.get(parameter)

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
    ) -> None:
        """Nothing is read yet.

        Args:
            optimizer: AdamW over float32 weights on the CPU.
            gradients: those that weights do not hold themselves.
        """
        self._optimizer = optimizer
        self._gradients = gradients
        self._sizes: tuple[int, ...] = ()
        self._pieces: NDArray[np.int64] = np.empty((0, 3), dtype=np.int64)

    def prepare(self, copies: Mapping[torch.Tensor, torch.Tensor]) -> PreparedUpdate | None:
        """Collect what an update reads and writes; None where torch has to do it.

        That is before the first update, which makes the moments; and with options, hooks or kinds
        of weights that the kernels do not know.

        Args:
            copies: of weights in bfloat16, to be written along with them.
        """
        optimizer: Any = self._optimizer
        if type(optimizer) is not torch.optim.AdamW:
            return None
        if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
            return None
        table, steps, rows = [], [], _Fractions()
        for group in optimizer.param_groups:
            if any(group.get(option, off) != off for option, off in _PLAIN.items()):
                return None
            for parameter in group["params"]:
                gradient = self._gradients.of(parameter)
                if gradient is None:
                    continue
                state = optimizer.state.get(parameter)
                if not state or not _is_known(parameter, gradient, state):
                    return None
                copy = copies.get(parameter)
                steps.append(state["step"])
                table.append((
                    parameter.data_ptr(), state["exp_avg"].data_ptr(),
                    state["exp_avg_sq"].data_ptr(), gradient.data_ptr(),
                    gradient.dtype == torch.bfloat16, 0 if copy is None else copy.data_ptr(),
                    rows.of(group, float(state["step"]) + 1), parameter.numel(),
                ))  # fmt: skip
        if not table:
            return None
        columns = np.array(table, dtype=np.int64)
        pieces = self._cut(tuple(columns[:, -1].tolist()))
        return PreparedUpdate(np.ascontiguousarray(columns[:, :-1]), pieces, rows.array(), steps)

    def _cut(self, sizes: tuple[int, ...]) -> NDArray[np.int64]:
        """Pieces of work for weights of these sizes."""
        from tunesmith.training.fast.kernels.adamw import PIECE

        if sizes != self._sizes:
            self._sizes = sizes
            self._pieces = np.array(
                [
                    (i, first, min(first + PIECE, size))
                    for i, size in enumerate(sizes)
                    for first in range(0, size, PIECE)
                ],
                dtype=np.int64,
            )
        return self._pieces


class _Fractions:
    """The numbers of the formula for weights of one group that were updated as often."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, float], int] = {}
        self._values: list[tuple[float, ...]] = []

    def of(self, group: dict[str, Any], step: float) -> int:
        key = id(group), step
        if key not in self._rows:
            beta1, beta2 = group["betas"]
            rate = float(group["lr"])
            self._rows[key] = len(self._values)
            self._values.append((
                1 - beta1, beta2, 1 - beta2,
                rate / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step),
                group["eps"], 1 - rate * group["weight_decay"],
            ))  # fmt: skip
        return self._rows[key]

    def array(self) -> NDArray[np.float32]:
        return np.array(self._values, dtype=np.float32)


class PreparedUpdate:
    """One update, whose addresses are known: use it at once."""

    def __init__(
        self,
        table: NDArray[np.int64],
        pieces: NDArray[np.int64],
        fractions: NDArray[np.float32],
        steps: Sequence[torch.Tensor],
    ) -> None:
        from tunesmith.training.fast.kernels.adamw import Tensors

        self._tensors = Tensors(table, pieces, fractions)
        self._steps = list(steps)

    def norm(self) -> float:
        """Return the L2 norm of the whole gradient."""
        from tunesmith.training.fast.kernels.adamw import norm

        return norm(self._tensors)

    def apply(self, factor: float) -> None:
        """Update all weights, with gradients times a factor."""
        from tunesmith.training.fast.kernels.adamw import update

        update(self._tensors, factor)
        torch._foreach_add_(self._steps, 1)


def _is_known(
    parameter: torch.Tensor, gradient: torch.Tensor, state: Mapping[str, torch.Tensor]
) -> bool:
    """Whether all tensors are plain ones in memory, which a kernel may read by their address."""
    tensors = (parameter, state["exp_avg"], state["exp_avg_sq"])
    return (
        all(t.dtype == torch.float32 and t.is_contiguous() for t in tensors)
        and gradient.dtype in {torch.float32, torch.bfloat16}
        and gradient.is_contiguous()
        and parameter.device.type == "cpu"
    )
