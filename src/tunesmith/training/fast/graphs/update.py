"""The update on the device: norm, clipping, AdamW and what is skipped; the host looks at nothing.

The host sees a norm when it asks for it. A gradient that is not finite changes nothing: AdamW's
kernel reads the flag `found_inf`, leaves weights and moments and takes back its count of steps.
After `MAX_SKIPPED` such in a row nothing is applied any more, so that whoever looks later finds the
weights of the step at which the run has to stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from tunesmith.training.engine import MAX_SKIPPED

__all__ = ["DeviceUpdate"]


class DeviceUpdate:
    """One update, again and again over the same memory.

    Attributes:
        rate: the learning rate, to be written before `run`; float32 scalar on the device.
        norm: of the gradient before clipping, as the last `run` found it.
        skips: whether the last `run` changed nothing; a boolean scalar on the device.
    """

    def __init__(
        self,
        optimizer: Any,
        parameters: Sequence[nn.Parameter],
        device: torch.device,
        *,
        limit: float,
        folds: bool,
        then: Callable[[], None],
    ) -> None:
        """Take over an optimizer.

        Args:
            optimizer: fused AdamW, whose learning rate becomes a tensor.
            parameters: all that it trains.
            device: theirs.
            limit: longer gradients are shortened; infinity for no limit.
            folds: whether AdamW divides in its own pass, or gradients are shortened before.
            then: what follows from new weights.
        """
        self._optimizer, self._parameters = optimizer, parameters
        self._limit, self._folds, self._then = limit, folds, then
        kind = parameters[0].dtype
        self.rate = torch.zeros((), dtype=kind, device=device)
        self.norm = torch.zeros((), dtype=kind, device=device)
        self.skips = torch.zeros((), dtype=torch.bool, device=device)
        self._in_a_row = torch.zeros((), dtype=torch.int32, device=device)
        for group in optimizer.param_groups:
            group["lr"], group["capturable"] = self.rate, True

    def begin(self) -> None:
        """Forget how many were skipped in a row."""
        self._in_a_row.zero_()

    def run(self) -> None:
        """Update the weights and zero the gradients, which keep their memory."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        self.norm.copy_(norm)
        torch.logical_or(~norm.isfinite(), self._in_a_row >= MAX_SKIPPED, out=self.skips)
        self._in_a_row.copy_((self._in_a_row + 1) * self.skips)
        self._optimizer.found_inf = self.skips.float()
        self._optimizer.grad_scale = self._shrink(norm, gradients)
        self._optimizer.step()
        self._then()
        torch._foreach_zero_(gradients)

    def _shrink(self, norm: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor | None:
        """What AdamW divides gradients by; None if nothing, or if that is done here."""
        if math.isinf(self._limit):
            return None
        shrink = ((norm + 1e-6) / self._limit).clamp(min=1.0).float()
        if self._folds:
            return shrink
        torch._foreach_div_(gradients, shrink)
        return None
