"""Calibrated answers: how probably each is exactly right, and which are too uncertain to give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.encoded import Ragged
from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.calibration import (
    Calibration,
    CalibrationReport,
    CalibrationResult,
    at_a_bound,
    unreached,
)
from tunesmith.metrics.counts import ClassReport
from tunesmith.metrics.output_kinds import Answers
from tunesmith.metrics.probabilities import Floats, softmax
from tunesmith.metrics.temperature import calibration_error, reliability, temperature_with_least
from tunesmith.metrics.thresholds import Goal, threshold_for_precision
from tunesmith.tasks.question_answering.answer_kind import mistake_of
from tunesmith.tasks.question_answering.answers import answer_rows
from tunesmith.tasks.question_answering.rows import Given

__all__ = ["AnswerCalibrator"]

Predictions = Mapping[str, Any]

_LABEL = "answer"
_FAR, _LEAST = -1e9, 1e-12


@dataclass(frozen=True)
class AnswerCalibrator:
    """The temperature divides the scores of the answers; which one is given stays the same.

    Attributes:
        name: of the kind of answers.
        threshold: for giving no answer; None where there always is one.
    """

    name: str
    threshold: float | None

    @property
    def labels(self) -> tuple[str, ...]:
        """One threshold for all answers, none included."""
        return (_LABEL,)

    def recorded(self, answers: Answers) -> None:
        """Return None: stored answers have the probabilities of the best ones only."""

    def fit(
        self, predictions: Predictions, truth: NDArray[Any], *, goal: Goal | None
    ) -> CalibrationResult:
        """Fit the temperature on whether answers are exactly right, then one threshold."""
        if goal is not None and (goal.score != "accuracy" or goal.at_least is None):
            raise RecipeError.of(
                "R181",
                _('the goal "{goal}" does not fit').format(goal=goal),
                fix=_("Answers take accuracy=0.9."),
            )
        right = self._are_right(predictions, truth)

        def loss_at(temperature: float) -> float:
            return _log_loss(self._confidence(predictions, temperature), right)

        temperature = temperature_with_least(loss_at)
        warnings = at_a_bound(temperature)
        fitted = Calibration(self.name, 1.0 if warnings else temperature)
        if goal is not None and goal.at_least is not None:
            confidence = self._confidence(predictions, fitted.temperature)
            thresholds = {_LABEL: threshold_for_precision(confidence, right, goal.at_least)}
            warnings += unreached(goal, thresholds)
            fitted = replace(fitted, rule="unsure", thresholds=thresholds, goal=str(goal))
        plain = Calibration(self.name)
        before, after = (self.measure(each, predictions, truth) for each in (plain, fitted))
        return CalibrationResult(fitted, len(truth), before, after, warnings)

    def measure(
        self, calibration: Calibration, predictions: Predictions, truth: NDArray[Any]
    ) -> CalibrationReport:
        """Measure how often answers are exactly right, by how probable they are."""
        right = self._are_right(predictions, truth)
        confidence = self._confidence(predictions, calibration.temperature)
        answered = self._answered(calibration, confidence)
        curve = reliability(confidence, right)
        has_text = answered & ~self._are_empty(predictions)
        has_answer = np.array([bool(question.answers) for question in truth], dtype=np.bool_)
        counts = (int(part.sum()) for part in (has_text & right, has_text, has_answer))
        return CalibrationReport(
            loss=_log_loss(confidence, right),
            ece=calibration_error(curve),
            curve=curve,
            coverage=float(answered.mean()),
            accuracy=float(right[answered].mean()) if answered.any() else None,
            classes={_LABEL: ClassReport.of(*counts)},
        )

    def scaled(self, calibration: Calibration, predictions: Predictions) -> Predictions:
        """Return predictions with scores divided by the temperature."""
        scores, temperature = predictions["scores"], calibration.temperature
        return {
            **predictions,
            "scores": Ragged(scores.flat.astype(np.float64) / temperature, scores.lengths),
            "null": predictions["null"].astype(np.float64) / temperature,
            "is_empty": self._are_empty(predictions),
        }

    def decide(
        self, calibration: Calibration, predictions: Predictions
    ) -> tuple[Predictions, NDArray[Any]]:
        """Return the same answers, and which are as probable as the threshold asks."""
        confidence = self._confidence(predictions, calibration.temperature)
        return self.scaled(calibration, predictions), self._answered(calibration, confidence)

    def with_threshold(self, calibration: Calibration | None, threshold: float) -> Calibration:
        """Return the least probability of an answer."""
        plain = calibration or Calibration(self.name)
        return replace(plain, rule="unsure", thresholds={_LABEL: threshold}, goal=None)

    @staticmethod
    def _answered(calibration: Calibration, confidence: Floats) -> NDArray[np.bool_]:
        least = (calibration.thresholds or {}).get(_LABEL, 0.0)
        return np.asarray(confidence >= (math.inf if least is None else least))

    def _are_empty(self, predictions: Predictions) -> NDArray[np.bool_]:
        """Which rows get no answer, shape (n,)."""
        if "is_empty" in predictions:
            return np.asarray(predictions["is_empty"], dtype=np.bool_)
        scores, null = predictions["scores"], predictions["null"]
        has_any = scores.lengths > 0
        if self.threshold is None:
            return np.asarray(~has_any)
        best = np.full(len(scores), -np.inf)
        best[has_any] = scores.flat[(scores.lengths.cumsum() - scores.lengths)[has_any]]
        return np.asarray(null - best > self.threshold, dtype=np.bool_)

    def _confidence(self, predictions: Predictions, temperature: float) -> Floats:
        """The probability of the answer to each row, shape (n,)."""
        scores = predictions["scores"]
        width = int(scores.lengths.max(initial=0))
        table = np.full((len(scores), 1 + width), _FAR)
        table[:, 1:][np.arange(width) < scores.lengths[:, None]] = scores.flat
        if self.threshold is not None:
            table[:, 0] = predictions["null"]
        place = np.where(self._are_empty(predictions), 0, min(1, width))
        shares = softmax(table / temperature)
        return np.asarray(shares[np.arange(len(table)), place])

    def _are_right(self, predictions: Predictions, truth: NDArray[Any]) -> NDArray[np.bool_]:
        contexts = [question.context for question in truth]
        answered = answer_rows(predictions, contexts, threshold=self.threshold)
        rows = zip(truth, answered, strict=True)
        right = (mistake_of(one, Given(one, answer.chosen)) is None for one, answer in rows)
        return np.fromiter(right, np.bool_, len(truth))


def _log_loss(confidence: Floats, right: NDArray[np.bool_]) -> float:
    shares = np.where(right, confidence, 1 - confidence)
    return float(-np.log(np.maximum(shares, _LEAST)).mean())
