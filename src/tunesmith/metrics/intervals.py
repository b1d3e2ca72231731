"""Intervals that have a formula: fractions of rows, means, correlations. No torch, no scipy.

All are of 95 %, for rows that are independent of each other and drawn from what the model will
meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import Interval

__all__ = [
    "CORRELATIONS",
    "Correlation",
    "Z",
    "correlation_difference",
    "fraction_interval",
    "mean_interval",
    "paired_fraction_interval",
    "t_quantile",
]

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

_HALVINGS = 60

Floats = NDArray[np.float64]


def t_quantile(degrees: float) -> float:
    """The 97.5 % point of Student's distribution; within 0.001 from five degrees of freedom on.

    The expansion 26.7.5 of Abramowitz and Stegun, "Handbook of mathematical functions" (1964).
    """
    z = Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees ** (i + 1) for i, term in enumerate(terms))


def fraction_interval(part: float, whole: float) -> Interval:
    """Of `part` rows of `whole`: Wilson, "Probable inference" (JASA 1927).

    Of no rows it says nothing: 0 to 1.
    """
    if whole <= 0:
        return Interval(0.0, 1.0)
    share, squared = part / whole, Z**2 / whole
    middle = share + squared / 2
    half = Z * math.sqrt(share * (1 - share) / whole + squared / (4 * whole))
    # at the ends the formula is off by rounding
    low = 0.0 if part <= 0 else (middle - half) / (1 + squared)
    high = 1.0 if part >= whole else (middle + half) / (1 + squared)
    return Interval(max(0.0, low), min(1.0, high))


def paired_fraction_interval(fixed: int, broken: int, rows: int) -> Interval:
    """Of (fixed - broken) / rows, a difference of two fractions of the same rows.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design" (Statistics in Medicine, 1998).

    Args:
        fixed: rows that only the second has right.
        broken: rows that only the first has right.
        rows: all, at least one.
    """
    return Interval(-_tango_high(broken, fixed, rows), _tango_high(fixed, broken, rows))


def _tango_high(fixed: int, broken: int, rows: int) -> float:
    """The largest difference that the score test does not reject, by halving."""
    low, high = (fixed - broken) / rows, 1.0
    for _halving in range(_HALVINGS):
        change = (low + high) / 2
        # the likeliest fraction of broken rows if this is the difference
        linear = -(fixed + broken) + (2 * rows - fixed + broken) * change
        constant = -broken * change * (1 - change)
        root = math.sqrt(max(0.0, linear**2 - 8 * rows * constant))
        share = max(0.0, (root - linear) / (4 * rows))
        variance = rows * (2 * share + change * (1 - change))
        if (rows * change - (fixed - broken)) ** 2 > Z**2 * variance:
            high = change
        else:
            low = change
    return high


def mean_interval(values: Floats) -> Interval | None:
    """Of the mean of values (n,): Student's, corrected for skewness. None if all are equal.

    The cubic transformation of Hall, "On the removal of skewness by transformation" (JRSS B 1992):
    losses are skewed, and without it their intervals lie too low.
    """
    rows = len(values)
    if rows < 2 or values.min() == values.max():
        return None
    mean = float(values.mean())
    deviation = float(values.std(ddof=1))
    skew = float((((values - mean) / deviation) ** 3).mean())
    quantile = t_quantile(rows - 1)
    ends = [
        mean - _hall(sign * quantile, skew, rows) * deviation / math.sqrt(rows) for sign in (1, -1)
    ]
    return Interval(min(ends[0], mean), max(ends[1], mean))


def _hall(quantile: float, skew: float, rows: int) -> float:
    """The quantile of a studentized mean of skewed values."""
    bend = skew / math.sqrt(rows)
    if abs(bend) < 1e-8:
        return quantile
    return float(3 / bend * (math.cbrt(1 + bend * (quantile - bend / 6)) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """A coefficient, its interval, and how much each row moves it, shape (n,), with mean zero."""

    value: float
    interval: Interval
    influence: Floats

    @classmethod
    def pearson(cls, x: Floats, y: Floats) -> Correlation | None:
        """Pearson's coefficient of two columns (n,); None where one is constant."""
        return cls._of(x, y, by_ranks=False)

    @classmethod
    def spearman(cls, x: Floats, y: Floats) -> Correlation | None:
        """Spearman's: Pearson's of the ranks, equal values sharing theirs; None likewise."""
        return cls._of(_ranks(x), _ranks(y), by_ranks=True)

    @classmethod
    def _of(cls, x: Floats, y: Floats, *, by_ranks: bool) -> Correlation | None:
        """With Fisher's transformation ("On the probable error of a coefficient", 1921).

        Its variance is 1 / (n - 3) for normal columns, (1 + r^2 / 2) / (n - 3) for ranks (Bonett
        and Wright, Psychometrika 2000), and more where the influence of the rows says so.
        """
        rows = len(x)
        if rows < 4 or x.min() == x.max() or y.min() == y.max():
            return None
        x, y = ((column - column.mean()) / column.std() for column in (x, y))
        value = float(np.clip((x * y).mean(), -1.0, 1.0))
        influence = x * y - value / 2 * (x * x + y * y)
        # rows on a line leave nothing to measure: half a row that is not is allowed for
        bounded = float(np.clip(value, -1 + 0.5 / rows, 1 - 0.5 / rows))
        if abs(value) < 1 - 1e-12:
            bounded = value
        robust = float((influence**2).mean()) / (1 - bounded**2) ** 2
        usual = 1 + bounded**2 / 2 if by_ranks else 1.0
        half = t_quantile(rows - 2) * math.sqrt(max(usual, robust) / (rows - 3))
        middle = math.atanh(bounded)
        low, high = math.tanh(middle - half), math.tanh(middle + half)
        return cls(value, Interval(min(low, value), max(high, value)), influence)


CORRELATIONS: Mapping[str, Callable[[Floats, Floats], Correlation | None]] = {
    "pearson": Correlation.pearson,
    "spearman": Correlation.spearman,
}


def _ranks(values: Floats) -> Floats:
    """Mean ranks from 1, shape (n,)."""
    _unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()]
    return ranks


def _half_width(correlation: Correlation) -> float:
    return (correlation.interval.high - correlation.interval.low) / 2


def correlation_difference(first: Correlation, second: Correlation) -> Interval:
    """Of second minus first on the same rows, from both intervals and how they go together.

    Zou, "Toward using confidence intervals to compare correlations" (Psychological Methods, 2007).
    There the skewness of two intervals never cancels; here the part of it that both models share
    does, so that the interval of two models that hardly differ is as narrow as they are alike.
    """
    spread = math.sqrt(float((first.influence**2).sum()) * float((second.influence**2).sum()))
    together = float(first.influence @ second.influence) / spread if spread > 0 else 0.0
    change = second.value - first.value
    shared = (_half_width(first) - _half_width(second)) ** 2

    def width(one: float, other: float) -> float:
        skewness = max(0.0, together) * ((one - other) ** 2 - shared)
        return math.sqrt(max(0.0, one**2 + other**2 - 2 * together * one * other - skewness))

    low = width(second.value - second.interval.low, first.interval.high - first.value)
    high = width(second.interval.high - second.value, first.value - first.interval.low)
    return Interval(change - low, change + high)
