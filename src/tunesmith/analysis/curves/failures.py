"""What can fail in a run: one rule for each failure, silent where chance explains its evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.curves.diagnosis import (
    Assessment,
    Change,
    Diagnosis,
    scale_learning_rate,
    train_longer,
)
from tunesmith.analysis.curves.noise import (
    Confidence,
    change_error,
    confidence_of,
    p_value,
    standard_error,
)
from tunesmith.analysis.curves.series import Curves, Windows
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.recipe import TrainSettings, as_written

__all__ = ["FAILURE_RULES", "Rule", "diverged"]

Rule = Callable[[Curves, TrainSettings], Assessment | None]

_SKIPPED_IN_A_ROW = 3
"""Skipped updates in a row that end a run."""
_LEARNED = 0.85
"""A loss below this fraction of the loss of guessing shows that something was learned."""
_MATERIAL = 0.05
"""A rise of the validation loss by less than this fraction of its lowest value does not matter."""
_SLOWEST, _FASTEST = 1e-5, 2e-4
"""Learning rates below and above these are low and high for a pretrained transformer."""
_FEW_STEPS = 50
"""In fewer steps a new head learns little at any learning rate."""
_SWING = 3.5
"""Standard errors that make a swing."""
_SMALLEST = 0.25
"""Below this fraction of the first loss, a training loss depends on a few rows: its error is taken
to be no smaller than there."""


def diverged(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """Updates that are not finite ended the run, or the loss ends far above where it began."""
    skipped = curves.skipped[-_SKIPPED_IN_A_ROW:]
    in_a_row = tuple(range(curves.last_step - _SKIPPED_IN_A_ROW + 1, curves.last_step + 1))
    if skipped == in_a_row and not curves.is_finished:
        evidence = _("the updates of steps {first} to {last} were not finite").format(
            first=skipped[0], last=skipped[-1]
        )
        return Assessment(
            Diagnosis.DIVERGED, Confidence.SURE, evidence, scale_learning_rate(settings, 0.2)
        )
    windows = curves.windows
    if len(windows) < 4:
        return None
    first = float(windows.losses[0])
    at_end, rows = _at_end(windows)
    ceiling = 1.5 * max(first, curves.untrained)
    errors = (at_end - ceiling) / math.hypot(
        1.5 * standard_error(first, windows.rows[0]), standard_error(at_end, rows)
    )
    if (confidence := confidence_of(p_value(errors))) not in (Confidence.SURE, Confidence.LIKELY):
        return None
    evidence = _(
        "the training loss began at {first:.3g} and ends at {last:.3g}, step {step}"
    ).format(first=first, last=at_end, step=windows.steps[-1])
    return Assessment(Diagnosis.DIVERGED, confidence, evidence, scale_learning_rate(settings, 0.2))


def _too_high(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """Training made the model worse than it was at the start, or kept it worse than untrained."""
    windows = curves.windows
    if len(windows) < 4:
        return None
    rise, worse = _rise(windows, curves.untrained), _worse(curves, windows)
    probability, evidence = min(one for one in (rise, worse) if one is not None)
    confidence = confidence_of(probability)
    if confidence is None:
        return None
    return Assessment(Diagnosis.TOO_HIGH, confidence, evidence, scale_learning_rate(settings, 0.2))


def _rise(windows: Windows, untrained: float) -> tuple[float, str]:
    """Return the p-value of the greatest rise above the first loss, and the evidence for it."""
    losses, rows = windows.losses, windows.rows
    lowest = np.minimum.accumulate(losses)[:-1]
    ceiling = 1.1 * max(float(losses[0]), untrained)
    errors = [
        min(high - low, high - ceiling)
        / math.hypot(standard_error(low, before), standard_error(high, now))
        for low, high, before, now in zip(lowest, losses[1:], rows[:-1], rows[1:], strict=True)
    ]
    index = int(np.argmax(errors))
    evidence = _(
        "the training loss rose from {low:.3g} to {high:.3g} at step {step}, above where it began "
        "({first:.3g})"
    ).format(low=lowest[index], high=losses[index + 1], step=windows.steps[index + 1],
             first=losses[0])  # fmt: skip
    return p_value(errors[index], tries=len(errors)), evidence


def _worse(curves: Curves, windows: Windows) -> tuple[float, str] | None:
    """Return the same of a mean of the first half above the loss of an untrained head."""
    untrained = curves.untrained
    if not untrained:
        return None
    middle = windows.steps[-1] // 2
    loss, rows = windows.between(0, middle)
    evidence = _(
        "up to step {step} the training loss was {loss:.3g} on average; an untrained "
        "head has {untrained:.3g}"
    ).format(step=middle, loss=loss, untrained=untrained)
    return p_value((loss - 1.1 * untrained) / standard_error(loss, rows)), evidence


def _erratic(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """The loss went up and down again, at least twice, by more than chance explains."""
    windows = curves.windows
    swings = None
    if len(windows) >= 4:
        least = _SMALLEST * float(windows.losses[0])
        errors = [
            standard_error(max(loss, least), rows)
            for loss, rows in zip(windows.losses, windows.rows, strict=True)
        ]
        swings = _swings(windows.losses, errors)
        steps, tries = windows.steps, len(windows)
        evidence = _(
            "the training loss went up and down again {count} times, most at step {step}: "
            "{low:.3g} to {high:.3g}"
        )
    if (swings is None or len(swings) < 2) and len(curves.validation) >= 4:
        errors = [change_error(loss, curves.validation_rows) for loss in curves.validation]
        swings = _swings(curves.validation, errors)
        steps, tries = curves.evaluated, len(curves.validation)
        evidence = _(
            "the validation loss went up and down again {count} times, most at step {step}: "
            "{low:.3g} to {high:.3g}"
        )
    if swings is None or len(swings) < 2:
        return None
    swings.sort(reverse=True)
    confidence = confidence_of(p_value(swings[1][0], tries=tries))
    if confidence is None:
        return None
    _size, low, high, index = swings[0]
    shown = evidence.format(count=len(swings), step=steps[index], low=low, high=high)
    change = (
        Change("train.max_grad_norm", as_written(1.0))
        if settings.max_grad_norm is None
        else scale_learning_rate(settings, 0.4)
    )
    return Assessment(Diagnosis.ERRATIC, confidence, shown, change)


def _swings(
    values: NDArray[np.float64], errors: Sequence[float]
) -> list[tuple[float, float, float, int]]:
    """Return rises that fell again: size in standard errors, lowest, highest, index of that."""
    swings = []
    low, top = 0, None
    for i in range(1, len(values)):
        if top is None:
            if values[i] < values[low]:
                low = i
            elif values[i] - values[low] > _SWING * math.hypot(errors[i], errors[low]):
                top = i
        elif values[i] > values[top]:
            top = i
        elif values[top] - values[i] > _SWING * math.hypot(errors[i], errors[top]):
            size = (values[top] - values[low]) / math.hypot(errors[top], errors[low])
            swings.append((float(size), float(values[low]), float(values[top]), top))
            low, top = i, None
    return swings


def _collapsed(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """Every validation row got the same prediction."""
    predictions = curves.predictions
    if predictions is None or predictions.rows < 2:
        return None
    if predictions.majority is None:  # numbers: to vary so little if a third were explained
        ratio = max(predictions.variety, 1e-9)
        probability = p_value(math.log(0.3 / ratio) * math.sqrt(2 * predictions.rows))
        evidence = _(
            "the predictions for {rows} validation rows vary by {share:.1%} of what the labels vary"
        ).format(rows=predictions.rows, share=predictions.variety)
    elif predictions.variety == 1:  # that right predictions for so many rows are all the same
        probability = predictions.majority**predictions.rows
        evidence = _(
            'the prediction for all {rows} validation rows is "{example}"; the most common label '
            "is that of {share:.1%} of them"
        ).format(rows=predictions.rows, example=predictions.example, share=predictions.majority)
    else:
        return None
    confidence = confidence_of(probability)
    if confidence is None:
        return None
    is_learning = _at_end(curves.windows)[0] < _LEARNED * curves.guessing
    change = None if is_learning else _other_pace(curves, settings)
    return Assessment(Diagnosis.COLLAPSED, confidence, evidence, change)


def _at_end(windows: Windows) -> tuple[float, float]:
    """Return mean training loss and rows of the last quarter; (nan, 0) for none."""
    end = windows.steps[-1] if len(windows) else 0
    return windows.between(end * 3 / 4, end)


def _underfitting(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """Training and validation loss both end at the loss of guessing."""
    predictions, windows = curves.predictions, curves.windows
    if predictions is None or not predictions.guessing or len(windows) < 4:
        return None
    if not len(curves.validation):
        return None
    guessing, spread = predictions.guessing, max(0.5, predictions.guessing_spread)
    trained, rows = _at_end(windows)
    validated = float(curves.validation[-1])
    errors = min(
        (loss - _LEARNED * guessing) / (spread * guessing / math.sqrt(max(count, 1)))
        for loss, count in ((trained, rows), (validated, curves.validation_rows))
    )
    confidence = confidence_of(p_value(errors))
    if confidence is None:
        return None
    evidence = _(
        "at the end, epoch {epochs:.3g}, the training loss is {train:.3g} and the validation loss "
        "{valid:.3g}; guessing by the frequencies of the labels has {guess:.3g}"
    ).format(epochs=curves.epoch_at(curves.last_step), train=trained, valid=validated,
             guess=guessing)  # fmt: skip
    return Assessment(Diagnosis.UNDERFITTING, confidence, evidence, _other_pace(curves, settings))


def _other_pace(curves: Curves, settings: TrainSettings) -> Change:
    """Return what to try if nothing was learned: train more weights, longer, slower or faster."""
    if "base" in settings.freeze:
        return Change("train.freeze", as_written([]))
    if _too_high(curves, settings) is not None:
        return scale_learning_rate(settings, 0.2)
    if settings.learning_rate < _SLOWEST:
        return scale_learning_rate(settings, 10.0)
    windows = curves.windows
    if len(windows) < 4 or curves.last_step < _FEW_STEPS:
        return train_longer(settings)
    began, _rows = windows.between(0, windows.steps[-1] / 4)
    ended, rows = _at_end(windows)
    fall = began - ended
    if ended - fall < _LEARNED * (curves.guessing or began):
        return train_longer(settings)
    is_falling = fall > 2 * standard_error(ended, rows)
    return scale_learning_rate(
        settings, 0.2 if settings.learning_rate > _FASTEST and not is_falling else 5
    )


def _overfitting(curves: Curves, settings: TrainSettings) -> Assessment | None:
    """The validation loss rose from its lowest and stayed up, the training loss kept falling."""
    blocks, windows, losses = curves.blocks, curves.windows, curves.validation
    if len(blocks) < 2 or not _still_falling(curves, windows):
        return None
    low = int(np.argmin(blocks.losses))
    rise = float(blocks.losses[-1] - blocks.losses[low])
    errors = rise / blocks.change_error(low, -1)
    confidence = confidence_of(p_value(errors, tries=len(blocks)))
    if confidence is None or rise < _MATERIAL * blocks.losses[low]:
        return None
    best = int(np.argmin(losses))
    after = len(losses) - 1 - best
    if after == 1:
        confidence = Confidence.PERHAPS
    step = int(curves.evaluated[best])
    evidence = ngettext(
        "the validation loss is lowest at step {step} ({low:.3g}); {count} evaluation later it is "
        "{last:.3g}, while the training loss fell to {train:.3g}",
        "the validation loss is lowest at step {step} ({low:.3g}); {count} evaluations later it is "
        "{last:.3g}, while the training loss fell to {train:.3g}",
        after,
    ).format(step=step, low=float(losses[best]), count=after, last=float(losses[-1]),
             train=float(windows.losses[-1]))  # fmt: skip
    if not _predictions_improve(curves, best):
        return Assessment(
            Diagnosis.OVERFITTING, confidence, evidence, _shorter(curves, settings, step)
        )
    evidence += _("; yet {score} kept rising: only the probabilities become overconfident").format(
        score=curves.score
    )
    return Assessment(Diagnosis.OVERFITTING, Confidence.PERHAPS, evidence)


def _predictions_improve(curves: Curves, best: int) -> bool:
    """Return whether a score up to 1 rose after the lowest loss, by about two standard errors."""
    scores = curves.scores
    if not curves.higher or not np.isfinite(scores).all() or np.abs(scores).max() > 1:
        return False
    return bool(scores[-1] - scores[best] > 1 / math.sqrt(max(curves.validation_rows, 1)))


def _still_falling(curves: Curves, windows: Windows) -> bool:
    """Return whether the training loss is lower at the end than where validation was best."""
    if not len(windows):
        return False
    step, end = int(curves.evaluated[np.argmin(curves.validation)]), int(windows.steps[-1])
    span = max(np.diff(curves.evaluated).min(), np.diff(windows.steps, prepend=0).max())
    before, _rows = windows.between(step - span, step)
    at_end, _rows = windows.between(end - span, end)
    return at_end < before and at_end < float(curves.validation[-1])


def _shorter(curves: Curves, settings: TrainSettings, step: int) -> Change | None:
    """Return the length up to the best validation loss; None if early stopping ended the run."""
    if curves.stopped_early:
        return None
    if settings.max_steps is not None:
        return Change("train.max_steps", as_written(step))
    epochs = math.ceil(curves.epoch_at(step) - 1e-9)
    if epochs < settings.epochs:
        return Change("train.epochs", as_written(epochs))
    return scale_learning_rate(settings, 0.4)


FAILURE_RULES: Sequence[Sequence[Rule]] = (
    (_too_high, _erratic),
    (_collapsed, _underfitting),
    (_overfitting,),
)
"""Of each group only the first that applies is reported: the others show the same."""
