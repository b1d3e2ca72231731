"""How much of a curve is chance, and what may be said in spite of it.

A loss is a mean over rows, so it is off by about the spread of a row's loss over the root of their
number. Every rule asks how probable its evidence would be if nothing but this were at work.
"""

from __future__ import annotations

import math
from enum import StrEnum

from tunesmith.i18n import gettext_noop as N_

__all__ = ["Confidence", "by_chance", "error_between", "error_of", "sureness"]

_SPREAD = 1.5
"""Standard deviation of a row's loss over its mean. Measured while fine-tuning: 0.03 where nothing
is learnt yet, 1 to 2 once most rows are easy."""

_BETWEEN, _WOBBLE = 1.0, 0.05
"""The same for the change of a row's loss from one evaluation to the next, over the larger mean;
less, because the rows are the same. And how far training itself throws the mean about, however many
rows there are. Measured: 0.6 to 1.0 where a run overfits or is thrown about."""

_BETWEEN_AT_REST, _WOBBLE_AT_REST = 0.4, 0.02
"""Both where a run settles. Measured: 0.2 to 0.4."""


_TINY = 1e-9
"""A loss below this counts as this, so that nothing is divided by zero."""


class Confidence(StrEnum):
    """How sure a reading is."""

    SURE = N_("sure")
    LIKELY = N_("likely")
    PERHAPS = N_("perhaps")


def sureness(chance: float) -> Confidence | None:
    """The word for evidence that chance alone would give so often; None for no evidence."""
    if chance < 0.001:
        return Confidence.SURE
    if chance < 0.01:
        return Confidence.LIKELY
    return Confidence.PERHAPS if chance < 0.05 else None


def by_chance(errors: float, *, tries: int = 1) -> float:
    """How often chance gives so many standard errors or more in one of `tries` places.

    The upper tail of a normal distribution, times the places looked at (Bonferroni's bound).
    """
    return min(1.0, tries * 0.5 * math.erfc(errors / math.sqrt(2)))


def error_of(loss: float, rows: float) -> float:
    """The standard error of a mean loss over so many rows, above zero."""
    return max(loss, _TINY) * _SPREAD / math.sqrt(max(rows, 1.0))


def error_between(loss: float, rows: float, *, at_rest: bool = False) -> float:
    """The standard error of the change of a mean loss over the same rows, above zero.

    Args:
        loss: the larger of the two.
        rows: how many.
        at_rest: as it is where a run settles; what accuses a run does not assume that.
    """
    between, wobble = (_BETWEEN_AT_REST, _WOBBLE_AT_REST) if at_rest else (_BETWEEN, _WOBBLE)
    return max(loss, _TINY) * math.hypot(between / math.sqrt(max(rows, 1.0)), wobble)
