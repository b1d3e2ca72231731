"""How much of a curve is chance.

A loss is a mean over rows, so its error is about the spread of a row's loss over the root of their
number. Every rule asks how probable its evidence would be if nothing but this error were at work.
"""

from __future__ import annotations

import math
from enum import StrEnum

from tunesmith.i18n import gettext_noop as N_

__all__ = ["Confidence", "change_error", "confidence_of", "p_value", "standard_error"]

_SPREAD = 1.5
"""Standard deviation of a row's loss over its mean. Measured in fine-tuning runs: 0.03 where
nothing is learned yet, 1 to 2 once most rows are easy."""

_CHANGE, _WOBBLE = 1.0, 0.05
"""Between two evaluations of the same rows: the standard deviation of the change of a row's loss
over the larger mean, and how far training moves the mean, whatever the number of rows. Measured
where a run overfits or is erratic: 0.6 to 1.0."""

_CHANGE_SETTLED, _WOBBLE_SETTLED = 0.4, 0.02
"""Both where a run has settled. Measured: 0.2 to 0.4."""

_TINY = 1e-9
"""The least loss of a division."""


class Confidence(StrEnum):
    """How certain an assessment is."""

    SURE = N_("sure")
    LIKELY = N_("likely")
    PERHAPS = N_("perhaps")


def confidence_of(probability: float) -> Confidence | None:
    """Return the confidence in what chance gives with a probability; None for too little."""
    if probability < 0.001:
        return Confidence.SURE
    if probability < 0.01:
        return Confidence.LIKELY
    return Confidence.PERHAPS if probability < 0.05 else None


def p_value(errors: float, *, tries: int = 1) -> float:
    """Return how probable so many standard errors or more are in one of `tries` comparisons.

    The upper tail of a normal distribution, times the comparisons (Bonferroni's bound).
    """
    return min(1.0, tries * 0.5 * math.erfc(errors / math.sqrt(2)))


def standard_error(loss: float, rows: float) -> float:
    """Return the standard error of a mean loss over so many rows, above zero."""
    return max(loss, _TINY) * _SPREAD / math.sqrt(max(rows, 1.0))


def change_error(loss: float, rows: float, *, settled: bool = False) -> float:
    """Return the standard error of the change of a mean loss over the same rows, above zero.

    Args:
        loss: the larger of the two.
        rows: how many.
        settled: whether to assume that the run has settled. Rules for failures do not.
    """
    change, wobble = (_CHANGE_SETTLED, _WOBBLE_SETTLED) if settled else (_CHANGE, _WOBBLE)
    return max(loss, _TINY) * math.hypot(change / math.sqrt(max(rows, 1.0)), wobble)
