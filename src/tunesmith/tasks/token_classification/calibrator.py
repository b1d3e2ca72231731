"""Calibrated entities: a temperature of their words, and thresholds of their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    calibrate,
    unreached,
)
from tunesmith.metrics.concrete_kinds import SingleClass
from tunesmith.metrics.counts import ClassReport
from tunesmith.metrics.entities import Span
from tunesmith.metrics.output_kinds import Answers
from tunesmith.metrics.temperature import calibration_error, reliability
from tunesmith.metrics.thresholds import Goal, threshold_for_f1, threshold_for_precision
from tunesmith.tasks.token_classification.answers import Marked, mark_rows
from tunesmith.tasks.token_classification.entity_kind import as_objects
from tunesmith.tasks.token_classification.rows import MarkedText

__all__ = ["EntityCalibrator"]

Predictions = Mapping[str, Any]


@dataclass(frozen=True)
class EntityCalibrator:
    """The temperature is that of words; an entity is as sure as its least sure word.

    Attributes:
        name: of the kind of answers.
        tags: what the logits are of.
        labels: types of entities, or classes of words.
        are_plain: whether each word has a class of its own.
        true_tags: gives the number of the true tag of each of some spans of a text.
    """

    name: str
    tags: tuple[str, ...]
    labels: tuple[str, ...]
    are_plain: bool
    true_tags: Callable[[MarkedText, Sequence[Span]], Sequence[int]]

    def recorded(self, answers: Answers) -> None:
        """Return None: answers hold entities, not the probabilities of all words."""

    def fit(
        self, predictions: Predictions, truth: NDArray[Any], *, goal: Goal | None
    ) -> CalibrationResult:
        """Fit the temperature on words, then a threshold for each type on its entities."""
        words, tags = predictions["logits"].flat, self._tags(predictions, truth)
        fit = calibrate(SingleClass(self.tags), words, tags)
        fitted = replace(fit.calibration, kind=self.name)
        warnings = list(fit.warnings)
        if goal is not None:
            thresholds = self._thresholds(goal, fitted, predictions, truth)
            warnings += unreached(goal, thresholds)
            fitted = replace(fitted, rule="each", thresholds=thresholds, goal=str(goal))
        plain = Calibration(self.name)
        before, after = (self.measure(each, predictions, truth) for each in (plain, fitted))
        return CalibrationResult(fitted, len(truth), before, after, warnings)

    def measure(
        self, calibration: Calibration, predictions: Predictions, truth: NDArray[Any]
    ) -> CalibrationReport:
        """Measure the loss of words; the curve, precision and recall are those of entities."""
        scaled = self.scaled(calibration, predictions)
        losses = SingleClass(self.tags).losses(
            scaled["logits"].flat, self._tags(predictions, truth)
        )
        entities = _MarkedEntities.of(self._marked(scaled), truth)
        curve = reliability(entities.scores, entities.are_right) if len(entities.scores) else []
        decided = self._decided(calibration, scaled)
        return CalibrationReport(
            loss=float(losses.mean()),
            ece=calibration_error(curve) if curve else 0.0,
            curve=curve,
            coverage=1.0,
            accuracy=float(
                np.mean(
                    [_spans(one) == _spans(text) for one, text in zip(decided, truth, strict=True)]
                )
            ),
            classes=_reports(self.labels, decided, truth),
        )

    def scaled(self, calibration: Calibration, predictions: Predictions) -> Predictions:
        """Return predictions with the logits of words divided by the temperature."""
        logits = predictions["logits"]
        return {**predictions, "logits": Ragged(calibration.scaled(logits.flat), logits.lengths)}

    def decide(
        self, calibration: Calibration, predictions: Predictions
    ) -> tuple[Predictions, NDArray[Any]]:
        """Return the entities that reach the threshold of their type; every row is answered."""
        decided = self._decided(calibration, self.scaled(calibration, predictions))
        return {"marked": as_objects(decided)}, np.ones(len(decided), dtype=np.bool_)

    def with_threshold(self, calibration: Calibration | None, threshold: float) -> Calibration:
        """Return one threshold for all types."""
        thresholds = dict.fromkeys(self.labels, threshold)
        plain = calibration or Calibration(self.name)
        return replace(plain, rule="each", thresholds=thresholds, goal=None)

    def _marked(self, predictions: Predictions) -> list[Marked]:
        return list(mark_rows(predictions, self.tags, are_plain=self.are_plain))

    def _decided(self, calibration: Calibration, scaled: Predictions) -> list[Marked]:
        least = {
            name: np.inf if value is None else value
            for name, value in (calibration.thresholds or {}).items()
        }
        return [one.at_least(least) for one in self._marked(scaled)]

    def _tags(self, predictions: Predictions, truth: NDArray[Any]) -> NDArray[np.int64]:
        """The true tag of each word, shape (words,)."""
        spans = predictions["spans"].split()
        numbers = [
            self.true_tags(text, list(map(tuple, each.tolist())))
            for text, each in zip(truth, spans, strict=True)
        ]
        return np.fromiter((tag for each in numbers for tag in each), np.int64)

    def _thresholds(
        self,
        goal: Goal,
        fitted: Calibration,
        predictions: Predictions,
        truth: NDArray[Any],
    ) -> dict[str, float | None]:
        if goal.score == "accuracy":
            raise RecipeError.of(
                "R181",
                _('the goal "{goal}" does not fit').format(goal=goal),
                fix=_("Entities take f1 or precision=0.9."),
            )
        entities = _MarkedEntities.of(self._marked(self.scaled(fitted, predictions)), truth)
        thresholds: dict[str, float | None] = {}
        for name in self.labels:
            of_type = entities.labels == name
            scores, are_right = entities.scores[of_type], entities.are_right[of_type]
            if goal.at_least is not None:
                thresholds[name] = threshold_for_precision(scores, are_right, goal.at_least)
            else:  # f1 without a marked entity says nothing
                total = sum(one.label == name for text in truth for one in text.entities)
                thresholds[name] = threshold_for_f1(scores, are_right, total=total) or 0.0
        return thresholds


@dataclass(frozen=True)
class _MarkedEntities:
    """The marked entities of all rows: their types, scores, and whether they are right."""

    labels: NDArray[Any]
    scores: NDArray[np.float64]
    are_right: NDArray[np.bool_]

    @classmethod
    def of(cls, marked: Sequence[Marked], truth: NDArray[Any]) -> _MarkedEntities:
        triples = [
            (entity.label, score, entity[:3] in true)
            for one, text in zip(marked, truth, strict=True)
            for true in [_spans(text)]
            for entity, score in zip(one.entities, one.scores, strict=True)
        ]
        return cls(
            np.array([label for label, _score, _right in triples], dtype=object),
            np.array([score for _label, score, _right in triples], dtype=np.float64),
            np.array([right for _label, _score, right in triples], dtype=np.bool_),
        )


def _spans(marked: Marked | MarkedText) -> set[tuple[int, int, str]]:
    return {entity[:3] for entity in marked.entities}


def _reports(
    names: Sequence[str], marked: Sequence[Marked], truth: NDArray[Any]
) -> dict[str, ClassReport]:
    """Precision and recall of each type."""
    counts = {name: [0, 0, 0] for name in names}
    for one, text in zip(marked, truth, strict=True):
        claimed, real = _spans(one), _spans(text)
        for place, entities in enumerate((claimed & real, claimed, real)):
            for entity in entities:
                counts[entity[2]][place] += 1
    return {
        name: ClassReport.of(both, claimed, real) for name, (both, claimed, real) in counts.items()
    }
