"""What a run that nothing is wrong with came to: too short, still improving, converged."""

from __future__ import annotations

import numpy as np

from tunesmith.analysis.curves.diagnosis import Change, Reading, Verdict, longer
from tunesmith.analysis.curves.noise import Confidence, by_chance, error_between, sureness
from tunesmith.analysis.curves.series import Curves
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.recipe import TrainSettings, as_written

__all__ = ["converged", "healthy", "improving", "too_short"]

_LEVEL, _NOT_LEVEL = 0.05, 0.15
"""A last change of the loss is level below the first share of its whole fall, and not level above
the second."""


def too_short(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Fewer than two evaluations, and too few training losses to see a course in."""
    if len(curves.evaluated) >= 2 or len(curves.windows) >= 4:
        return None
    words = _(
        "steps: {steps}, rows a step: {rows}, evaluations: {count}; no course shows yet"
    ).format(steps=curves.last_step, rows=curves.batch_size, count=len(curves.evaluated))
    return Reading(Verdict.TOO_SHORT, None, words, _closer(curves, settings))


def _closer(curves: Curves, settings: TrainSettings) -> Change | None:
    """How to see more of a run that came to its end."""
    if not curves.is_finished:
        return None
    if not curves.validation_rows:
        return Change("data.validation", "10%")
    if curves.total_steps >= 10:
        return Change("train.evaluate_every", as_written(f"{curves.total_steps // 5} steps"))
    return longer(settings)


def improving(curves: Curves, settings: TrainSettings) -> Reading | None:
    """The validation loss is lowest at the end, by more than chance."""
    blocks, losses = curves.blocks, curves.validation
    if len(blocks) < 2:
        return None
    low = int(np.argmin(blocks.losses[:-1]))
    fall = float(blocks.losses[low] - blocks.losses[-1])
    sure = sureness(by_chance(fall / blocks.error_between(low, -1, at_rest=True)))
    if sure is None or fall < _LEVEL * (_beginning(curves) - blocks.losses[-1]):
        return None
    since = int(blocks.sizes[-1])
    words = ngettext(
        "the validation loss fell from {before:.3g} to {last:.3g} in the last evaluation, step "
        "{step}",
        "the validation loss fell from {before:.3g} to {last:.3g} in the last {count} evaluations, "
        "step {step}",
        since,
    ).format(before=losses[-1 - since], last=losses[-1], count=since,
             step=int(curves.evaluated[-1]))  # fmt: skip
    is_complete = curves.is_finished and not curves.stopped_early
    return Reading(Verdict.IMPROVING, sure, words, longer(settings) if is_complete else None)


def converged(curves: Curves, _settings: TrainSettings) -> Reading | None:
    """The validation loss is far below where training began, and keeps its level."""
    blocks, first = curves.blocks, _beginning(curves)
    if len(blocks) < 2:
        return None
    last = float(blocks.losses[-1])
    fall, change = first - last, abs(float(blocks.losses[-2]) - last)
    chance = max(
        by_chance(fall / error_between(first, curves.validation_rows)),
        by_chance((_NOT_LEVEL * fall - change) / blocks.error_between(-2, -1, at_rest=True)),
    )
    sure = sureness(chance)
    if sure is None or change > _LEVEL * fall:
        return None
    if len(blocks) == 2:
        sure = Confidence.PERHAPS
    since = int(np.argmax(curves.validation <= last + _LEVEL * fall))
    words = _(
        "the validation loss has kept its level of {last:.3g} since step {step}; training began "
        "at {first:.3g}"
    ).format(first=first, last=float(curves.validation[-1]), step=int(curves.evaluated[since]))
    return Reading(Verdict.CONVERGED, sure, words)


def _beginning(curves: Curves) -> float:
    """The first loss that was logged."""
    losses = curves.windows.losses
    return float(losses[0] if len(losses) else curves.validation[0])


def healthy(curves: Curves, _settings: TrainSettings) -> Reading:
    """Nothing that chance would not explain."""
    if not len(curves.validation):
        windows = curves.windows
        words = _(
            "the training loss went from {first:.3g} to {last:.3g}; without validation rows no "
            "more can be said"
        ).format(first=windows.losses[0], last=windows.losses[-1])
        return Reading(Verdict.HEALTHY, None, words, Change("data.validation", "10%"))
    return Reading(Verdict.HEALTHY, None, _course(curves))


def _course(curves: Curves) -> str:
    """From where to where the validation loss went, and its lowest if that is in between."""
    losses = curves.validation
    lowest = int(np.argmin(losses))
    first, last, low = (f"{losses[place]:.3g}" for place in (0, -1, lowest))
    if first == last == low:
        return _("the validation loss stayed at {last}").format(last=last)
    words = _("the validation loss went from {first} to {last}").format(first=first, last=last)
    if low in (first, last):
        return words
    return words + _(", lowest at step {step} ({low})").format(
        step=int(curves.evaluated[lowest]), low=low
    )
