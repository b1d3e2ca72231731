"""Scores that follow from counts of answers, and how they change with each row. No torch, no scipy.

The rows with equal label and answer are one unit with a weight. Accuracy, precision, recall, F1 and
Matthews' coefficient are functions of a few sums of these weights; the derivative of a score by a
weight says how much a row of that unit moves the score, which its interval is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import METRICS, Answers, Metric

__all__ = [
    "ClassReport",
    "CountedUnits",
    "Counts",
    "Slopes",
    "class_reports",
    "is_counted",
    "score_of",
    "standard_metrics",
]

Floats = NDArray[np.float64]


def standard_metrics(answers: Answers) -> list[Metric]:
    """The scores that are the field's own, not a task's or the user's."""
    return [metric for metric in answers.metrics if METRICS.get(metric.name) is metric]


def is_counted(answers: Answers) -> bool:
    """Whether standard scores follow from counts: of classes and sets of labels, not of numbers."""
    if not standard_metrics(answers) and answers.metrics:
        return False
    predicted = np.asarray(answers.predicted)
    return predicted.ndim == 2 or predicted.dtype.kind in "iu"


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Sums of weights.

    Attributes:
        rows: of all units.
        exact: of units with exactly the right answer.
        both: of units that have a class and are said to, shape (C,).
        claimed: of units that are said to have a class, shape (C,).
        real: of units that have a class, shape (C,).
        averaged: the classes that averages over classes count, shape (C,).
    """

    rows: float
    exact: float
    both: Floats
    claimed: Floats
    real: Floats
    averaged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Derivatives of a score by the sums of `Counts`; the classes have the shape (C,)."""

    rows: float
    exact: float
    both: Floats
    claimed: Floats
    real: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CountedUnits:
    """Labels and answers of units, to be counted with any weights.

    Attributes:
        truth: the class of each unit, shape (U,), or its labels as zeros and ones, (U, C).
        predicted: the answer to each unit, likewise.
        width: C, the number of classes.
        exact: whether the answer is exactly right, shape (U,).
        hits: for labels the product of truth and predicted, (U, C); None for classes.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    width: int
    exact: NDArray[np.bool_]
    hits: Floats | None

    @classmethod
    def of(cls, truth: NDArray[Any], predicted: NDArray[Any]) -> CountedUnits:
        """Prepare at least one unit."""
        if truth.ndim == 2:
            truth, predicted = truth.astype(np.float64), predicted.astype(np.float64)
            exact = (truth == predicted).all(axis=1)
            return cls(truth, predicted, truth.shape[1], exact, truth * predicted)
        width = int(max(truth.max(), predicted.max())) + 1
        return cls(truth, predicted, width, truth == predicted, None)

    def count(self, weights: Floats) -> Counts:
        """Sum weights of shape (U,)."""
        rows, exact = float(weights.sum()), float(weights[self.exact].sum())
        if self.hits is not None:
            both, claimed, real = (
                weights @ part for part in (self.hits, self.predicted, self.truth)
            )
            return Counts(rows, exact, both, claimed, real, np.ones(self.width, dtype=bool))
        right = self.truth[self.exact]
        both = _sums(right, weights[self.exact], self.width)
        claimed = _sums(self.predicted, weights, self.width)
        real = _sums(self.truth, weights, self.width)
        return Counts(rows, exact, both, claimed, real, claimed + real > 0)

    def slope_of_units(self, slopes: Slopes) -> Floats:
        """The derivative of a score by the weight of each unit, shape (U,)."""
        of_units: Floats
        if self.hits is not None:
            of_units = self.hits @ slopes.both + self.predicted @ slopes.claimed
            of_units = of_units + self.truth @ slopes.real
        else:
            of_units = slopes.claimed[self.predicted] + slopes.real[self.truth]
            of_units = of_units + self.exact * slopes.both[self.truth]
        return of_units + self.exact * slopes.exact + slopes.rows


@dataclass(frozen=True, slots=True)
class ClassReport:
    """How well one class or label is answered.

    Attributes:
        rows: rows that have it.
        predicted: rows that are answered with it.
        precision: the fraction of `predicted` that have it; None without any.
        recall: the fraction of `rows` that are answered with it; None without any.
        f1: the harmonic mean of both; None without any row of either.
    """

    rows: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None

    @classmethod
    def of(cls, both: float, claimed: float, real: float) -> ClassReport:
        """Return the report of how many are right, answered with it, and have it."""
        return cls(
            rows=int(real),
            predicted=int(claimed),
            precision=both / claimed if claimed else None,
            recall=both / real if real else None,
            f1=2 * both / (claimed + real) if claimed + real else None,
        )


def class_reports(
    names: Sequence[str], truth: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> dict[str, ClassReport]:
    """A report for each class or label, by name.

    Args:
        names: of the classes or labels.
        truth: which of them each row has, shape (n, C).
        predicted: which of them each row is answered with, shape (n, C).
    """
    counts = CountedUnits.of(truth, predicted).count(np.ones(len(truth)))
    columns = (counts.both, counts.claimed, counts.real)
    return {
        name: ClassReport.of(both, claimed, real)
        for name, both, claimed, real in zip(names, *(c.tolist() for c in columns), strict=True)
    }


def _sums(classes: NDArray[Any], weights: Floats, width: int) -> Floats:
    """Weights by class, shape (width,)."""
    sums: Floats = np.bincount(classes, weights, width).astype(np.float64)
    return sums


def score_of(name: str, counts: Counts, positive: int) -> tuple[float, Slopes]:
    """A score of `metrics.METRICS` for classes or sets of labels, and its derivatives.

    Args:
        name: of the score.
        counts: of all units; nothing of nothing is zero, as `metrics` has it.
        positive: the class that binary scores count.
    """
    nothing = np.zeros_like(counts.both)
    if name == "accuracy":
        score = counts.exact / counts.rows
        by_rows, by_exact = -score / counts.rows, 1 / counts.rows
        return score, Slopes(by_rows, by_exact, nothing, nothing, nothing)
    if name == "matthews_correlation":
        return _matthews(counts)
    part, _underscore, average = name.partition("_")
    if average == "micro":
        sums = (np.full(1, each.sum()) for each in (counts.both, counts.claimed, counts.real))
        values, *slopes = _by_class(part, *sums)
        return float(values[0]), Slopes(0.0, 0.0, *(nothing + slope for slope in slopes))
    values, by_both, by_claimed, by_real = _by_class(part, counts.both, counts.claimed, counts.real)
    weights = _class_weights(average, counts, positive)
    score = float(weights @ values)
    by_real = weights * by_real
    if average == "weighted":
        by_real = by_real + (values - score) * _inverse(counts.real.sum())
    return score, Slopes(0.0, 0.0, weights * by_both, weights * by_claimed, by_real)


def _class_weights(average: str, counts: Counts, positive: int) -> Floats:
    """How much each class counts in an average, shape (C,); one class alone for binary scores."""
    if average == "macro":
        weights = counts.averaged.astype(np.float64)
    elif average == "weighted":
        weights = counts.real
    else:
        return np.asarray(np.arange(len(counts.real)) == positive, dtype=np.float64)
    normalized: Floats = weights * _inverse(weights.sum())
    return normalized


def _by_class(
    part: str, both: Floats, claimed: Floats, real: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Precision, recall or F1 of each class; derivatives by `both`, `claimed` and `real`."""
    nothing = np.zeros_like(both)
    if part == "f1":
        share = 2 * _inverse(claimed + real)
        values = both * share
        slope = -values * share / 2
        return values, share, slope, slope
    if part == "precision":
        share = _inverse(claimed)
        return both * share, share, -both * share**2, nothing
    if part != "recall":
        raise ValueError(f"{part} has no derivative here")
    share = _inverse(real)
    return both * share, share, nothing, -both * share**2


def _inverse(whole: Floats | np.float64) -> Floats:
    """One over each number, zero for zero."""
    inverse = np.zeros(np.shape(whole))
    np.divide(1.0, whole, out=inverse, where=np.asarray(whole) > 0)
    return inverse


def _matthews(counts: Counts) -> tuple[float, Slopes]:
    """The multiclass form of Gorodkin (2004); zero where one side has one class only."""
    rows, claimed, real = counts.rows, counts.claimed, counts.real
    above = counts.exact * rows - claimed @ real
    spread_claimed, spread_real = rows**2 - claimed @ claimed, rows**2 - real @ real
    product = float(spread_claimed * spread_real)
    if product <= 1e-14 * rows**4:  # nothing but rounding
        nothing = np.zeros_like(claimed)
        return 0.0, Slopes(0.0, 0.0, nothing, nothing, nothing)
    score = float(above / product**0.5)
    by_claimed = -real / product**0.5 + score * claimed / spread_claimed
    by_real = -claimed / product**0.5 + score * real / spread_real
    by_rows = counts.exact / product**0.5 - score * rows * (1 / spread_claimed + 1 / spread_real)
    return score, Slopes(by_rows, rows / product**0.5, np.zeros_like(claimed), by_claimed, by_real)
