"""What two models differ by on the same rows, and whether it is significant. No torch, no scipy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.i18n import gettext as _
from tunesmith.metrics.bootstrap import (
    DRAWS,
    Units,
    interval_of_draws,
    scores_of_draws,
    values_of_draws,
)
from tunesmith.metrics.counts import CountedUnits, Floats, is_counted, score_of, standard_metrics
from tunesmith.metrics.intervals import (
    CORRELATIONS,
    correlation_difference,
    mean_interval,
    paired_fraction_interval,
)
from tunesmith.metrics.likelihood import profile_interval, supported
from tunesmith.metrics.scores import Answers, Interval
from tunesmith.metrics.uncertainty import as_floats, is_right

__all__ = ["Difference", "describe_changes", "difference", "mcnemar"]

_LEVEL = 0.05
_FEWEST_CHANGES = 6
"""Five rows that change sides could fall one way by chance once in 16 times, six once in 32."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two models on the same rows.

    Attributes:
        first: the score of one.
        second: the score of the other.
        interval: of second minus first; None where it is unknown.
        is_sure: whether the difference is significant.
    """

    first: float
    second: float
    interval: Interval | None
    is_sure: bool

    @property
    def change(self) -> float:
        """Second minus first."""
        return self.second - self.first

    def describe(self) -> str:
        """Return whether it is a difference, as text."""
        return _describe(is_sure=self.is_sure, is_same=self.change == 0)


def difference(
    first: Answers, second: Answers, *, seed: int = 0, draws: int = DRAWS
) -> dict[str, Difference]:
    """What two models differ by on the same rows, score by score.

    Swapped models give the mirror image. McNemar's test decides whether accuracy differs; of any
    score at least six rows must have changed from right to wrong or back (of numbers and losses:
    must differ). The interval of a difference that is not significant holds zero.

    Args:
        first: one model's answers.
        second: the other's, with the same metrics and rows in the same order.
        seed: of the draws of custom scores.
        draws: how many.
    """
    if not len(first):
        return {}
    changed = np.asarray(first.predicted) != np.asarray(second.predicted)
    changed = changed.reshape(len(changed), -1).any(axis=1)
    if is_counted(first):
        by_name = _differences_of_counts(first, second)
        changed = is_right(first) != is_right(second)
    else:
        by_name = _differences_of_numbers(first, second)
    by_name |= _differences_drawn(first, second, seed=seed, draws=draws)
    by_name = {m.name: by_name[m.name] for m in first.metrics if m.name in by_name}
    by_name = {name: _decided(name, each, changed, first, second) for name, each in by_name.items()}
    if first.losses is not None and second.losses is not None:
        one, two = as_floats(first.losses), as_floats(second.losses)
        loss = Difference(
            float(one.mean()), float(two.mean()), mean_interval(two - one), is_sure=False
        )
        by_name["loss"] = _decided("loss", loss, one != two, first, second)
    return by_name


def _decided(
    name: str, raw: Difference, changed: NDArray[np.bool_], first: Answers, second: Answers
) -> Difference:
    """Decide whether it is significant; widen the interval of one that is not to hold zero."""
    interval = raw.interval
    is_sure = (
        interval is not None
        and 0.0 not in interval
        and int(np.count_nonzero(changed)) >= _FEWEST_CHANGES
    )
    if name == "accuracy" and is_counted(first):
        right, also = is_right(first), is_right(second)
        fixed, broken = int((also & ~right).sum()), int((right & ~also).sum())
        is_sure = mcnemar(fixed, broken) < _LEVEL
    if interval is not None and not is_sure:
        interval = Interval(min(0.0, interval.low), max(0.0, interval.high))
    return replace(raw, interval=interval, is_sure=is_sure)


def _differences_of_counts(first: Answers, second: Answers) -> dict[str, Difference]:
    columns = [np.asarray(first.truth), np.asarray(first.predicted), np.asarray(second.predicted)]
    rows = len(first)
    support = supported(columns[0], columns[1:])
    units = [CountedUnits.of(support.truth, predicted) for predicted in support.predicted]
    counts = [CountedUnits.of(columns[0], each).count(np.ones(rows)) for each in columns[1:]]
    right, also = is_right(first), is_right(second)
    by_name = {}
    for metric in standard_metrics(first):
        name = metric.name
        was, now = (score_of(name, each, first.positive)[0] for each in counts)
        if name == "accuracy":
            fixed, broken = int((also & ~right).sum()), int((right & ~also).sum())
            interval = paired_fraction_interval(fixed, broken, rows)
        else:

            def change_at(weights: Floats, name: str = name) -> tuple[float, Floats]:
                (score, slopes), (other, slopes_of_other) = (
                    score_of(name, each.count(weights), first.positive) for each in units
                )
                slope = units[1].slope_of_units(slopes_of_other)
                return other - score, slope - units[0].slope_of_units(slopes)

            low, high = profile_interval(change_at, support.weights, now - was, rows=rows)
            interval = Interval(low, high)
        by_name[name] = Difference(was, now, interval, is_sure=False)
    return by_name


def _differences_of_numbers(first: Answers, second: Answers) -> dict[str, Difference]:
    truth, one, two = map(as_floats, (first.truth, first.predicted, second.predicted))
    by_name = {}
    for metric in standard_metrics(first):
        if metric.row_values is not None:
            errors, others = (metric.row_values(column, truth) for column in (one, two))
            by_name[metric.name] = Difference(
                float(errors.mean()), float(others.mean()), mean_interval(others - errors),
                is_sure=False,
            )  # fmt: skip
            continue
        was, now = (CORRELATIONS[metric.name](column, truth) for column in (one, two))
        if was is not None and now is not None:
            by_name[metric.name] = Difference(
                was.value, now.value, correlation_difference(was, now), is_sure=False
            )
    return by_name


def _differences_drawn(
    first: Answers, second: Answers, *, seed: int, draws: int
) -> dict[str, Difference]:
    """Of custom scores, drawn in an order that does not ask which model came first."""
    if not any(metric.by_example for metric in first.metrics):
        return {}
    columns = (first.truth, first.predicted, second.predicted)
    units, mirrored = Units.of(*columns), Units.of(columns[0], columns[2], columns[1])
    is_turned, is_symmetric = mirrored.key < units.key, mirrored.key == units.key
    if is_turned:
        units = mirrored
    statistic = scores_of_draws(first.metrics, first.positive)

    def change(columns: Sequence[NDArray[Any]], weights: NDArray[np.int64]) -> dict[str, Floats]:
        label, before, after = columns
        was, now = statistic((label, before), weights), statistic((label, after), weights)
        return {name: now[name] - was[name] for name in was}

    points, values = values_of_draws(units, change, seed=seed, draws=draws)
    if is_symmetric:  # as many rows changed one way as the other
        values = {name: np.concatenate([each, 0.0 - each]) for name, each in values.items()}
    whole = units.counts[None]
    scores = [statistic((units.columns[0], column), whole) for column in units.columns[1:]]
    was, now = reversed(scores) if is_turned else scores
    by_name = {}
    for name, point in points.items():
        if not np.isfinite(point):
            continue
        interval = interval_of_draws(point, values[name], len(first))
        if interval is not None and is_turned:
            interval = Interval(0.0 - interval.high, 0.0 - interval.low)
        by_name[name] = Difference(
            float(was[name][0]), float(now[name][0]), interval, is_sure=False
        )
    return by_name


def mcnemar(fixed: int, broken: int) -> float:
    """How likely so uneven a split of the changed rows is by chance (McNemar, 1947).

    The exact two-sided binomial test with one half; 1 if no row changed.
    """
    changed, fewer = fixed + broken, min(fixed, broken)
    ways = 1
    total = 0  # whole numbers, so that nothing is lost however many rows there are
    for i in range(fewer + 1):
        total += ways
        ways = ways * (changed - i) // (i + 1)
    return min(1.0, float(2 * total / 2**changed))


def describe_changes(fixed: int, broken: int) -> str:
    """Return whether so many rows that only one model has right make a difference, as text."""
    return _describe(is_sure=mcnemar(fixed, broken) < _LEVEL, is_same=not fixed + broken)


def _describe(*, is_sure: bool, is_same: bool) -> str:
    if is_sure:
        return _("a difference")
    return _("the same") if is_same else _("not distinguishable")
