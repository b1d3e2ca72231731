"""An assessment: a diagnosis, how certain it is, the evidence, and the one change to try."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tunesmith.analysis.curves.noise import Confidence
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import TrainSettings, as_written

__all__ = [
    "Assessment",
    "Change",
    "Diagnosis",
    "change_to_try",
    "scale_learning_rate",
    "train_longer",
    "without_longer_training",
]

_LENGTHS = ("train.epochs", "train.max_steps")

_HIGHEST_RATE = 1e-3
"""Above it AdamW destroys what any but the smallest pretrained model has learned."""


class Diagnosis(StrEnum):
    """What curves can show."""

    BEATEN = N_("worse than the TF-IDF baseline")
    DIVERGED = N_("diverged")
    TOO_HIGH = N_("learning rate too high")
    ERRATIC = N_("erratic")
    COLLAPSED = N_("collapsed to one answer")
    UNDERFITTING = N_("underfitting")
    OVERFITTING = N_("overfitting")
    IMPROVING = N_("still improving")
    CONVERGED = N_("converged")
    HEALTHY = N_("no problem found")
    TOO_SHORT = N_("too short to tell")


@dataclass(frozen=True, slots=True)
class Change:
    """One recipe key with the value to try.

    Attributes:
        key: dotted, as `--set` takes it.
        value: as YAML spells it.
    """

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}: {self.value}"

    def as_json(self) -> dict[str, str]:
        """Return the change as a JSON object."""
        return {"key": self.key, "value": self.value}


@dataclass(frozen=True, slots=True)
class Assessment:
    """One thing that curves show.

    Attributes:
        diagnosis: what it is.
        confidence: how certain it is; None where nothing is claimed.
        evidence: the numbers it follows from, one sentence.
        change: what to try; None if nothing is wrong, or no single change helps.
    """

    diagnosis: Diagnosis
    confidence: Confidence | None
    evidence: str
    change: Change | None = None

    def __str__(self) -> str:
        name = _(self.diagnosis)
        if self.confidence is not None:
            name = _("{diagnosis} ({confidence})").format(
                diagnosis=name, confidence=_(self.confidence)
            )
        return _("{diagnosis}: {evidence}").format(diagnosis=name, evidence=self.evidence)

    def as_json(self) -> dict[str, object]:
        """Return the assessment as a JSON object."""
        return {
            "diagnosis": str(self.diagnosis),
            "confidence": str(self.confidence) if self.confidence else None,
            "evidence": self.evidence,
            "change": self.change.as_json() if self.change else None,
        }


def change_to_try(assessments: Iterable[Assessment]) -> Change | None:
    """Return the change of the first assessment that has one."""
    return next((one.change for one in assessments if one.change is not None), None)


def without_longer_training(assessments: Iterable[Assessment]) -> tuple[Assessment, ...]:
    """Remove the advice to train longer: it is not what a model worse than TF-IDF needs first."""
    return tuple(
        replace(one, change=None) if one.change is not None and one.change.key in _LENGTHS else one
        for one in assessments
    )


def scale_learning_rate(settings: TrainSettings, factor: float) -> Change:
    """Return the learning rate times a factor, rounded to one digit and capped."""
    rate = min(settings.learning_rate * factor, _HIGHEST_RATE)
    digits = -math.floor(math.log10(rate))
    return Change("train.learning_rate", as_written(float(round(rate, digits))))


def train_longer(settings: TrainSettings) -> Change:
    """Return twice the length."""
    if settings.max_steps is not None:
        return Change("train.max_steps", as_written(2 * settings.max_steps))
    return Change("train.epochs", as_written(float(2 * settings.epochs)))
