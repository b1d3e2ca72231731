"""The learning rate of every step: schedules as functions of the step, and their one writer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["SCHEDULERS", "learning_rate_at", "set_learning_rates"]

SCHEDULERS = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "polynomial": "polynomial",
    "inverse_sqrt": "inverse_sqrt",
}
"""The name of each schedule in transformers."""


def learning_rate_at(
    step: int, schedule: str, *, warmup: int, total: int, learning_rate: float
) -> float:
    """Return the learning rate of a step, as transformers' schedulers do.

    Args:
        step: from 0.
        schedule: one of `SCHEDULERS`.
        warmup: steps in which the rate rises from zero.
        total: steps of the whole run.
        learning_rate: the highest; a polynomial ends at 1e-7, whatever it is.
    """
    return learning_rate * _factor(step, schedule, warmup, total, learning_rate)


def set_learning_rates(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Write a step's learning rate into each group of parameters, times the group's `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("lr_scale", 1.0)


def _factor(step: int, schedule: str, warmup: int, total: int, learning_rate: float) -> float:
    if step < warmup:
        return step / max(1, warmup)
    if schedule == "constant":
        return 1.0
    if schedule == "inverse_sqrt":
        timescale = warmup or 10_000
        return 1.0 / math.sqrt((step - warmup + timescale) / timescale)
    progress = (step - warmup) / max(1, total - warmup)
    if schedule == "cosine":
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    if schedule == "polynomial":
        end = 1e-7 / learning_rate
        return (1 - end) * max(0.0, 1 - progress) + end
    return max(0.0, 1.0 - progress)
