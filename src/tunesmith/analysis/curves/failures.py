"""What can be wrong with a run: a rule each, silent where chance would explain what it sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.curves.diagnosis import Change, Reading, Verdict, longer, other_rate
from tunesmith.analysis.curves.noise import Confidence, by_chance, error_between, error_of, sureness
from tunesmith.analysis.curves.series import Curves, Windows
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.recipe import TrainSettings, as_written

__all__ = ["FAILURE_RULES", "Rule", "diverged"]

Rule = Callable[[Curves, TrainSettings], Reading | None]

_SKIPPED_IN_A_ROW = 3
"""So many skipped updates in a row end a run."""
_LEARNT = 0.85
"""A loss below this share of guessing's counts as something learnt."""
_MATERIAL = 0.05
"""A rise of the validation loss below this share of its lowest value is nobody's worry."""
_SLOWEST, _FASTEST = 1e-5, 2e-4
"""Learning rates below and above are low and high for a pretrained transformer."""
_FEW_STEPS = 50
"""Fewer steps than these teach a new head little at any learning rate."""
_SWING = 3.5
"""Standard errors that make a swing."""
_SMALLEST = 0.25
"""Below this share of the first loss, a training loss hangs on a few rows: its error is not taken
for smaller."""


def diverged(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Numbers that are not finite ended it, or the loss ends far above where it began."""
    skipped = curves.skipped[-_SKIPPED_IN_A_ROW:]
    in_a_row = tuple(range(curves.last_step - _SKIPPED_IN_A_ROW + 1, curves.last_step + 1))
    if skipped == in_a_row and not curves.is_finished:
        words = _("the updates of steps {first} to {last} were not finite").format(
            first=skipped[0], last=skipped[-1]
        )
        return Reading(Verdict.DIVERGED, Confidence.SURE, words, other_rate(settings, 0.2))
    windows = curves.windows
    if len(windows) < 4:
        return None
    first = float(windows.losses[0])
    at_end, rows = _at_end(windows)
    ceiling = 1.5 * max(first, _untrained(curves))
    errors = (at_end - ceiling) / math.hypot(
        1.5 * error_of(first, windows.rows[0]), error_of(at_end, rows)
    )
    if (sure := sureness(by_chance(errors))) not in (Confidence.SURE, Confidence.LIKELY):
        return None
    words = _("the training loss began at {first:.3g} and ends at {last:.3g}, step {step}").format(
        first=first, last=at_end, step=windows.steps[-1]
    )
    return Reading(Verdict.DIVERGED, sure, words, other_rate(settings, 0.2))


def _untrained(curves: Curves) -> float:
    """The loss that a new head begins with; 0 where it is not known."""
    return (curves.answers.untrained or 0.0) if curves.answers is not None else 0.0


def _too_high(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Training made the model worse than it was at the start, or kept it worse than untrained."""
    windows = curves.windows
    if len(windows) < 4:
        return None
    rise, worse = _risen(windows, _untrained(curves)), _worse(curves, windows)
    readings = [reading for reading in (rise, worse) if reading is not None]
    if not readings:
        return None
    chance, words = min(readings)
    sure = sureness(chance)
    if sure is None:
        return None
    return Reading(Verdict.TOO_HIGH, sure, words, other_rate(settings, 0.2))


def _risen(windows: Windows, untrained: float) -> tuple[float, str] | None:
    """The greatest rise that went above the beginning: its chance, and words for it."""
    losses, rows = windows.losses, windows.rows
    lowest = np.minimum.accumulate(losses)[:-1]
    ceiling = 1.1 * max(float(losses[0]), untrained)
    errors = [
        min(high - low, high - ceiling) / math.hypot(error_of(low, before), error_of(high, now))
        for low, high, before, now in zip(lowest, losses[1:], rows[:-1], rows[1:], strict=True)
    ]
    place = int(np.argmax(errors))
    words = _(
        "the training loss rose from {low:.3g} to {high:.3g} at step {step}, above where it began "
        "({first:.3g})"
    ).format(low=lowest[place], high=losses[place + 1], step=windows.steps[place + 1],
             first=losses[0])  # fmt: skip
    return by_chance(errors[place], tries=len(errors)), words


def _worse(curves: Curves, windows: Windows) -> tuple[float, str] | None:
    """The mean of the first half above what an untrained head has: its chance, and words for it."""
    untrained = _untrained(curves)
    if not untrained:
        return None
    middle = windows.steps[-1] // 2
    loss, rows = windows.between(0, middle)
    words = _(
        "up to step {step} the training loss was {loss:.3g} on average; a head that knows nothing "
        "has {untrained:.3g}"
    ).format(step=middle, loss=loss, untrained=untrained)
    return by_chance((loss - 1.1 * untrained) / error_of(loss, rows)), words


def _unsteady(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Either of the two that show as ups and downs."""
    return _too_high(curves, settings) or _erratic(curves, settings)


def _erratic(curves: Curves, settings: TrainSettings) -> Reading | None:
    """The loss went up and came down again, twice at least, by more than chance explains."""
    windows = curves.windows
    found = None
    if len(windows) >= 4:
        least = _SMALLEST * float(windows.losses[0])
        errors = [
            error_of(max(loss, least), rows)
            for loss, rows in zip(windows.losses, windows.rows, strict=True)
        ]
        found = _swings(windows.losses, errors)
        steps, tries = windows.steps, len(windows)
        words = _("the training loss went up and down again {count} times, most at step {step}: "
                  "{low:.3g} to {high:.3g}")  # fmt: skip
    if (found is None or len(found) < 2) and len(curves.validation) >= 4:
        errors = [error_between(loss, curves.validation_rows) for loss in curves.validation]
        found = _swings(curves.validation, errors)
        steps, tries = curves.evaluated, len(curves.validation)
        words = _("the validation loss went up and down again {count} times, most at step {step}: "
                  "{low:.3g} to {high:.3g}")  # fmt: skip
    if found is None or len(found) < 2:
        return None
    found.sort(reverse=True)
    sure = sureness(by_chance(found[1][0], tries=tries))
    if sure is None:
        return None
    _size, low, high, place = found[0]
    shown = words.format(count=len(found), step=steps[place], low=low, high=high)
    change = (
        Change("train.max_grad_norm", as_written(1.0))
        if settings.max_grad_norm is None
        else other_rate(settings, 0.4)
    )
    return Reading(Verdict.ERRATIC, sure, shown, change)


def _swings(
    values: NDArray[np.float64], errors: Sequence[float]
) -> list[tuple[float, float, float, int]]:
    """The ups that came down again: size in standard errors, from, to, place of the top."""
    found = []
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
            found.append((float(size), float(values[low]), float(values[top]), top))
            low, top = i, None
    return found


def _nothing_learnt(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Either of the two that show as a model which only guesses."""
    return _collapsed(curves, settings) or _underfitting(curves, settings)


def _collapsed(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Every validation row got the same answer."""
    answers = curves.answers
    if answers is None or answers.rows < 2:
        return None
    if answers.majority is None:  # numbers: chance to vary so little where a third was explained
        ratio = max(answers.variety, 1e-9)
        chance = by_chance(math.log(0.3 / ratio) * math.sqrt(2 * answers.rows))
        words = _(
            "the answers to {rows} validation rows vary by {share:.1%} of what the labels vary"
        ).format(rows=answers.rows, share=answers.variety)
    elif answers.variety == 1:  # chance that right answers to so many rows are all the same
        chance = answers.majority**answers.rows
        words = _(
            'all {rows} validation rows are answered "{answer}"; the commonest label is on '
            "{share:.1%} of them"
        ).format(rows=answers.rows, answer=answers.answer, share=answers.majority)
    else:
        return None
    sure = sureness(chance)
    if sure is None:
        return None
    is_learning = _at_end(curves.windows)[0] < _LEARNT * _guessing(curves)
    change = None if is_learning else _other_pace(curves, settings)
    return Reading(Verdict.COLLAPSED, sure, words, change)


def _at_end(windows: Windows) -> tuple[float, float]:
    """Mean training loss and rows of the last quarter; (nan, 0) for none."""
    end = windows.steps[-1] if len(windows) else 0
    return windows.between(end * 3 / 4, end)


def _underfitting(curves: Curves, settings: TrainSettings) -> Reading | None:
    """Training and validation loss both end where guessing stands."""
    answers, windows = curves.answers, curves.windows
    if answers is None or not answers.guessing or len(windows) < 4:
        return None
    if not len(curves.validation):
        return None
    guessing, spread = answers.guessing, max(0.5, answers.guessing_spread)
    trained, rows = _at_end(windows)
    validated = float(curves.validation[-1])
    errors = min(
        (loss - _LEARNT * guessing) / (spread * guessing / math.sqrt(max(count, 1)))
        for loss, count in ((trained, rows), (validated, curves.validation_rows))
    )
    sure = sureness(by_chance(errors))
    if sure is None:
        return None
    words = _(
        "at the end, epoch {epochs:.3g}, the training loss is {train:.3g} and the validation loss "
        "{valid:.3g}; guessing by how often each label comes has {guess:.3g}"
    ).format(epochs=curves.epoch_at(curves.last_step), train=trained, valid=validated,
             guess=guessing)  # fmt: skip
    return Reading(Verdict.UNDERFITTING, sure, words, _other_pace(curves, settings))


def _other_pace(curves: Curves, settings: TrainSettings) -> Change:
    """What to try where nothing was learnt: free weights, train longer, slower or faster."""
    if "base" in settings.freeze:
        return Change("train.freeze", as_written([]))
    if _too_high(curves, settings) is not None:
        return other_rate(settings, 0.2)
    if settings.learning_rate < _SLOWEST:
        return other_rate(settings, 10.0)
    windows = curves.windows
    if len(windows) < 4 or curves.last_step < _FEW_STEPS:
        return longer(settings)
    began, _rows = windows.between(0, windows.steps[-1] / 4)
    ended, rows = _at_end(windows)
    fall = began - ended
    if ended - fall < _LEARNT * (_guessing(curves) or began):
        return longer(settings)
    is_falling = fall > 2 * error_of(ended, rows)
    return other_rate(settings, 0.2 if settings.learning_rate > _FASTEST and not is_falling else 5)


def _guessing(curves: Curves) -> float:
    """The loss of guessing by how often each label comes; 0 where it is not known."""
    return (curves.answers.guessing or 0.0) if curves.answers is not None else 0.0


def _overfitting(curves: Curves, settings: TrainSettings) -> Reading | None:
    """The validation loss rose from its lowest and stayed up, while the training loss fell on."""
    blocks, windows, losses = curves.blocks, curves.windows, curves.validation
    if len(blocks) < 2 or not _still_falling(curves, windows):
        return None
    low = int(np.argmin(blocks.losses))
    rise = float(blocks.losses[-1] - blocks.losses[low])
    errors = rise / blocks.error_between(low, -1)
    sure = sureness(by_chance(errors, tries=len(blocks)))
    if sure is None or rise < _MATERIAL * blocks.losses[low]:
        return None
    best = int(np.argmin(losses))
    after = len(losses) - 1 - best
    if after == 1:
        sure = Confidence.PERHAPS
    step = int(curves.evaluated[best])
    words = ngettext(
        "the validation loss is lowest at step {step} ({low:.3g}); {count} evaluation later it is "
        "{last:.3g}, while the training loss fell to {train:.3g}",
        "the validation loss is lowest at step {step} ({low:.3g}); {count} evaluations later it is "
        "{last:.3g}, while the training loss fell to {train:.3g}",
        after,
    ).format(step=step, low=float(losses[best]), count=after, last=float(losses[-1]),
             train=float(windows.losses[-1]))  # fmt: skip
    if not _answers_improve(curves, best):
        return Reading(Verdict.OVERFITTING, sure, words, _shorter(curves, settings, step))
    words += _("; yet {score} went on rising: only the probabilities grow too sure").format(
        score=curves.score
    )
    return Reading(Verdict.OVERFITTING, Confidence.PERHAPS, words)


def _answers_improve(curves: Curves, best: int) -> bool:
    """Whether a share of right answers rose after the lowest loss, by two standard errors or so."""
    scores = curves.scores
    if not curves.higher or not np.isfinite(scores).all() or np.abs(scores).max() > 1:
        return False
    return bool(scores[-1] - scores[best] > 1 / math.sqrt(max(curves.validation_rows, 1)))


def _still_falling(curves: Curves, windows: Windows) -> bool:
    """Whether the training loss is lower at the end than where validation was best."""
    if not len(windows):
        return False
    step, end = int(curves.evaluated[np.argmin(curves.validation)]), int(windows.steps[-1])
    stretch = max(np.diff(curves.evaluated).min(), np.diff(windows.steps, prepend=0).max())
    before, _rows = windows.between(step - stretch, step)
    at_end, _rows = windows.between(end - stretch, end)
    return at_end < before and at_end < float(curves.validation[-1])


def _shorter(curves: Curves, settings: TrainSettings, step: int) -> Change | None:
    """To end where validation was best; nothing if early stopping saw to it."""
    if curves.stopped_early:
        return None
    if settings.max_steps is not None:
        return Change("train.max_steps", as_written(step))
    epochs = math.ceil(curves.epoch_at(step) - 1e-9)
    if epochs < settings.epochs:
        return Change("train.epochs", as_written(epochs))
    return other_rate(settings, 0.4)


FAILURE_RULES: Sequence[Rule] = (_unsteady, _nothing_learnt, _overfitting)
