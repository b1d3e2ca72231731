"""Temperature scaling and the expected calibration error.

All logits are divided by one number, chosen so that the probabilities of held-out rows fit their
labels best; it changes no decision. Both are from Guo, Pleiss, Sun and Weinberger, "On calibration
of modern neural networks" (arXiv 1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.output_kinds import LabelKind

__all__ = [
    "BINS",
    "COLDEST",
    "HOTTEST",
    "Bin",
    "calibration_error",
    "fit_temperature",
    "reliability",
    "temperature_with_least",
]

BINS = 15
"""Bins of equal width, as Guo et al. have them."""

COLDEST, HOTTEST = 0.05, 20.0
"""The bounds of the search: rows that are all answered right would give 0."""


def fit_temperature(kind: LabelKind, logits: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the temperature with the lowest loss; 1 unless another has a lower one."""
    return temperature_with_least(
        lambda temperature: float(kind.losses(logits / temperature, truth).mean())
    )


def temperature_with_least(loss_of: Callable[[float], float]) -> float:
    """Return the temperature with the lowest loss; 1 unless another has a lower one.

    Args:
        loss_of: a temperature; convex in its inverse, so that a bounded search for one number
            finds it.
    """
    from scipy.optimize import minimize_scalar

    def loss_at(power: float) -> float:
        return loss_of(math.exp(power))

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    result = minimize_scalar(loss_at, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    power = min((*bounds, float(result.x)), key=loss_at)
    return math.exp(power) if loss_at(power) < loss_at(0.0) else 1.0


@dataclass(frozen=True, slots=True)
class Bin:
    """A point of a reliability curve.

    Attributes:
        confidence: the mean probability of the answers in the bin.
        share: the fraction of them that is right.
        count: the number of answers.
    """

    confidence: float
    share: float
    count: int


def reliability(confidence: NDArray[Any], right: NDArray[Any]) -> list[Bin]:
    """Return the reliability curve: a point per bin of equal width that has an answer.

    Args:
        confidence: probabilities of the answers, shape (n,).
        right: whether each is right, shape (n,).
    """
    which = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    points = []
    for number in np.unique(which):
        inside = which == number
        points.append(
            Bin(float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        )
    return points


def calibration_error(points: Sequence[Bin]) -> float:
    """ECE: the distance between confidence and truth, weighted by the answers of each bin."""
    total = sum(point.count for point in points)
    return sum(abs(p.confidence - p.share) * p.count for p in points) / total
