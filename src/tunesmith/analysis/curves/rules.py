"""The rules in their order: from curves to readings, the weightiest first."""

from __future__ import annotations

from tunesmith.analysis.curves.diagnosis import Reading
from tunesmith.analysis.curves.failures import FAILURE_RULES, diverged
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.analysis.curves.outcomes import converged, healthy, improving, too_short
from tunesmith.analysis.curves.series import Curves
from tunesmith.recipe import TrainSettings

__all__ = ["read"]


def read(curves: Curves, settings: TrainSettings) -> tuple[Reading, ...]:
    """What curves show, at least one reading, the weightiest first.

    What ended a run comes alone. Else everything that is wrong, the surest first; and where nothing
    is, what the run came to.
    """
    for rule in (diverged, too_short):
        if (alone := rule(curves, settings)) is not None:
            return (alone,)
    order = list(Confidence)
    found = [reading for rule in FAILURE_RULES if (reading := rule(curves, settings)) is not None]
    if found:
        return tuple(sorted(found, key=lambda r: order.index(r.sureness or Confidence.PERHAPS)))
    return (
        improving(curves, settings) or converged(curves, settings) or healthy(curves, settings),
    )
