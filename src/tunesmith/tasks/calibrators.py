"""How answers are calibrated: what a task scales, decides and measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from tunesmith.metrics.calibration import (
    Calibration,
    CalibrationReport,
    CalibrationResult,
    calibrate,
    measure,
)
from tunesmith.metrics.output_kinds import Answers, LabelKind
from tunesmith.metrics.thresholds import Goal

__all__ = ["Calibrator", "LabelCalibrator", "of_rows"]


class Calibrator(Protocol):
    """What `calibrate` and calibrated answers ask of a task. Predictions are those of rows."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What may have a threshold each: classes, labels, types of entities."""
        ...

    def recorded(self, answers: Answers) -> Mapping[str, Any] | None:
        """Return the predictions that gave stored answers; None if these do not say."""
        ...

    def fit(
        self, predictions: Mapping[str, Any], truth: NDArray[Any], *, goal: Goal | None
    ) -> CalibrationResult:
        """Fit a temperature, and thresholds for a goal, on held-out rows.

        Raises:
            RecipeError: the goal does not fit (R181), or no threshold reaches it (R182).
        """
        ...

    def measure(
        self, calibration: Calibration, predictions: Mapping[str, Any], truth: NDArray[Any]
    ) -> CalibrationReport:
        """Return how a calibration does on labeled rows."""
        ...

    def scaled(self, calibration: Calibration, predictions: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return predictions with calibrated probabilities."""
        ...

    def decide(
        self, calibration: Calibration, predictions: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], NDArray[Any]]:
        """Return predictions that the task decodes to the decisions, and which rows have one."""
        ...

    def with_threshold(self, calibration: Calibration | None, threshold: float) -> Calibration:
        """Return a calibration with one threshold for all, in place of those it has."""
        ...


@dataclass(frozen=True)
class LabelCalibrator:
    """Of one answer per row among known labels, from its logits.

    Attributes:
        kind: of the answers.
    """

    kind: LabelKind

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or labels."""
        return self.kind.labels

    def recorded(self, answers: Answers) -> Mapping[str, Any]:
        """Return the logarithms of their probabilities."""
        return {"logits": self.kind.raw_values(answers)}

    def fit(
        self, predictions: Mapping[str, Any], truth: NDArray[Any], *, goal: Goal | None
    ) -> CalibrationResult:
        """Fit on logits."""
        return calibrate(self.kind, predictions["logits"], truth, goal=goal)

    def measure(
        self, calibration: Calibration, predictions: Mapping[str, Any], truth: NDArray[Any]
    ) -> CalibrationReport:
        """Measure answers of rows."""
        return measure(self.kind, calibration, predictions["logits"], truth)

    def scaled(self, calibration: Calibration, predictions: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return predictions with logits divided by the temperature."""
        return {**predictions, "logits": calibration.scaled(predictions["logits"])}

    def decide(
        self, calibration: Calibration, predictions: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], NDArray[Any]]:
        """Return logits of 1 and -1."""
        decision, answered = calibration.decide(self.kind, predictions["logits"])
        return {**predictions, "logits": decision}, answered

    def with_threshold(self, calibration: Calibration | None, threshold: float) -> Calibration:
        """Return one threshold for all labels."""
        return (calibration or Calibration(self.kind.name)).with_threshold(self.kind, threshold)


def of_rows(predictions: Mapping[str, Any], are_chosen: NDArray[Any]) -> Mapping[str, Any]:
    """Return the predictions of some rows, by a mask."""
    return {name: values[are_chosen] for name, values in predictions.items()}
