"""Learning-rate schedules as functions of the step, equal to transformers' schedulers."""

from __future__ import annotations

import math

__all__ = ["SCHEDULERS", "schedule_factor"]

SCHEDULERS = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "polynomial": "polynomial",
    "inverse_sqrt": "inverse_sqrt",
}
"""The name of each schedule in transformers."""


def schedule_factor(
    schedule: str, step: int, *, warmup: int, total: int, learning_rate: float
) -> float:
    """Return the factor of the learning rate at step `step` (from 0), between 0 and 1.

    Args:
        schedule: one of `SCHEDULERS`.
        step: steps done.
        warmup: steps in which the factor rises from zero.
        total: steps of the whole run.
        learning_rate: the highest; a polynomial ends at 1e-7, whatever it is.
    """
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
