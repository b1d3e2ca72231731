"""How sure scores are: intervals, paired differences, McNemar's test. No torch, no scipy.

Rows are drawn again and again from the scored ones, each class as often as it occurs; the middle
95 % of the scores of such draws are the interval: the percentile bootstrap of Efron and Tibshirani,
"An introduction to the bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics import Answers, Interval, Scores
from tunesmith.resampling import Statistic, Units, count, counted_kind, of_counts, statistic_of

__all__ = [
    "DRAWS",
    "Difference",
    "Spread",
    "difference",
    "gives_one_answer",
    "intervals",
    "is_right",
    "mcnemar",
    "spread",
    "with_intervals",
]

DRAWS = 2_000
_TAIL = 0.025
_FEWEST_CHANGES = 6
"""Five rows that change sides could fall one way by chance once in 16 times, six once in 32."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two models on the same rows.

    Attributes:
        first: the score of one.
        second: the score of the other.
        interval: of second minus first; None where it cannot be told.
        is_sure: whether chance in the rows hardly explains it.
    """

    first: float
    second: float
    interval: Interval | None
    is_sure: bool

    @property
    def change(self) -> float:
        """Second minus first."""
        return self.second - self.first


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
    """Scores that say how sure they are.

    Args:
        scores: from a task.
        examples: how many were scored; of answers that count something else, such as tokens,
            nothing is drawn.
    """
    answers = scores.answers
    if answers is None or len(answers) != examples:
        return scores
    return replace(scores, intervals=intervals(answers))


def intervals(answers: Answers, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Interval]:
    """The 95 % interval of each score, the loss among them if its parts are known.

    It always holds the score itself. A model that is right on every row leaves nothing to draw;
    there the exact binomial bound stands (Clopper and Pearson, 1934), as for one that never is.
    One that gives the same answer to all leaves nothing to draw within the classes; there rows are
    drawn from all classes together.
    """
    can_tell = any(metric.kinds or metric.by_example for metric in answers.metrics)
    if not len(answers) or not can_tell:
        return {}
    kind = counted_kind(answers)
    by_class = kind == "classes" and not gives_one_answer(answers)
    points, values = _drawn(
        Units.of(answers.truth, answers.predicted),
        statistic_of(answers), by_class=by_class, seed=seed, draws=draws,
    )  # fmt: skip
    found = _all_intervals(points, values)
    if kind is not None:
        found = dict(_unanimous(answers, found, kind))
    if answers.losses is not None:
        columns = (answers.truth, answers.losses) if by_class else (answers.losses,)
        loss = _drawn(Units.of(*columns), _mean_loss, by_class=by_class, seed=seed, draws=draws)
        found |= _all_intervals(*loss)
    return found


def difference(
    first: Answers, second: Answers, *, seed: int = 0, draws: int = DRAWS
) -> dict[str, Difference]:
    """What two models differ by on the same rows, score by score: the paired bootstrap.

    Both are drawn together, so what they have in common cancels. Exchanged models give the mirror
    image. Accuracy is told by McNemar's test; for any score at least six rows must have changed
    sides (of numbers and losses: must differ) before its difference counts as one.

    Args:
        first: one model's answers.
        second: the other's, with the same metrics and rows in the same order.
        seed: of the draws.
        draws: how many.
    """
    kind = counted_kind(first)
    right, also = is_right(first), is_right(second)
    changed = right != also if kind else first.predicted != second.predicted
    tables = [(first.predicted, second.predicted, statistic_of(first), changed)]
    if first.losses is not None and second.losses is not None:
        differ = first.losses != second.losses
        tables.append((first.losses, second.losses, _mean_loss, differ))
    found: dict[str, Difference] = {}
    for one, two, statistic, changed in tables:
        told = _differences(
            first.truth, one, two, statistic, by_class=kind == "classes", seed=seed, draws=draws
        )
        enough = int(changed.sum()) >= _FEWEST_CHANGES
        found |= {n: replace(each, is_sure=each.is_sure and enough) for n, each in told.items()}
    if kind is not None and "accuracy" in found:
        p_value = mcnemar(int((also & ~right).sum()), int((right & ~also).sum()))
        found["accuracy"] = replace(found["accuracy"], is_sure=p_value < 2 * _TAIL)
    return found


def _differences(
    truth: NDArray[Any],
    one: NDArray[Any],
    two: NDArray[Any],
    statistic: Statistic,
    *,
    by_class: bool,
    seed: int,
    draws: int,
) -> dict[str, Difference]:
    """Drawn in an order that does not ask which model came first; of scores that both have."""
    units, mirrored = Units.of(truth, one, two), Units.of(truth, two, one)
    is_turned, is_symmetric = mirrored.key < units.key, mirrored.key == units.key
    if is_turned:
        units = mirrored

    def change(columns: Sequence[NDArray[Any]], weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
        label, before, after = columns
        was, now = statistic((label, before), weights), statistic((label, after), weights)
        return {name: now[name] - was[name] for name in was}

    whole = units.counts[None].astype(np.float64)
    points, values = _drawn(units, change, by_class=by_class, seed=seed, draws=draws)
    if is_symmetric:  # as many rows changed one way as the other
        values = {name: np.concatenate([found, 0.0 - found]) for name, found in values.items()}
    found = _all_intervals(points, values)
    scores = [statistic((units.columns[0], column), whole) for column in units.columns[1:]]
    was, now = reversed(scores) if is_turned else scores
    if is_turned:
        found = {name: Interval(0.0 - told.high, 0.0 - told.low) for name, told in found.items()}
    return {
        name: Difference(
            float(was[name][0]),
            float(now[name][0]),
            found.get(name),
            is_sure=name in found and 0.0 not in found[name],
        )
        for name, point in points.items()
        if np.isfinite(point)
    }


def _drawn(
    units: Units, statistic: Statistic, *, by_class: bool, seed: int, draws: int
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """The values of the data as it is, and those of all draws."""
    whole = units.counts[None].astype(np.float64)
    points = {name: float(value[0]) for name, value in statistic(units.columns, whole).items()}
    parts = [
        statistic(units.columns, weights)
        for weights in units.draws(draws, by_class=by_class, seed=seed)
    ]
    return points, {name: np.concatenate([part[name] for part in parts]) for name in points}


def _all_intervals(
    points: Mapping[str, float], values: Mapping[str, NDArray[np.float64]]
) -> dict[str, Interval]:
    found = {}
    for name, point in points.items():
        finite = values[name][np.isfinite(values[name])]
        if np.isfinite(point) and 2 * len(finite) >= len(values[name]):
            low, high = np.quantile(finite, [_TAIL, 1 - _TAIL]).tolist()
            found[name] = Interval(min(low, point), max(high, point))
    return found


def _unanimous(
    answers: Answers, found: Mapping[str, Interval], kind: str
) -> Mapping[str, Interval]:
    """Wider where every row is right, or none: a share of rows may yet be otherwise."""
    right = is_right(answers)
    if right.any() and not right.all():
        return found
    share = 1 - _TAIL ** (1 / len(answers))
    counts = count(answers.truth, answers.predicted, np.ones((1, len(answers))), kind)
    if right.all():
        other = replace(counts, exact=counts.exact * (1 - share), both=counts.both * (1 - share))
    else:
        other = replace(
            counts,
            exact=counts.exact + share * counts.rows,
            both=counts.both * (1 - share) + counts.real * share,
            claimed=counts.claimed * (1 - share) + counts.real * share,
        )
    bounds = {name: float(of_counts(name, other, answers.positive)[0]) for name in found}
    return {
        name: Interval(min(told.low, bounds[name]), max(told.high, bounds[name]))
        for name, told in found.items()
    }


def _mean_loss(columns: Sequence[NDArray[Any]], weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
    losses = columns[-1].astype(np.float64)
    return {"loss": weights @ losses / weights[0].sum()}


def is_right(answers: Answers) -> NDArray[np.bool_]:
    """Which rows have exactly the right answer, shape (n,): classes or sets of labels."""
    equal = np.asarray(answers.predicted) == np.asarray(answers.truth)
    right: NDArray[np.bool_] = equal.reshape(len(equal), -1).all(axis=1)
    return right


def gives_one_answer(answers: Answers) -> bool:
    """Whether a model answers all rows alike though their labels differ.

    Numbers count as alike if they vary by less than a twentieth of the labels: a prediction that
    explains anything varies by at least its correlation.
    """
    predicted, truth = (
        np.asarray(values, dtype=np.float64).reshape(len(answers), -1)
        for values in (answers.predicted, answers.truth)
    )
    if len(answers) < 2 or not (truth != truth[0]).any():
        return False
    if counted_kind(answers) is None:
        return bool(predicted.std() < 0.05 * truth.std())
    return not (predicted != predicted[0]).any()


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


def spread(values: Sequence[float]) -> Spread:
    """Mean, deviation and range of a score over seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(tuple(values), statistics.fmean(values), deviation, min(values), max(values))
