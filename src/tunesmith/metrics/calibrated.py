"""A calibration in use: from the logits of a model to probabilities and decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.baselines import Kind
from tunesmith.metrics.temperature import Floats, probabilities
from tunesmith.metrics.thresholds import Rule

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """How the logits of a model become probabilities and decisions.

    Attributes:
        kind: of its predictions, "classes" or "labels".
        temperature: what logits are divided by.
        rule: how thresholds decide; None for the likeliest class, or labels of at least one half.
        thresholds: the least probability of each class or label, in their order; None for one that
            is never given. Empty without a rule.
        goal: what they were chosen for, as it was asked.
    """

    kind: Kind
    temperature: float = 1.0
    rule: Rule | None = None
    thresholds: Mapping[str, float | None] | None = None
    goal: str | None = None

    def scaled(self, logits: NDArray[Any]) -> Floats:
        """Calibrated logits, shape (n, C): their probabilities are those to be shown."""
        return logits.astype(np.float64) / self.temperature

    def decide(self, logits: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """The decisions, as logits of 1 and -1 of shape (n, C), and which rows are answered.

        A task that takes the highest logit, or those of at least 0, gives these decisions.
        """
        shares = probabilities(self.kind, self.scaled(logits))
        answered = np.ones(len(shares), dtype=bool)
        least = np.array(
            [math.inf if value is None else value for value in (self.thresholds or {}).values()]
        )
        if self.kind == "labels":
            chosen = shares >= (least if self.rule else 0.5)
        else:
            best = (shares - least if self.rule == "positive" else shares).argmax(axis=-1)
            chosen = np.arange(shares.shape[1]) == best[:, np.newaxis]
            if self.rule == "unsure":
                answered = shares[np.arange(len(shares)), best] >= least[best]
        return np.where(chosen, 1.0, -1.0), answered

    def with_threshold(self, threshold: float, labels: Sequence[str]) -> Calibration:
        """The same with one threshold for all: classes below it are not answered."""
        rule: Rule = "each" if self.kind == "labels" else "unsure"
        return replace(self, rule=rule, thresholds=dict.fromkeys(labels, threshold), goal=None)

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        thresholds = None if self.thresholds is None else dict(self.thresholds)
        return {
            "kind": self.kind,
            "temperature": self.temperature,
            "goal": self.goal,
            "rule": self.rule,
            "thresholds": thresholds,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The calibration that `as_json` described; other keys are not looked at."""
        return cls(
            facts["kind"], facts["temperature"], facts["rule"], facts["thresholds"], facts["goal"]
        )
