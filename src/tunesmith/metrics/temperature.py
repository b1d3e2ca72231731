"""Temperature scaling: probabilities that mean what they say, and how far they do.

All logits are divided by one number, chosen so that the probabilities of held-out rows fit their
labels best; it moves no decision (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
networks", arXiv 1706.04599). The calibration error is theirs, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
]

BINS = 15
"""Bins of equal width, as Guo et al. have them."""

COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is looked for: rows that are all answered right ask for 0."""


def fit_temperature(kind: LabelKind, logits: NDArray[Any], truth: NDArray[Any]) -> float:
    """The temperature with the lowest log loss, 1 if none is lower than that of 1.

    The loss is convex in 1/T, so a bounded search for one number finds it.
    """
    from scipy.optimize import minimize_scalar

    def loss_at(power: float) -> float:
        return float(kind.losses(logits / math.exp(power), truth).mean())

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    found = minimize_scalar(loss_at, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    power = min((*bounds, float(found.x)), key=loss_at)
    return math.exp(power) if loss_at(power) < loss_at(0.0) else 1.0


@dataclass(frozen=True, slots=True)
class Bin:
    """A point of a reliability curve.

    Attributes:
        confidence: the mean probability that the answers of the bin were given.
        share: how many of them are right.
        count: how many answers these are.
    """

    confidence: float
    share: float
    count: int


def reliability(confidence: NDArray[Any], right: NDArray[Any]) -> list[Bin]:
    """The reliability curve: a point per bin of equal width that holds an answer.

    Args:
        confidence: probabilities of the answers, shape (n,).
        right: whether each came true, shape (n,).
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
