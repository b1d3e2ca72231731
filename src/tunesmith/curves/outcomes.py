"""What a run that nothing is wrong with came to: too short, still improving, converged."""

from __future__ import annotations

import numpy as np

from tunesmith.curves.measured import Curves
from tunesmith.curves.noise import Sureness, by_chance, error_between, sureness
from tunesmith.curves.reading import Change, Reading, Verdict, longer
from tunesmith.language import gettext as _
from tunesmith.language import ngettext
from tunesmith.recipe import TrainSettings, as_written

__all__ = ["converged", "healthy", "improving", "too_short"]

_FLAT = 0.1
"""A last change below this share of the whole fall is level."""


def too_short(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Fewer than two evaluations, and too few training losses to see a course in."""
    if len(curves.evaluated) >= 2 or len(curves.windows()) >= 4:
        return None
    words = _("{steps} steps of {rows} rows and {count} evaluations show no course").format(
        steps=curves.last_step, rows=curves.batch_size, count=len(curves.evaluated)
    )
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
    """The last evaluation is the best one, by more than chance."""
    losses = curves.validation
    if len(losses) < 2 or not losses[-1] < losses[:-1].min():
        return None
    before, last = float(losses[:-1].min()), float(losses[-1])
    errors = (before - last) / error_between(before, curves.validation_rows)
    sure = sureness(by_chance(errors))
    if sure is None or before - last < _FLAT * (float(losses.max()) - last):
        return None
    words = ngettext(
        "the validation loss fell from {before:.3g} to {last:.3g} in the last of {count} "
        "evaluation, step {step}",
        "the validation loss fell from {before:.3g} to {last:.3g} in the last of {count} "
        "evaluations, step {step}",
        len(losses),
    ).format(before=before, last=last, count=len(losses), step=int(curves.evaluated[-1]))
    is_complete = curves.is_finished and not curves.stopped_early
    return Reading(Verdict.IMPROVING, sure, words, longer(settings) if is_complete else None)


def converged(curves: Curves, _settings: TrainSettings) -> Reading | None:
    """The validation loss fell, by more than chance, and then kept its level."""
    losses = curves.validation
    if len(losses) < 3:
        return None
    first, before, last = float(losses[0]), float(losses[-2]), float(losses[-1])
    errors = (first - last) / error_between(first, curves.validation_rows)
    sure = sureness(by_chance(errors))
    if sure is None or abs(before - last) > _FLAT * (first - last):
        return None
    level = int(np.argmax(losses <= last + _FLAT * (first - last)))
    words = _(
        "the validation loss fell from {first:.3g} to {last:.3g} and has kept its level since "
        "step {step}"
    ).format(first=first, last=last, step=int(curves.evaluated[level]))
    if level == len(losses) - 2:  # two evaluations are no level yet
        sure = Sureness.PERHAPS
    return Reading(Verdict.CONVERGED, sure, words)


def healthy(curves: Curves, _settings: TrainSettings) -> Reading:
    """Nothing that chance would not explain."""
    if not len(curves.validation):
        windows = curves.windows()
        words = _(
            "the training loss went from {first:.3g} to {last:.3g}; without validation rows no "
            "more can be said"
        ).format(first=windows.losses[0], last=windows.losses[-1])
        return Reading(Verdict.HEALTHY, None, words, Change("data.validation", "10%"))
    words = _(
        "the validation loss went from {first:.3g} to {last:.3g}, {low:.3g} at its lowest (step "
        "{step})"
    ).format(
        first=curves.validation[0],
        last=curves.validation[-1],
        low=curves.validation.min(),
        step=int(curves.evaluated[int(np.argmin(curves.validation))]),
    )
    return Reading(Verdict.HEALTHY, None, words)
