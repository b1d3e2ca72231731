"""From curves to assessments: what failed, or else what a run without failures has come to."""

from __future__ import annotations

import numpy as np

from tunesmith.analysis.curves.diagnosis import Assessment, Change, Diagnosis, train_longer
from tunesmith.analysis.curves.failures import FAILURE_RULES, diverged
from tunesmith.analysis.curves.noise import Confidence, change_error, confidence_of, p_value
from tunesmith.analysis.curves.series import Curves
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.recipe import TrainSettings, as_written

__all__ = ["assess", "converged", "healthy", "improving", "too_short"]

_LEVEL, _NOT_LEVEL = 0.05, 0.15
"""The last change of the loss over its whole fall: below the first it is level, above the second it
is not."""


def assess(curves: Curves, settings: TrainSettings) -> tuple[Assessment, ...]:
    """Return what curves show, at least one assessment, the most important first.

    What ended a run comes alone. Else everything that failed, the most certain first; and where
    nothing did, what the run has come to.
    """
    for rule in (diverged, too_short):
        if (alone := rule(curves, settings)) is not None:
            return (alone,)
    order = list(Confidence)
    groups = [
        [one for rule in group if (one := rule(curves, settings)) is not None]
        for group in FAILURE_RULES
    ]
    if failures := [group[0] for group in groups if group]:
        return tuple(
            sorted(failures, key=lambda one: order.index(one.confidence or Confidence.PERHAPS))
        )
    return (
        improving(curves, settings) or converged(curves, settings) or healthy(curves, settings),
    )


def too_short(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """Fewer than two evaluations, and too few training losses to show a trend."""
    if len(curves.evaluated) >= 2 or len(curves.windows) >= 4:
        return None
    evidence = _(
        "steps: {steps}, batch size: {rows}, evaluations: {count}; too few for a trend"
    ).format(steps=curves.last_step, rows=curves.batch_size, count=len(curves.evaluated))
    return Assessment(Diagnosis.TOO_SHORT, None, evidence, _see_more(curves, settings))


def _see_more(curves: Curves, settings: TrainSettings) -> Change | None:
    """Return how to get more of a curve from a run that finished."""
    if not curves.is_finished:
        return None
    if not curves.validation_rows:
        return Change("data.validation", "10%")
    if curves.total_steps >= 10:
        return Change("train.evaluate_every", as_written(f"{curves.total_steps // 5} steps"))
    return train_longer(settings)


def improving(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """The validation loss is lowest at the end, by more than chance."""
    blocks, losses = curves.blocks, curves.validation
    if len(blocks) < 2:
        return None
    low = int(np.argmin(blocks.losses[:-1]))
    fall = float(blocks.losses[low] - blocks.losses[-1])
    sure = confidence_of(p_value(fall / blocks.change_error(low, -1, settled=True)))
    if sure is None or fall < _LEVEL * (_beginning(curves) - blocks.losses[-1]):
        return None
    since = int(blocks.sizes[-1])
    evidence = ngettext(
        "the validation loss fell from {before:.3g} to {last:.3g} in the last evaluation, step "
        "{step}",
        "the validation loss fell from {before:.3g} to {last:.3g} in the last {count} evaluations, "
        "step {step}",
        since,
    ).format(before=losses[-1 - since], last=losses[-1], count=since,
             step=int(curves.evaluated[-1]))  # fmt: skip
    is_complete = curves.is_finished and not curves.stopped_early
    return Assessment(
        Diagnosis.IMPROVING, sure, evidence, train_longer(settings) if is_complete else None
    )


def converged(curves: Curves, _settings: TrainSettings) -> Assessment | None:
    """The validation loss is far below where training began, and stays level."""
    blocks, first = curves.blocks, _beginning(curves)
    if len(blocks) < 2:
        return None
    last = float(blocks.losses[-1])
    fall, change = first - last, abs(float(blocks.losses[-2]) - last)
    chance = max(
        p_value(fall / change_error(first, curves.validation_rows)),
        p_value((_NOT_LEVEL * fall - change) / blocks.change_error(-2, -1, settled=True)),
    )
    sure = confidence_of(chance)
    if sure is None or change > _LEVEL * fall:
        return None
    if len(blocks) == 2:
        sure = Confidence.PERHAPS
    since = int(np.argmax(curves.validation <= last + _LEVEL * fall))
    evidence = _(
        "the validation loss has stayed at about {last:.3g} since step {step}; training began at "
        "{first:.3g}"
    ).format(first=first, last=float(curves.validation[-1]), step=int(curves.evaluated[since]))
    return Assessment(Diagnosis.CONVERGED, sure, evidence)


def _beginning(curves: Curves) -> float:
    """The first loss that was logged."""
    losses = curves.windows.losses
    return float(losses[0] if len(losses) else curves.validation[0])


def healthy(curves: Curves, settings: TrainSettings) -> Assessment:
    """Nothing that chance does not explain."""
    if len(curves.validation):
        return Assessment(Diagnosis.HEALTHY, None, _course(curves))
    evidence = (
        _(
            "the training loss went from {first:.3g} to {last:.3g}; without evaluations during "
            "training that is all there is to see"
        )
        if curves.validation_rows
        else _(
            "the training loss went from {first:.3g} to {last:.3g}; without validation rows that "
            "is all there is to see"
        )
    )
    losses = curves.windows.losses
    evidence = evidence.format(first=losses[0], last=losses[-1])
    return Assessment(Diagnosis.HEALTHY, None, evidence, _see_more(curves, settings))


def _course(curves: Curves) -> str:
    """Return the first and last validation loss, and the lowest if that is in between."""
    losses = curves.validation
    lowest = int(np.argmin(losses))
    first, last, low = (f"{losses[index]:.3g}" for index in (0, -1, lowest))
    if first == last == low:
        return _("the validation loss stayed at {last}").format(last=last)
    evidence = _("the validation loss went from {first} to {last}").format(first=first, last=last)
    if low in (first, last):
        return evidence
    return evidence + _(", lowest at step {step} ({low})").format(
        step=int(curves.evaluated[lowest]), low=low
    )
