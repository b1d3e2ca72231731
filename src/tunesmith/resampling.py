"""Draws of rows with replacement, and the scores of a thousand draws at once. No torch, no scipy.

A draw is a row of weights: how often each unit comes up. A unit is all rows with the same label and
answer, so most draws are a few binomial numbers instead of thousands of rows, and the order of the
rows cannot matter. The scores of weighted units are those of `metrics` on the rows drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics import METRICS, Answers, Metric

__all__ = ["Counts", "Statistic", "Units", "count", "counted_kind", "of_counts", "statistic_of"]

Weights = NDArray[np.float64]
"""Shape (draws, units): how often each unit was drawn."""

Statistic = Callable[[Sequence[NDArray[Any]], Weights], Mapping[str, NDArray[np.float64]]]
"""From the columns of the units and weights to values by score, shape (draws,) each."""

_AT_ONCE = 1_000_000
"""Weights held at a time."""
_MOST = 200_000_000
"""Weights drawn in all: beyond 100,000 different units there are fewer draws, at least 200."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Different rows and how often each occurs, in an order that only their content decides.

    Attributes:
        columns: arrays whose first dimension counts units.
        counts: rows per unit.
    """

    columns: Sequence[NDArray[Any]]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, *columns: NDArray[Any]) -> Units:
        """The units of rows: equal in every column."""
        flat = [np.asarray(column).reshape(len(column), -1) for column in columns]
        table, counts = np.unique(np.concatenate(flat, axis=1), axis=0, return_counts=True)
        borders = np.cumsum([part.shape[1] for part in flat])[:-1]
        parts = (
            part.reshape(len(counts), *np.shape(column)[1:]).astype(np.asarray(column).dtype)
            for part, column in zip(np.split(table, borders, axis=1), columns, strict=True)
        )
        return cls(tuple(parts), counts)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def key(self) -> tuple[bytes, ...]:
        """The same for the same rows, and ordered."""
        return (*(column.tobytes() for column in self.columns), self.counts.tobytes())

    def draws(self, how_many: int, *, by_class: bool, seed: int) -> Iterator[Weights]:
        """Weights of draws as large as the data, some at a time.

        Args:
            how_many: draws; fewer where there are very many units.
            by_class: whether each value of the first column is drawn as often as it occurs.
            seed: the same seed, the same draws.
        """
        random = np.random.default_rng(seed)
        how_many = max(min(how_many, 200), min(how_many, _MOST // len(self)))
        classes = self.columns[0] if by_class else np.zeros(len(self))
        borders = [0, *(np.flatnonzero(np.diff(classes)) + 1).tolist(), len(self)]
        strata = [slice(*pair) for pair in pairwise(borders)]
        size = max(1, _AT_ONCE // len(self))
        for start in range(0, how_many, size):
            number = min(size, how_many - start)
            parts = [_drawn(self.counts[stratum], number, random) for stratum in strata]
            yield np.concatenate(parts, axis=1)


def _drawn(counts: NDArray[np.int64], number: int, random: np.random.Generator) -> Weights:
    """Weights of one class: few units by binomial numbers, many by drawing rows."""
    rows, units = int(counts.sum()), len(counts)
    if units * 8 <= rows:
        return random.multinomial(rows, counts / rows, size=number).astype(np.float64)
    drawn = random.integers(0, rows, size=(number, rows), dtype=np.int32)
    if units < rows:
        drawn = np.repeat(np.arange(units, dtype=np.int32), counts)[drawn]
    places = drawn + np.arange(number)[:, None] * units
    found = np.bincount(places.ravel(), minlength=number * units)
    return found.reshape(number, units).astype(np.float64)


def counted_kind(answers: Answers) -> str | None:
    """Where scores follow from counts of answers: "classes" or "labels"; else None."""
    if any(METRICS.get(metric.name) is not metric for metric in answers.metrics):
        return None
    predicted = np.asarray(answers.predicted)
    if predicted.ndim == 2:
        return "labels"
    return "classes" if predicted.dtype.kind in "iu" else None


def statistic_of(answers: Answers) -> Statistic:
    """The statistic of all scores of some answers; its columns are label and answer."""
    kind = counted_kind(answers)
    if kind is not None:
        return partial(_counted, answers.metrics, answers.positive, kind)
    return partial(_measured, answers.metrics, answers.positive)


# scores that follow from counts


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What was answered in some draws.

    Attributes:
        rows: in each draw.
        exact: rows with exactly the right answer, shape (draws,).
        both: for each class the rows that have it and are said to, shape (draws, classes).
        claimed: the rows that are said to have it.
        real: the rows that have it.
        averaged: the classes that averages over classes count.
    """

    rows: float
    exact: NDArray[np.float64]
    both: NDArray[np.float64]
    claimed: NDArray[np.float64]
    real: NDArray[np.float64]
    averaged: NDArray[np.bool_]


def count(truth: NDArray[Any], predicted: NDArray[Any], weights: Weights, kind: str) -> Counts:
    """Count the answers of weighted units: classes (units,), or 0/1 labels (units, classes)."""
    rows = float(weights[0].sum())
    if kind == "labels":
        table = np.concatenate(
            [truth * predicted, predicted, truth, (truth == predicted).all(axis=1)[:, None]], axis=1
        )
        sums = weights @ table.astype(np.float64)
        width = truth.shape[1]
        both, claimed, real = (sums[:, i * width : (i + 1) * width] for i in range(3))
        return Counts(rows, sums[:, -1], both, claimed, real, np.ones_like(real, dtype=bool))
    width = int(max(truth.max(), predicted.max())) + 1
    right = truth == predicted
    both = _by_group(weights[:, right], truth[right], width)
    claimed, real = _by_group(weights, predicted, width), _by_group(weights, truth, width)
    return Counts(rows, both.sum(axis=1), both, claimed, real, claimed + real > 0)


def of_counts(name: str, counts: Counts, positive: int) -> NDArray[np.float64]:
    """A score of `metrics.METRICS` for classes or sets of labels, shape (draws,)."""
    if name == "accuracy":
        return counts.exact / counts.rows
    if name == "matthews_correlation":
        return _matthews(counts)
    part, _underscore, average = name.partition("_")
    both, claimed, real = counts.both, counts.claimed, counts.real
    if average == "micro":
        both, claimed, real = (found.sum(axis=1) for found in (both, claimed, real))
    each = {
        "f1": partial(_share, 2 * both, claimed + real),
        "precision": partial(_share, both, claimed),
        "recall": partial(_share, both, real),
    }[part]()
    if average == "macro":
        return _share((each * counts.averaged).sum(axis=1), counts.averaged.sum(axis=1))
    if average == "weighted":
        return _share((each * real).sum(axis=1), real.sum(axis=1))
    if average == "micro":
        return each
    return each[:, positive] if positive < each.shape[1] else np.zeros(len(each))


def _counted(
    metrics: Sequence[Metric],
    positive: int,
    kind: str,
    columns: Sequence[NDArray[Any]],
    weights: Weights,
) -> dict[str, NDArray[np.float64]]:
    truth, predicted = columns
    counts = count(truth, predicted, weights, kind)
    return {metric.name: of_counts(metric.name, counts, positive) for metric in metrics}


def _by_group(weights: Weights, groups: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Weights summed by the group of their unit, shape (draws, width)."""
    sums = np.zeros((len(weights), width))
    if len(groups):
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        sums[:, groups[order][starts]] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums


def _share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """The quotient; nothing of nothing is zero, as `metrics` has it."""
    share = np.zeros(np.shape(part))
    np.divide(part, whole, out=share, where=np.asarray(whole) > 0)
    return share


def _matthews(counts: Counts) -> NDArray[np.float64]:
    """The multiclass form of Gorodkin (2004); zero where one side has one class only."""
    rows = counts.rows
    claimed, real = counts.claimed, counts.real
    above = counts.exact * rows - (claimed * real).sum(axis=1)
    below = (rows**2 - (claimed**2).sum(axis=1)) * (rows**2 - (real**2).sum(axis=1))
    return _share(above, np.sqrt(np.maximum(below, 0.0)))


# scores of numbers, and those that one task alone knows


def _measured(
    metrics: Sequence[Metric], positive: int, columns: Sequence[NDArray[Any]], weights: Weights
) -> dict[str, NDArray[np.float64]]:
    truth, predicted = columns
    found = {}
    for metric in metrics:
        if metric.name in _OF_NUMBERS and METRICS[metric.name] is metric:
            found[metric.name] = _OF_NUMBERS[metric.name](
                predicted.astype(np.float64), truth.astype(np.float64), weights
            )
        elif metric.by_example:
            units = np.arange(len(truth))
            drawn = (np.repeat(units, draw.astype(np.int64)) for draw in weights)
            found[metric.name] = np.array(
                [metric.function(predicted[rows], truth[rows], positive) for rows in drawn]
            )
    return found


def _pearson(x: NDArray[Any], y: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """Pearson's coefficient from moments; not a number where one side is constant."""
    x, y = x - x.mean(), y - y.mean()
    rows = weights[0].sum()
    moments = weights @ np.stack([x, y, x * x, y * y, x * y], axis=1) / rows
    mean_x, mean_y, xx, yy, xy = moments.T
    return _correlation(xy - mean_x * mean_y, xx - mean_x**2, yy - mean_y**2, xx * yy)


def _spearman(x: NDArray[Any], y: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """Pearson's coefficient of the ranks, in each draw anew; equal values share their ranks."""
    drawn = np.ascontiguousarray(weights.T)  # whole rows move when units are put in order
    rows = drawn[:, 0].sum()
    (ranks_x, xx), (ranks_y, yy) = _ranks(x, drawn), _ranks(y, drawn)
    ranks_x *= drawn
    xy = np.einsum("ud,ud->d", ranks_x, ranks_y) - rows * ((rows + 1) / 2) ** 2
    return _correlation(xy, xx, yy, np.full(1, rows**6))


def _ranks(
    values: NDArray[Any], drawn: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean rank of each unit among the rows drawn, and the sum of squares about their mean.

    `drawn` has the shape (units, draws). Ties of t rows take t^3 - t from twelve times that sum
    (Kendall, "Rank correlation methods", 1948).
    """
    order = np.argsort(values, kind="stable")
    is_new = np.diff(values[order], prepend=np.nan) != 0
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(is_new) - 1
    sizes = drawn[order]
    if not is_new.all():
        sizes = np.add.reduceat(sizes, np.flatnonzero(is_new), axis=0)
    squares = (drawn[:, 0].sum() ** 3 - np.einsum("gd,gd,gd->d", sizes, sizes, sizes)) / 12
    ranks = np.cumsum(sizes, axis=0)
    sizes -= 1
    sizes /= 2
    ranks -= sizes
    return ranks[group], squares


def _correlation(
    xy: NDArray[Any], xx: NDArray[Any], yy: NDArray[Any], scale: NDArray[Any]
) -> NDArray[np.float64]:
    """The quotient, not a number where a variance is only rounding."""
    product = np.maximum(xx, 0.0) * np.maximum(yy, 0.0)
    found = np.full(np.shape(xy), np.nan)
    np.divide(xy, np.sqrt(product), out=found, where=product > 1e-24 * scale)
    return found


def _squared_error(x: NDArray[Any], y: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = weights @ (x - y) ** 2 / weights[0].sum()
    return errors


_OF_NUMBERS: Mapping[str, Callable[[NDArray[Any], NDArray[Any], Weights], NDArray[np.float64]]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "mean_squared_error": _squared_error,
}
