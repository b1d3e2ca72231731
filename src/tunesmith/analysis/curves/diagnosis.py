"""A reading: what was found, how sure it is, in words, and the one change to try."""

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
    "Change",
    "Reading",
    "Verdict",
    "change_to_try",
    "longer",
    "other_rate",
    "without_longer",
]

_LENGTHS = ("train.epochs", "train.max_steps")

_HIGHEST_RATE = 1e-3
"""Beyond it AdamW unlearns what any but the smallest pretrained model knows."""


class Verdict(StrEnum):
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
    HEALTHY = N_("nothing stands out")
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
        """The same as one JSON object."""
        return {"key": self.key, "value": self.value}


@dataclass(frozen=True, slots=True)
class Reading:
    """What curves show.

    Attributes:
        verdict: in one word or two.
        sureness: how sure that is; None where nothing is claimed.
        evidence: the numbers behind it, one sentence.
        change: what to try; None if there is nothing to mend, or no one change for it.
    """

    verdict: Verdict
    sureness: Confidence | None
    evidence: str
    change: Change | None = None

    def __str__(self) -> str:
        name = _(self.verdict)
        if self.sureness is not None:
            name = _("{verdict} ({sureness})").format(verdict=name, sureness=_(self.sureness))
        return _("{verdict}: {evidence}").format(verdict=name, evidence=self.evidence)

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        return {
            "verdict": str(self.verdict),
            "sureness": str(self.sureness) if self.sureness else None,
            "evidence": self.evidence,
            "change": self.change.as_json() if self.change else None,
        }


def change_to_try(readings: Iterable[Reading]) -> Change | None:
    """The one change to try: that of the weightiest reading which has one."""
    return next((reading.change for reading in readings if reading.change is not None), None)


def without_longer(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Readings without the advice to train longer: it is not what a beaten model needs first."""
    return tuple(
        replace(reading, change=None)
        if reading.change is not None and reading.change.key in _LENGTHS
        else reading
        for reading in readings
    )


def other_rate(settings: TrainSettings, factor: float) -> Change:
    """The learning rate times a factor, to one digit, and not above what fine-tuning bears."""
    rate = min(settings.learning_rate * factor, _HIGHEST_RATE)
    digits = -math.floor(math.log10(rate))
    return Change("train.learning_rate", as_written(float(round(rate, digits))))


def longer(settings: TrainSettings) -> Change:
    """Twice as long."""
    if settings.max_steps is not None:
        return Change("train.max_steps", as_written(2 * settings.max_steps))
    return Change("train.epochs", as_written(float(2 * settings.epochs)))
