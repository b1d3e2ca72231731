"""Draws of rows with replacement, for scores of which nothing but the value is known. No torch.

A draw is a row of weights: how often each unit comes up. A unit is all rows that are equal, and
units are ordered by their content, so that the order of the rows cannot matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.intervals import t_quantile
from tunesmith.metrics.scores import Interval, Metric

__all__ = [
    "DRAWS",
    "Statistic",
    "Units",
    "interval_of_draws",
    "scores_of_draws",
    "values_of_draws",
]

Weights = NDArray[np.int64]
"""Shape (draws, units): how often each unit was drawn."""

Statistic = Callable[[Sequence[NDArray[Any]], Weights], Mapping[str, NDArray[np.float64]]]
"""From the columns of the units and weights to values by score, shape (draws,) each."""

DRAWS = 2_000

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

    def draws(self, how_many: int, *, seed: int) -> Iterator[Weights]:
        """Weights of draws as large as the data, some at a time.

        Args:
            how_many: draws; fewer where there are very many units.
            seed: the same seed, the same draws.
        """
        random = np.random.default_rng(seed)
        how_many = max(min(how_many, 200), min(how_many, _MOST // len(self)))
        rows = int(self.counts.sum())
        size = max(1, _AT_ONCE // len(self))
        for start in range(0, how_many, size):
            number = min(size, how_many - start)
            yield random.multinomial(rows, self.counts / rows, size=number)


def scores_of_draws(metrics: Sequence[Metric], positive: int) -> Statistic:
    """The function from columns (label, answer) of units and weights to values by score, (draws,).

    Only of scores of single examples: `Metric.by_example`.
    """

    def scores(
        columns: Sequence[NDArray[Any]], weights: Weights
    ) -> Mapping[str, NDArray[np.float64]]:
        truth, predicted = columns
        rows = [np.repeat(np.arange(len(truth)), draw) for draw in weights]
        return {
            metric.name: np.array(
                [metric.function(predicted[drawn], truth[drawn], positive) for drawn in rows]
            )
            for metric in metrics
            if metric.by_example
        }

    return scores


def values_of_draws(
    units: Units,
    statistic: Statistic,
    *,
    seed: int,
    draws: int,
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """The values of the data unchanged, and those of all draws."""
    whole = statistic(units.columns, units.counts[None])
    points = {name: float(value[0]) for name, value in whole.items()}
    parts = [statistic(units.columns, weights) for weights in units.draws(draws, seed=seed)]
    return points, {name: np.concatenate([part[name] for part in parts]) for name in points}


def interval_of_draws(value: float, drawn: NDArray[np.float64], rows: int) -> Interval | None:
    """The expanded percentile interval, which contains the value; None if the draws do not differ.

    The percentiles are those that make the interval of a mean as wide as Student's: the plain ones
    are too narrow with few rows (Hesterberg, "What teachers should know about the bootstrap", The
    American Statistician 2015, section 3.3).

    Args:
        value: the score of the rows as they are.
        drawn: scores of draws; those that are not finite are left out.
        rows: how many rows were drawn from.
    """
    finite = drawn[np.isfinite(drawn)]
    if rows < 2 or not math.isfinite(value) or 2 * len(finite) < len(drawn):
        return None
    if finite.min() == finite.max():
        return None  # no draw differs from another: how far other rows would is not known
    tail = 0.5 * math.erfc(t_quantile(rows - 1) * math.sqrt(rows / (rows - 1)) / math.sqrt(2))
    low, high = np.quantile(finite, [tail, 1 - tail]).tolist()
    return Interval(min(low, value), max(high, value))
