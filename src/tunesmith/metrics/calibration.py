"""Fitting a calibration on held-out rows, and what it changes on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.baselines import Kind
from tunesmith.metrics.calibrated import Calibration
from tunesmith.metrics.temperature import (
    COLDEST,
    HOTTEST,
    Bin,
    Floats,
    calibration_error,
    fit_temperature,
    log_loss,
    probabilities,
    reliability,
)
from tunesmith.metrics.thresholds import Goal, Rule, threshold_for_f1, threshold_for_share
from tunesmith.text import quoted

__all__ = ["CalibrationReport", "CalibrationResult", "Tally", "calibrate", "measure"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How one class or label fares.

    Attributes:
        given: rows that it is given to.
        precision: how many of them have it; None without any.
        recall: how many of the rows that have it are given it; None without any.
        f1: of both; 0 where a part of it is None.
    """

    given: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class CalibrationReport:
    """How a calibration fares on labelled rows.

    Attributes:
        loss: the log loss of its probabilities.
        ece: their expected calibration error: of the likeliest class of each row, or of each label.
        curve: the reliability curve behind it.
        coverage: the share of rows that are answered.
        accuracy: of these, with the right class or exactly the right labels; None if there are
            none.
        tallies: how each class or label fares, by name.
    """

    loss: float
    ece: float
    curve: Sequence[Bin]
    coverage: float
    accuracy: float | None
    tallies: Mapping[str, Tally]


@dataclass(frozen=True)
class CalibrationResult:
    """A calibration, and what it changes on the rows that it was fitted on.

    Attributes:
        calibration: what was found.
        rows: how many there were.
        before: the model as it is.
        after: the same, calibrated.
        warnings: what could not be done.
    """

    calibration: Calibration
    rows: int
    before: CalibrationReport
    after: CalibrationReport
    warnings: Sequence[Problem]


def calibrate(
    kind: Kind,
    logits: NDArray[Any],
    truth: NDArray[Any],
    labels: Sequence[str],
    *,
    goal: Goal | None = None,
    positive: int = 1,
) -> CalibrationResult:
    """Fit a temperature, and thresholds for a goal, on held-out rows.

    Args:
        kind: "classes" or "labels".
        logits: shape (n, C), n at least 1.
        truth: (n,) classes, or (n, C) zeros and ones.
        labels: the C names.
        goal: what thresholds are for; None for the temperature alone.
        positive: the class of two that f1 and precision are of.

    Raises:
        RecipeError: the goal does not fit (R181), or no threshold reaches it (R182).
    """
    rule = goal.rule(kind, len(labels)) if goal else None
    plain = Calibration(kind)
    temperature = fit_temperature(kind, logits, truth)
    warnings = _beyond_sense(temperature)
    found = replace(plain, temperature=1.0 if warnings else temperature)
    if goal is not None and rule is not None:
        shares = probabilities(kind, found.scaled(logits))
        values = _thresholds(goal, rule, shares, truth, positive)
        thresholds = dict(zip(labels, values, strict=True))
        warnings += _unreached(goal, thresholds)
        found = replace(found, rule=rule, thresholds=thresholds, goal=str(goal))
    before, after = (measure(one, logits, truth, labels) for one in (plain, found))
    return CalibrationResult(found, len(logits), before, after, warnings)


def measure(
    calibration: Calibration, logits: NDArray[Any], truth: NDArray[Any], labels: Sequence[str]
) -> CalibrationReport:
    """How a calibration fares; shapes as in `calibrate`."""
    kind, scaled = calibration.kind, calibration.scaled(logits)
    shares = probabilities(kind, scaled)
    decision, answered = calibration.decide(logits)
    if kind == "labels":
        has = truth == 1
        confidence, true = shares.ravel(), has.ravel()
        right = ((decision > 0) == has).all(axis=-1)
    else:
        has = truth[:, np.newaxis] == np.arange(shares.shape[1])
        confidence, true = shares.max(axis=-1), shares.argmax(axis=-1) == truth
        right = decision.argmax(axis=-1) == truth
    curve = reliability(confidence, true)
    given = (decision > 0) & answered[:, np.newaxis]
    return CalibrationReport(
        loss=log_loss(kind, scaled, truth),
        ece=calibration_error(curve),
        curve=curve,
        coverage=float(answered.mean()),
        accuracy=float(right[answered].mean()) if answered.any() else None,
        tallies={name: _tally(given[:, i], has[:, i]) for i, name in enumerate(labels)},
    )


def _tally(given: NDArray[np.bool_], has: NDArray[np.bool_]) -> Tally:
    hits, chosen, wanted = (int(np.count_nonzero(found)) for found in (given & has, given, has))
    return Tally(
        chosen,
        hits / chosen if chosen else None,
        hits / wanted if wanted else None,
        2 * hits / (chosen + wanted) if hits else 0.0,
    )


def _thresholds(
    goal: Goal, rule: Rule, shares: Floats, truth: NDArray[Any], positive: int
) -> list[float | None]:
    """A threshold for each class or label, in their order."""

    def best(claimed: Floats, true: NDArray[Any]) -> float | None:
        if goal.at_least is None:
            return threshold_for_f1(claimed, true)
        return threshold_for_share(claimed, true, goal.at_least)

    width = shares.shape[1]
    if rule == "each":
        found = [best(shares[:, i], truth[:, i] == 1) for i in range(width)]
        # f1 without a true row says nothing: such a label keeps its half
        return [0.5 if value is None and goal.at_least is None else value for value in found]
    if rule == "positive":
        value = best(shares[:, positive], truth == positive)
        if value is None:
            return [None, None]
        return [value if i == positive else 1 - value for i in range(width)]
    confidence, answer = shares.max(axis=-1), shares.argmax(axis=-1)
    if goal.score == "accuracy":
        return [best(confidence, answer == truth)] * width
    return [best(confidence[answer == i], truth[answer == i] == i) for i in range(width)]


def _unreached(goal: Goal, thresholds: Mapping[str, float | None]) -> list[Problem]:
    """A warning for labels that will never be given; an error if these are all."""
    missing = [name for name, value in thresholds.items() if value is None]
    if len(missing) == len(thresholds):
        raise RecipeError(
            Problem(
                "R182",
                _("no threshold reaches {goal} on the validation rows").format(goal=goal),
                fix=_("Ask for less, or train a better model; nothing was changed."),
            )
        )
    if not missing:
        return []
    return [
        Problem(
            "M150",
            _("no threshold reaches {goal} for {names}, which will never be answered").format(
                goal=goal, names=quoted(missing)
            ),
            severity=Severity.WARNING,
        )
    ]


def _beyond_sense(temperature: float) -> list[Problem]:
    """A warning where the rows ask for the coldest or hottest there is."""
    if COLDEST * 1.01 < temperature < HOTTEST / 1.01:
        return []
    message = (
        _("the validation rows are all answered right, which gives no temperature; it stays 1")
        if temperature < 1
        else _("the model knows nothing of the validation rows; the temperature stays 1")
    )
    return [
        Problem(
            "M151",
            message,
            fix=_("Give more rows, or harder ones, to validation."),
            severity=Severity.WARNING,
        )
    ]
