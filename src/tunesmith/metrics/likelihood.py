"""Intervals of scores that follow from counts of answers: score intervals along the likelihood.

For a fraction of rows the interval of Wilson ("Probable inference", JASA 1927) holds all values p
with |observed - p| <= z * sqrt(p (1 - p) / n): the error is that of the value asked about, not of
the one observed, so it is honest at 0, at 1 and with few rows. Here this is done for any smooth
score: the value asked about is reached by the most likely weights of the units that give it
(Owen, "Empirical likelihood", 2001, chapter 2), and the error is taken there. For a fraction of
rows that is Wilson's interval, for a difference of two on the same rows nearly Tango's (1998).

Weights of rows that did not come up would stay zero. So each class gets a quarter of an imaginary
row, right and wrong as often as rows of the whole table are: even with all rows right, some class
may be confused with another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.counts import Floats
from tunesmith.metrics.intervals import Z, t_quantile

__all__ = ["Support", "few_rows_quantile", "profile_interval", "supported"]

_IMAGINED = 0.25
"""Imaginary rows of each class. Up to 1 the coverage of common classes stays; that of classes with
one or two rows falls."""

_STEP, _MOST_CHANGE = 0.1, 0.5
"""A step along the path: of the error in the score, and in the logarithm of a weight."""

_MOST_STEPS = 400
_NOTHING = 1e-14
"""A variance below this is rounding."""

_FREEDOM, _LEAST_FREEDOM = 3.0, 4.0
"""Degrees of freedom: rows times the first over the kurtosis less one. Satterthwaite's rule says 2;
with it intervals of even classes are a little too wide, with 4 those of rare ones too narrow."""

ScoreAt = Callable[[Floats], tuple[float, Floats]]
"""From the weights of the units, which sum to one, to the score and its derivatives (U,)."""

Quantile = Callable[[Floats, Floats, float, int], float]
"""See `few_rows_quantile`."""


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Units that came up or might have.

    Attributes:
        truth: the label of each, (U,) or (U, C).
        predicted: for each model its answers, of the same shape.
        weights: how probable each is, (U,), with the imaginary rows.
    """

    truth: NDArray[Any]
    predicted: Sequence[NDArray[Any]]
    weights: Floats


def supported(truth: NDArray[Any], predicted: Sequence[NDArray[Any]]) -> Support:
    """The units of labeled rows, with imaginary ones.

    Args:
        truth: labels of the rows, (n,) classes or (n, C) zeros and ones.
        predicted: answers of one model or two to the same rows.
    """
    one_class_each = np.ndim(truth) == 1
    make = _imagined_classes if one_class_each else _imagined_labels
    columns = [np.asarray(column, dtype=np.int64) for column in (truth, *predicted)]
    imagined, masses = make(columns[0], columns[1:])
    stacked = [np.concatenate(pair) for pair in zip(columns, imagined, strict=True)]
    weights = np.concatenate([np.ones(len(truth)), masses])
    if one_class_each:  # one number for each row, which is faster to sort
        shape = [1 + int(part.max()) for part in stacked]
        codes, inverse = np.unique(np.ravel_multi_index(stacked, shape), return_inverse=True)
        parts = list(np.unravel_index(codes, shape))
    else:
        table = np.concatenate(stacked, axis=1)
        units, inverse = np.unique(table, axis=0, return_inverse=True)
        parts = np.split(units, len(stacked), axis=1)
    sums = np.bincount(inverse.ravel(), weights)
    return Support(parts[0], parts[1:], sums / sums.sum())


def _patterns(right: NDArray[np.bool_]) -> dict[tuple[bool, ...], float]:
    """How often each pattern of right and wrong comes up, (rows, models) -> pattern -> fraction.

    Each of two or four patterns starts with half or a quarter of a row.
    """
    models = right.shape[1]
    patterns = list(product((True, False), repeat=models))
    counts = [float((right == pattern).all(axis=1).sum()) + 0.5 / models for pattern in patterns]
    return {pattern: count / sum(counts) for pattern, count in zip(patterns, counts, strict=True)}


def _imagined_classes(
    truth: NDArray[np.int64], predicted: Sequence[NDArray[np.int64]]
) -> tuple[list[NDArray[np.int64]], Floats]:
    """Rows of each class, answered rightly, or as it is most often mistaken; and their masses."""
    width = 1 + int(max(column.max() for column in (truth, *predicted)))
    mistakes = [_mistaken(truth, answers, width) for answers in predicted]
    confused_as = _mistaken(np.concatenate(predicted), np.tile(truth, len(predicted)), width)
    right = np.stack([answers == truth for answers in predicted], axis=1)
    rows: list[list[int]] = []
    masses = []
    classes = np.unique(truth).tolist()
    for (pattern, fraction), name in product(_patterns(right).items(), classes):
        if all(pattern):
            rows.append([name] * (1 + len(predicted)))
            masses.append(_IMAGINED * fraction)
            continue
        wrong = [
            name if is_right else int(confused_with[name])
            for is_right, confused_with in zip(pattern, mistakes, strict=True)
        ]
        other = int(confused_as[name])  # a row of another class that is confused with this one
        rows += [[name, *wrong], [other, *(other if is_right else name for is_right in pattern)]]
        masses += [_IMAGINED * fraction / 2] * 2
    return list(np.array(rows, dtype=np.int64).T), np.array(masses)


def _mistaken(
    truth: NDArray[np.int64], answers: NDArray[np.int64], width: int
) -> NDArray[np.int64]:
    """For each class the one it is most often confused with; the most common other if never."""
    wrong = truth != answers
    counts = np.zeros((width, width))
    np.add.at(counts, (truth[wrong], answers[wrong]), 1.0)
    common = np.bincount(truth, minlength=width) + np.bincount(answers, minlength=width)
    counts += 0.5 * common / max(1, common.max())  # decides only where nothing was mistaken
    np.fill_diagonal(counts, -1.0)
    mistaken: NDArray[np.int64] = counts.argmax(axis=1)
    return mistaken


def _imagined_labels(
    truth: NDArray[np.int64], predicted: Sequence[NDArray[np.int64]]
) -> tuple[list[NDArray[np.int64]], Floats]:
    """Rows with one label alone, found, missed or made up; and their masses."""
    width = truth.shape[1]
    is_used = np.stack([truth, *predicted]).any(axis=0)
    right = np.stack([(answers == truth)[is_used] for answers in predicted], axis=1)
    none, one = np.zeros(width, dtype=np.int64), np.eye(width, dtype=np.int64)
    rows: list[list[NDArray[np.int64]]] = []
    masses = []
    for (pattern, fraction), name in product(_patterns(right).items(), range(width)):
        alone = one[name]
        rows.append([alone, *(alone if is_right else none for is_right in pattern)])
        masses.append(_IMAGINED * fraction / (1 if all(pattern) else 2))
        if not all(pattern):
            rows.append([none, *(none if is_right else alone for is_right in pattern)])
            masses.append(_IMAGINED * fraction / 2)
    return list(np.array(rows).transpose(1, 0, 2)), np.array(masses)


def profile_interval(
    score_at: ScoreAt,
    weights: Floats,
    value: float,
    *,
    rows: float,
    quantile: Quantile | None = None,
) -> tuple[float, float]:
    """All values of a score that what was observed does not contradict; it holds the observed one.

    Args:
        score_at: the score of weighted units.
        weights: of the units observed and imagined, shape (U,).
        value: observed, without imaginary rows.
        rows: how many stand behind it.
        quantile: how many standard errors contradict; `few_rows_quantile` if not given.
    """
    quantile = quantile or few_rows_quantile
    low = _end(score_at, weights, value, rows, quantile, side=-1)
    high = _end(score_at, weights, value, rows, quantile, side=1)
    return min(low, value), max(high, value)


def few_rows_quantile(weights: Floats, slope: Floats, rows: float, side: int) -> float:
    """How many standard errors an observed score may be away, where few rows may decide it.

    A class with two rows is either found or not: then the score is far from normal, and its error
    rests on few rows. Taken is the larger of Student's quantile, with degrees of freedom that grow
    with the rows and shrink with the kurtosis of the slopes, and of the first skewness term of
    Cornish and Fisher (Abramowitz and Stegun 26.2.49), which allows for more on the long side.

    Args:
        weights: of the units, shape (U,); they sum to one.
        slope: of the score, with mean zero under the weights, shape (U,).
        rows: how many stand behind the score.
        side: 1 for values above the observed one, -1 for those below.
    """
    squares = slope * slope  # numpy's powers of 3 and 4 are slow
    second, third = float(weights @ squares), float(weights @ (squares * slope))
    fourth = float(weights @ (squares * squares))
    freedom = min(rows - 1, _FREEDOM * rows / max(fourth / second**2 - 1, 1e-9))
    student = t_quantile(max(freedom, _LEAST_FREEDOM))
    skewness = third / second**1.5 / math.sqrt(rows)
    skewed = student - side * skewness * (Z**2 - 1) / 6
    return float(min(max(student, skewed), 2 * Z))


def _end(
    score_at: ScoreAt, start: Floats, value: float, rows: float, quantile: Quantile, *, side: int
) -> float:
    """Follow the most likely weights away from those observed, until they contradict.

    The most likely weights w with a given score satisfy w = start / (1 - t * slope), slope less its
    mean under w; a small step in t changes log w by w / start * (slope - c), c such that the sum
    stays one.
    """
    weights = start.copy()
    before: tuple[float, float] | None = None
    for _step in range(_MOST_STEPS):
        score, slope = score_at(weights)
        slope = slope - weights @ slope
        variance = float(weights @ slope**2)
        if variance < _NOTHING:
            break
        error = quantile(weights, slope, rows, side) * math.sqrt(variance / rows)
        beyond = side * (score - value) - error
        if beyond >= 0:
            if before is None:
                break
            near, less = before
            return near + (score - near) * less / (less - beyond)
        before = score, beyond
        ratio = weights / start
        turn = ratio * (slope - float(weights * ratio @ slope) / float(weights @ ratio))
        pace = float(weights * turn @ slope)
        step = min(_STEP * error / pace, _MOST_CHANGE / float(np.abs(turn).max()))
        weights = weights * np.exp(side * step * turn)
        weights /= weights.sum()
    return score
