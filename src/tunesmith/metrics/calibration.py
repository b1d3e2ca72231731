"""Calibration: from the raw values of a model to probabilities and decisions, and fitting that.

A temperature makes probabilities as high as answers are often right; thresholds serve a goal. Both
are fitted on held-out rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import Problem, RecipeError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.counts import ClassReport, class_reports
from tunesmith.metrics.output_kinds import LabelKind
from tunesmith.metrics.temperature import (
    COLDEST,
    HOTTEST,
    Bin,
    calibration_error,
    fit_temperature,
    reliability,
)
from tunesmith.metrics.thresholds import Goal, Rule, threshold_for_f1, threshold_for_precision
from tunesmith.text import quoted

__all__ = [
    "Calibration",
    "CalibrationReport",
    "CalibrationResult",
    "at_a_bound",
    "calibrate",
    "measure",
    "unreached",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """How the logits of a model become probabilities and decisions.

    Attributes:
        kind: the name of the `OutputKind` that it is for.
        temperature: what logits are divided by.
        rule: how thresholds decide; None for the most likely class, or labels of at least one half.
        thresholds: the least probability of each class or label, in their order; None for one that
            is never given. Empty without a rule.
        goal: what they were chosen for, as the user wrote it.
    """

    kind: str
    temperature: float = 1.0
    rule: Rule | None = None
    thresholds: Mapping[str, float | None] | None = None
    goal: str | None = None

    def scaled(self, logits: NDArray[Any]) -> Floats:
        """Calibrated logits, shape (n, C)."""
        return logits.astype(np.float64) / self.temperature

    def decide(self, kind: LabelKind, logits: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """The decisions, as logits of 1 and -1 of shape (n, C), and which rows are answered.

        A task that takes the highest logit, or those of at least 0, gives these decisions.
        """
        shares = kind.probabilities(self.scaled(logits))
        answered = np.ones(len(shares), dtype=bool)
        least = np.array(
            [math.inf if value is None else value for value in (self.thresholds or {}).values()]
        )
        if self.rule == "each":
            chosen = shares >= least
        elif self.rule == "positive":
            chosen = kind.indicators((shares - least).argmax(axis=-1))
        else:
            decided = kind.decide(shares, half=0.5)
            chosen = kind.indicators(decided)
            if self.rule == "unsure":
                answered = kind.certainties(shares, decided) >= least[decided]
        return np.where(chosen, 1.0, -1.0), answered

    def with_threshold(self, kind: LabelKind, threshold: float) -> Calibration:
        """The same with one threshold for all: classes below it are not answered."""
        thresholds = dict.fromkeys(kind.labels, threshold)
        rule: Rule = "unsure" if kind.is_exclusive else "each"
        return replace(self, rule=rule, thresholds=thresholds, goal=None)

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The calibration that `as_json` described; other keys are ignored."""
        return cls(**{field.name: facts[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class CalibrationReport:
    """How a calibration does on labeled rows.

    Attributes:
        loss: the log loss of its probabilities.
        ece: their expected calibration error: of the most likely class of each row, or of each
            label.
        curve: the reliability curve behind it.
        coverage: the fraction of rows that are answered.
        accuracy: of these, with the right class or exactly the right labels; None if there are
            none.
        classes: precision and recall of each class or label, by name.
    """

    loss: float
    ece: float
    curve: Sequence[Bin]
    coverage: float
    accuracy: float | None
    classes: Mapping[str, ClassReport]


@dataclass(frozen=True)
class CalibrationResult:
    """A calibration, and what it changes on the rows that it was fitted on.

    Attributes:
        calibration: the result.
        rows: how many rows it was fitted on.
        before: the model as it is.
        after: the model with the calibration.
        warnings: what could not be done.
    """

    calibration: Calibration
    rows: int
    before: CalibrationReport
    after: CalibrationReport
    warnings: Sequence[Problem]


def calibrate(
    kind: LabelKind, logits: NDArray[Any], truth: NDArray[Any], *, goal: Goal | None = None
) -> CalibrationResult:
    """Fit a temperature, and thresholds for a goal, on held-out rows.

    Args:
        kind: of the answers.
        logits: shape (n, C), n at least 1.
        truth: (n,) classes, or (n, C) zeros and ones.
        goal: what thresholds are for; None for the temperature alone.

    Raises:
        RecipeError: the goal does not fit (R181), or no threshold reaches it (R182).
    """
    rule = _rule(kind, goal) if goal else None
    plain = Calibration(kind.name)
    temperature = fit_temperature(kind, logits, truth)
    warnings = at_a_bound(temperature)
    fitted = replace(plain, temperature=1.0 if warnings else temperature)
    if goal is not None and rule is not None:
        values = _thresholds(kind, goal, rule, kind.probabilities(fitted.scaled(logits)), truth)
        thresholds = dict(zip(kind.labels, values, strict=True))
        warnings += unreached(goal, thresholds)
        fitted = replace(fitted, rule=rule, thresholds=thresholds, goal=str(goal))
    before, after = (measure(kind, each, logits, truth) for each in (plain, fitted))
    return CalibrationResult(fitted, len(logits), before, after, warnings)


def measure(
    kind: LabelKind, calibration: Calibration, logits: NDArray[Any], truth: NDArray[Any]
) -> CalibrationReport:
    """How a calibration does; shapes as in `calibrate`."""
    scaled = calibration.scaled(logits)
    decision, answered = calibration.decide(kind, logits)
    has = kind.indicators(truth)
    right = ((decision > 0) == has).all(axis=-1)
    curve = reliability(*kind.reliability_points(kind.probabilities(scaled), truth))
    return CalibrationReport(
        loss=float(kind.losses(scaled, truth).mean()),
        ece=calibration_error(curve),
        curve=curve,
        coverage=float(answered.mean()),
        accuracy=float(right[answered].mean()) if answered.any() else None,
        classes=class_reports(kind.labels, has, (decision > 0) & answered[:, np.newaxis]),
    )


def _rule(kind: LabelKind, goal: Goal) -> Rule:
    """How thresholds for a goal decide; raises `RecipeError` if it does not fit (R181)."""
    if kind.names_are_places:
        if goal.score == "accuracy":
            return "unsure"
        fix = _("Choices take accuracy=0.95.")
    elif kind.is_exclusive:
        if len(kind.names) == 2 and goal.score != "accuracy":
            return "positive"
        if goal.score != "f1":
            return "unsure"
        fix = _("More than two classes take precision=0.9 or accuracy=0.95.")
    else:
        if goal.score != "accuracy":
            return "each"
        fix = _("Several labels per row take f1 or precision=0.9.")
    raise RecipeError.of("R181", _('the goal "{goal}" does not fit').format(goal=goal), fix=fix)


def _thresholds(
    kind: LabelKind, goal: Goal, rule: Rule, shares: Floats, truth: NDArray[Any]
) -> list[float | None]:
    """A threshold for each class or label, in their order."""

    def best(claimed: Floats, true: NDArray[Any]) -> float | None:
        if goal.at_least is None:
            return threshold_for_f1(claimed, true)
        return threshold_for_precision(claimed, true, goal.at_least)

    width, has = shares.shape[1], kind.indicators(truth)
    if rule == "each":
        values = [best(shares[:, i], has[:, i]) for i in range(width)]
        # f1 without a true row says nothing: such a label keeps its half
        return [0.5 if value is None and goal.at_least is None else value for value in values]
    if rule == "positive":
        value = best(shares[:, kind.positive], has[:, kind.positive])
        if value is None:
            return [None, None]
        return [value if i == kind.positive else 1 - value for i in range(width)]
    confidence, right = kind.reliability_points(shares, truth)
    if goal.score == "accuracy":
        return [best(confidence, right)] * width
    answer = kind.decide(shares, half=0.5)
    return [best(confidence[answer == i], right[answer == i]) for i in range(width)]


def unreached(goal: Goal, thresholds: Mapping[str, float | None]) -> list[Problem]:
    """Return a warning for labels that will never be answered; an error if these are all."""
    missing = [name for name, value in thresholds.items() if value is None]
    if len(missing) == len(thresholds):
        raise RecipeError.of(
            "R182",
            _("no threshold reaches {goal} on the validation rows").format(goal=goal),
            fix=_("Ask for less, or train a better model; nothing was changed."),
        )
    if not missing:
        return []
    return [
        Problem(
            "M150",
            _("no threshold reaches {goal} for {names}, which will never be answered").format(
                goal=goal, names=quoted(missing)
            ),
            fix=_("Ask for less, or train with more rows of these labels."),
            severity=Severity.WARNING,
        )
    ]


def at_a_bound(temperature: float) -> list[Problem]:
    """Return a warning if the best temperature is at a bound of the search."""
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
