"""How much of a curve is chance, and what may be said in spite of it.

A loss is a mean over rows, so it is off by about the spread of a row's loss over the root of their
number. Every rule asks how probable its evidence would be if nothing but this were at work.
"""

from __future__ import annotations

import math
from enum import StrEnum

from tunesmith.language import mark

__all__ = ["Sureness", "by_chance", "error_between", "error_of", "sureness"]

_SPREAD = 1.5
"""Standard deviation of a row's loss over its mean. Measured while fine-tuning: 0.03 where nothing
is learnt yet, 1 to 2 once most rows are easy."""

_SPREAD_BETWEEN = 1.0
"""The same for the change of a row's loss from one evaluation to the next, over the larger mean;
less, because the rows are the same. Measured: 0.2 to 0.4 where a run settles, 0.6 to 1.0 where it
overfits or is thrown about."""


class Sureness(StrEnum):
    """How sure a reading is."""

    SURE = mark("sure")
    LIKELY = mark("likely")
    PERHAPS = mark("perhaps")


def sureness(chance: float) -> Sureness | None:
    """The word for evidence that chance alone would give so often; None for no evidence."""
    if chance < 0.001:
        return Sureness.SURE
    if chance < 0.01:
        return Sureness.LIKELY
    return Sureness.PERHAPS if chance < 0.05 else None


def by_chance(errors: float, *, tries: int = 1) -> float:
    """How often chance gives so many standard errors or more in one of `tries` places.

    The upper tail of a normal distribution, times the places looked at (Bonferroni's bound).
    """
    return min(1.0, tries * 0.5 * math.erfc(errors / math.sqrt(2)))


def error_of(loss: float, rows: float) -> float:
    """The standard error of a mean loss over so many rows."""
    return _SPREAD * loss / math.sqrt(max(rows, 1.0))


def error_between(loss: float, rows: float) -> float:
    """The standard error of the change of a mean loss over the same rows; `loss` is the larger."""
    return _SPREAD_BETWEEN * loss / math.sqrt(max(rows, 1.0))
