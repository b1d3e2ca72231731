"""What a run logged, as numbers over steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunesmith.analysis.curves.noise import change_error

__all__ = ["Blocks", "Curves", "PredictionStats", "Windows"]

_ROWS_PER_WINDOW = 64
"""Logged losses are averaged over so many rows, except the last: fewer are mostly noise."""
_MOST_BLOCKS = 5
"""The lowest of many evaluations is low by chance; the lowest of five blocks hardly is."""


@dataclass(frozen=True, slots=True)
class PredictionStats:
    """What the finished model predicts for the validation rows.

    Attributes:
        rows: how many.
        variety: how many different predictions there are; for numbers, their standard deviation
            over that of the labels.
        example: one of them, as text.
        majority: the fraction of the most common label; None for numbers.
        guessing: the loss of guessing by the frequencies of the labels; None where it is unknown.
        guessing_spread: the standard deviation of that loss over rows, over its mean.
        untrained: the loss of outputs that are all zero, with which training begins at worst; None
            where `guessing` is.
    """

    rows: int
    variety: float
    example: str
    majority: float | None
    guessing: float | None = None
    guessing_spread: float = 0.5
    untrained: float | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """Training losses, averaged over windows of steps.

    Attributes:
        steps: the last step of each, shape (n,).
        losses: the mean loss of each.
        rows: how many rows each saw.
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    rows: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.steps)

    def between(self, after: float, until: float) -> tuple[float, float]:
        """Return mean loss and rows of windows that end in (after, until]; (nan, 0) for none."""
        chosen = (self.steps > after) & (self.steps <= until)
        rows = float(self.rows[chosen].sum())
        return (float(self.losses[chosen] @ self.rows[chosen]) / rows if rows else np.nan), rows


@dataclass(frozen=True, slots=True)
class Blocks:
    """Validation losses, averaged over neighboring evaluations until there are few.

    Attributes:
        losses: the mean loss of each block, shape (b,).
        sizes: how many evaluations each joins.
        scatter: standard deviation of one evaluation from a smooth curve; 0 if there are too few
            to tell.
        rows: of the validation split.
    """

    losses: NDArray[np.float64]
    sizes: NDArray[np.int64]
    scatter: float
    rows: int

    def __len__(self) -> int:
        return len(self.losses)

    def change_error(self, one: int, other: int, *, settled: bool = False) -> float:
        """Return the standard error of the difference of two blocks."""
        loss = float(max(self.losses[one], self.losses[other]))
        parts = 1 / self.sizes[one] + 1 / self.sizes[other]
        return math.hypot(
            change_error(loss, self.rows, settled=settled), self.scatter * math.sqrt(parts)
        )


@dataclass(frozen=True)
class Curves:
    """What a run logged. Arrays of one kind have one length and go by step.

    Attributes:
        steps: the step of each logged line, shape (n,).
        losses: the mean training loss of the steps since the line before.
        grad_norms: the largest gradient norm of these, before clipping.
        learning_rates: of the line's step.
        evaluated: the step of each evaluation, shape (m,).
        validation: its loss.
        scores: its score that chooses the model; not a number where there is none.
        score: the name of that score; None if none chooses.
        higher: whether a higher one is better.
        skipped: steps whose update was skipped because a number was not finite.
        batch_size: rows per step.
        steps_per_epoch: steps of one pass over the rows.
        total_steps: steps of the whole plan.
        validation_rows: rows of the validation split, 0 for none.
        is_finished: whether training came to its end.
        predictions: what the finished model predicts; None if it is not known.
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    grad_norms: NDArray[np.float64]
    learning_rates: NDArray[np.float64]
    evaluated: NDArray[np.int64]
    validation: NDArray[np.float64]
    scores: NDArray[np.float64]
    score: str | None
    higher: bool
    skipped: tuple[int, ...]
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    validation_rows: int
    is_finished: bool
    predictions: PredictionStats | None = None

    @property
    def last_step(self) -> int:
        """The last step in any of the curves."""
        return int(max([0, *self.steps[-1:], *self.evaluated[-1:], *self.skipped[-1:]]))

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping ended the run."""
        return self.is_finished and self.last_step < self.total_steps

    def epoch_at(self, step: float) -> float:
        """Return the epochs done after `step` steps."""
        return step / max(1, self.steps_per_epoch)

    @property
    def guessing(self) -> float:
        """The loss of guessing by the frequencies of the labels; 0 if it is not known."""
        return (self.predictions.guessing or 0.0) if self.predictions is not None else 0.0

    @property
    def untrained(self) -> float:
        """The loss that a new head begins with; 0 if it is not known."""
        return (self.predictions.untrained or 0.0) if self.predictions is not None else 0.0

    @cached_property
    def windows(self) -> Windows:
        """The training losses, averaged until enough rows are behind each."""
        since = np.diff(self.steps, prepend=0)
        steps, losses, rows = [], [], []
        loss_sum = seen = 0.0
        for step, loss, count in zip(self.steps, self.losses, since * self.batch_size, strict=True):
            loss_sum, seen = loss_sum + loss * count, seen + count
            if seen >= _ROWS_PER_WINDOW or step == self.steps[-1]:
                steps.append(step)
                losses.append(loss_sum / seen)
                rows.append(seen)
                loss_sum = seen = 0.0
        return Windows(
            np.array(steps, np.int64), np.array(losses, np.float64), np.array(rows, np.float64)
        )

    @cached_property
    def blocks(self) -> Blocks:
        """The validation losses in at most five blocks; none without evaluations."""
        losses = self.validation
        parts = np.array_split(losses, min(_MOST_BLOCKS, max(1, len(losses))))
        parts = [part for part in parts if len(part)]
        # a straight line has no second differences; of independent errors they have six variances
        bends = np.diff(losses, n=2)
        return Blocks(
            np.array([part.mean() for part in parts], np.float64),
            np.array([len(part) for part in parts], np.int64),
            float(np.sqrt(np.mean(bends**2) / 6)) if len(bends) >= 4 else 0.0,
            self.validation_rows,
        )
