"""The update on the device: norm, clipping, AdamW and skipping, without waiting on the host.

A gradient that is not finite changes nothing: AdamW's kernel reads the flag `found_inf`, leaves
weights and moments unchanged and takes back its count of steps. After `MAX_SKIPPED` such in a row
nothing is applied any more, so that the weights are those of the step at which the run has to stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tunesmith.training.engine import MAX_SKIPPED

__all__ = ["DeviceUpdate"]


class DeviceUpdate:
    """One update, repeated over the same memory.

    Attributes:
        norm: of the gradient before clipping, as the last `run` computed it.
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
        """Prepare the updates of an optimizer.

        Args:
            optimizer: fused AdamW.
            parameters: all that it trains.
            device: theirs.
            limit: longer gradients are shortened; infinity for no limit.
            folds: whether AdamW divides in its own pass, or gradients are shortened before.
            then: called after new weights, while the groups hold `lr` as tensors.
        """
        self._optimizer, self._parameters = optimizer, parameters
        self._limit, self._folds, self._then = limit, folds, then
        kind = parameters[0].dtype
        self._rates = [torch.zeros((), dtype=kind, device=device) for _ in optimizer.param_groups]
        self.norm = torch.zeros((), dtype=kind, device=device)
        self.skips = torch.zeros((), dtype=torch.bool, device=device)
        self._in_a_row = torch.zeros((), dtype=torch.int32, device=device)

    def reset(self) -> None:
        """Count skipped updates from zero again."""
        self._in_a_row.zero_()

    def copy_rates(self) -> None:
        """Copy the learning rates of the groups to the device, for the next `run`."""
        for rate, group in zip(self._rates, self._optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])

    @property
    def options(self) -> Hashable:
        """The options of the groups that a recording of `run` has as constants."""
        return tuple(
            (group["weight_decay"], tuple(group["betas"]), group["eps"])
            for group in self._optimizer.param_groups
        )

    def run(self) -> None:
        """Update the weights and zero the gradients, which keep their memory."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        self.norm.copy_(norm)
        torch.logical_or(~norm.isfinite(), self._in_a_row >= MAX_SKIPPED, out=self.skips)
        self._in_a_row.copy_((self._in_a_row + 1) * self.skips)
        self._optimizer.found_inf = self.skips.float()
        self._optimizer.grad_scale = self._shrink(norm, gradients)
        with self._rates_on_device():
            self._optimizer.step()
            self._then()
        torch._foreach_zero_(gradients)

    @contextmanager
    def _rates_on_device(self) -> Iterator[None]:
        """Let the groups hold `lr` as tensors, which a recording reads; else they are numbers."""
        groups = self._optimizer.param_groups
        before = [{name: group[name] for name in ("lr", "capturable")} for group in groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group.update(lr=rate, capturable=True)
        try:
            yield
        finally:
            for group, options in zip(groups, before, strict=True):
                group.update(options)

    def _shrink(self, norm: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor | None:
        """Return what AdamW divides gradients by; None if nothing, or if that is done here."""
        if math.isinf(self._limit):
            return None
        shrink = ((norm + 1e-6) / self._limit).clamp(min=1.0).float()
        if self._folds:
            return shrink
        torch._foreach_div_(gradients, shrink)
        return None
