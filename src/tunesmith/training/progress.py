"""How far a run is, and which of its models is the best so far."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.metrics.scores import Scores
from tunesmith.training.early_stopping import ModelSelection
from tunesmith.training.engine import MAX_SKIPPED

__all__ = ["Progress"]


@dataclass
class Progress:
    """The state of a run other than weights and optimizer.

    Attributes:
        step: steps done, skipped ones included.
        skipped: updates skipped because their gradient was not finite.
        skipped_in_a_row: how many of the latest updates were skipped.
        evaluated_at: the step of the last evaluation, 0 for none.
        best_step: the step of the best one, 0 for none.
        best_value: its score.
        evaluations_since_best: evaluations after it.
        micro_batch_size: examples per forward pass where memory allowed fewer than planned.
    """

    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    evaluated_at: int = 0
    best_step: int = 0
    best_value: float | None = None
    evaluations_since_best: int = 0
    micro_batch_size: int | None = None

    def count(self, step: int, *, applied: bool) -> None:
        """Count a step as applied or skipped; `step` is where updates diverged, if they did."""
        self.skipped += not applied
        self.skipped_in_a_row = 0 if applied else self.skipped_in_a_row + 1
        if self.skipped_in_a_row >= MAX_SKIPPED:
            self.step = step

    def record(self, scores: Scores, selection: ModelSelection | None) -> bool:
        """Count an evaluation; return whether it is the best so far."""
        self.evaluated_at = self.step
        if selection is None:
            return False
        if scores.is_better(selection.score, self.best_value, higher=selection.higher):
            self.best_step, self.best_value = self.step, scores[selection.score]
            self.evaluations_since_best = 0
            return True
        self.evaluations_since_best += 1
        return False
