"""The 95 % intervals of scores, and their spread over seeds. No torch, no scipy.

An interval is of the score on all rows that the model will meet, if the scored rows are independent
draws of them. How much training again changes is not in it: see `Spread`. Coverage is measured by
`benchmarks/interval_coverage.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.bootstrap import (
    DRAWS,
    Units,
    interval_of_draws,
    scores_of_draws,
    values_of_draws,
)
from tunesmith.metrics.counts import (
    CountedUnits,
    Counts,
    Floats,
    is_counted,
    score_of,
    standard_metrics,
)
from tunesmith.metrics.intervals import CORRELATIONS, fraction_interval, mean_interval
from tunesmith.metrics.likelihood import Support, profile_interval, supported
from tunesmith.metrics.scores import Answers, Interval, Scores

__all__ = [
    "Spread",
    "as_floats",
    "intervals",
    "is_constant",
    "is_right",
    "spread",
    "with_intervals",
]


@dataclass(frozen=True, slots=True)
class Spread:
    """A score over several seeds.

    Attributes:
        values: of each seed.
        mean: of these.
        deviation: their standard deviation, with n - 1; None for one seed.
        lowest: the smallest.
        highest: the largest.
    """

    values: Sequence[float]
    mean: float
    deviation: float | None
    lowest: float
    highest: float


def with_intervals(scores: Scores, *, examples: int) -> Scores:
    """Scores with their intervals.

    Args:
        scores: from a task.
        examples: how many were scored; answers that count something else, such as tokens, get no
            interval.
    """
    answers = scores.answers
    if answers is None or answers.num_rows != examples:
        return scores
    return replace(scores, intervals=intervals(answers))


def intervals(answers: Answers, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Interval]:
    """The 95 % interval of each score, the loss among them if its parts are known.

    It holds the score itself and is never empty: a correlation with a constant, say, has none.
    Fractions of rows have Wilson's interval, other scores of classes and labels that of
    `likelihood`, correlations Fisher's, losses and errors Student's with Hall's correction; custom
    scores are bootstrapped.

    Args:
        answers: of one model.
        seed: of the bootstrap.
        draws: how many.
    """
    if not len(answers):
        return {}
    by_name = _of_counts(answers) if is_counted(answers) else _of_numbers(answers)
    by_name |= _drawn(answers, seed=seed, draws=draws)
    if answers.losses is not None:
        by_name["loss"] = _not_negative(mean_interval(as_floats(answers.losses)))
    names = [*(metric.name for metric in answers.metrics), "loss"]
    return {name: interval for name in names if (interval := by_name.get(name)) is not None}


def as_floats(values: NDArray[Any]) -> Floats:
    """The same numbers in double precision."""
    return np.asarray(values, dtype=np.float64)


def _not_negative(interval: Interval | None) -> Interval | None:
    """A mean of numbers that are zero or more is no less."""
    if interval is None:
        return None
    return Interval(max(0.0, interval.low), interval.high)


def _of_counts(answers: Answers) -> dict[str, Interval | None]:
    whole = CountedUnits.of(np.asarray(answers.truth), np.asarray(answers.predicted))
    one_class_each = whole.truth.ndim == 1
    counts = whole.count(np.ones(len(answers)))
    support: Support | None = None
    present = np.flatnonzero(counts.averaged).tolist()
    by_name: dict[str, Interval | None] = {}
    for metric in standard_metrics(answers):
        if metric.name == "matthews_correlation" and np.count_nonzero(counts.real) < 2:
            continue  # not defined
        interval = _of_fraction(
            metric.name, counts, answers.positive, one_class_each=one_class_each
        )
        if interval is None and len(present) == 1:  # the average over one class is its own score
            part = metric.name.split("_")[0]
            interval = _of_fraction(part, counts, present[0], one_class_each=True)
        if interval is None:
            support = support or supported(whole.truth, [whole.predicted])
            units = CountedUnits.of(support.truth, support.predicted[0])
            interval = _profiled(metric.name, units, support, counts, answers.positive)
        by_name[metric.name] = interval
    return by_name


def _of_fraction(
    name: str, counts: Counts, positive: int, *, one_class_each: bool
) -> Interval | None:
    """Scores that are a fraction of some rows; None for others."""
    if name == "accuracy":
        return fraction_interval(counts.exact, counts.rows)
    if not one_class_each:
        return None
    if name.endswith("_micro"):  # of one class each it is accuracy
        return fraction_interval(counts.exact, counts.rows)
    if name not in ("f1", "precision", "recall"):
        return None
    both, claimed, real = (
        float(each[positive]) if positive < len(each) else 0.0
        for each in (counts.both, counts.claimed, counts.real)
    )
    if name != "f1":
        return fraction_interval(both, claimed if name == "precision" else real)
    # F1 grows with the fraction of right rows among those that are of the class or said to be
    right = fraction_interval(both, claimed + real - both)
    return Interval(*(2 * share / (1 + share) for share in (right.low, right.high)))


def _profiled(
    name: str, units: CountedUnits, support: Support, counts: Counts, positive: int
) -> Interval | None:
    def score_at(weights: Floats) -> tuple[float, Floats]:
        score, slopes = score_of(name, units.count(weights), positive)
        return score, units.slope_of_units(slopes)

    value = score_of(name, counts, positive)[0]
    low, high = profile_interval(score_at, support.weights, value, rows=counts.rows)
    return Interval(low, high) if low < high else None


def _of_numbers(answers: Answers) -> dict[str, Interval | None]:
    by_name: dict[str, Interval | None] = {}
    for metric in standard_metrics(answers):
        predicted, truth = as_floats(answers.predicted), as_floats(answers.truth)
        if metric.row_values is not None:
            interval = _not_negative(mean_interval(metric.row_values(predicted, truth)))
        else:
            correlation = CORRELATIONS[metric.name](predicted, truth)
            interval = correlation.interval if correlation is not None else None
        by_name[metric.name] = interval
    return by_name


def _drawn(answers: Answers, *, seed: int, draws: int) -> dict[str, Interval | None]:
    if not any(metric.by_example for metric in answers.metrics):
        return {}
    units = Units.of(answers.truth, answers.predicted)
    points, values = values_of_draws(
        units, scores_of_draws(answers.metrics, answers.positive), seed=seed, draws=draws
    )
    by_name: dict[str, Interval | None] = {}
    for name, point in points.items():
        by_name[name] = interval_of_draws(point, values[name], len(answers))
    return by_name


def is_right(answers: Answers) -> NDArray[np.bool_]:
    """Which rows have exactly the right answer, shape (n,): classes or sets of labels."""
    equal = np.asarray(answers.predicted) == np.asarray(answers.truth)
    right: NDArray[np.bool_] = equal.reshape(len(equal), -1).all(axis=1)
    return right


def is_constant(answers: Answers) -> bool:
    """Whether the answers are constant although the labels differ.

    Numbers count as constant if they vary by less than a twentieth of the labels: predictions that
    explain anything vary by at least their correlation.
    """
    predicted, truth = (
        np.asarray(values, dtype=np.float64).reshape(len(answers), -1)
        for values in (answers.predicted, answers.truth)
    )
    if len(answers) < 2 or not (truth != truth[0]).any():
        return False
    if not is_counted(answers):
        return bool(predicted.std() < 0.05 * truth.std())
    return not (predicted != predicted[0]).any()


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation and range of a score over seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(tuple(values), statistics.fmean(values), deviation, min(values), max(values))
