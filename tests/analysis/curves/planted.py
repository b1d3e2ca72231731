"""Curves with a known truth: courses of the true loss, seen through rows drawn by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunesmith.analysis.curves.series import Curves, PredictionStats

Course = Callable[[np.ndarray], np.ndarray]
"""The true loss at a fraction of the run, from 0 to 1."""


def planted(
    train: Course,
    validation: Course | None,
    *,
    seed: int = 0,
    epochs: int = 4,
    steps_per_epoch: int = 100,
    batch_size: int = 8,
    log_every: int = 10,
    evaluations: int = 8,
    validation_rows: int = 200,
    wobble: float = 0.0,
    predictions: PredictionStats | None = None,
    scores: np.ndarray | None = None,
) -> Curves:
    """A run whose losses are the true ones and what chance adds.

    A row's loss spreads by 1.2 times the mean. Validation rows are the same each time, so part of
    their chance is one offset for the whole curve; from one evaluation to the next a row moves by
    0.4 of the mean.

    Args:
        train: the true training loss.
        validation: the true validation loss; None for no such rows.
        seed: of chance.
        epochs: length of the run.
        steps_per_epoch: likewise.
        batch_size: rows per step.
        log_every: steps between two lines.
        evaluations: how many, spread evenly.
        validation_rows: on which these are made.
        wobble: how far the true validation loss is thrown about at each, as a fraction of it.
        answers: of the kept model.
        scores: of each evaluation, higher is better.
    """
    chance = np.random.default_rng(seed)
    total = epochs * steps_per_epoch
    steps = np.arange(log_every, total + 1, log_every)
    losses = train(steps / total)
    losses = losses * (1 + 1.2 / np.sqrt(log_every * batch_size) * chance.normal(size=len(steps)))
    evaluated = np.linspace(0, total, evaluations + 1)[1:].astype(int) if validation else steps[:0]
    seen = validation(evaluated / total) if validation else np.zeros(0)
    moved = 0.4 / np.sqrt(validation_rows) * chance.normal(size=len(seen))
    offset = 1.1 / np.sqrt(validation_rows) * chance.normal()
    seen = seen * (1 + offset + moved + wobble * chance.normal(size=len(seen)))
    return Curves(
        steps=steps,
        losses=np.maximum(losses, 1e-4),
        grad_norms=np.ones(len(steps)),
        learning_rates=5e-5 * (1 - steps / total),
        evaluated=evaluated,
        validation=np.maximum(seen, 1e-4),
        scores=np.full(len(seen), np.nan) if scores is None else scores,
        score=None if scores is None else "accuracy",
        higher=True,
        skipped=(),
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
        validation_rows=validation_rows if validation else 0,
        is_finished=True,
        predictions=predictions,
    )


def falling(start: float, end: float, speed: float) -> Course:
    """From one loss towards another, by exp(-speed) over the whole run."""
    return lambda share: end + (start - end) * np.exp(-speed * share)


def turning(start: float, low: float, end: float, at: float) -> Course:
    """Down to the lowest loss at a fraction of the run, then up in a straight line."""

    def course(share: np.ndarray) -> np.ndarray:
        down = low + (start - low) * np.maximum(0, 1 - share / at) ** 2
        return down + (end - low) * np.maximum(0, (share - at) / (1 - at))

    return course
