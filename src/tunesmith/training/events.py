"""Events: all that training has to say. Everything else consumes this one stream."""

from __future__ import annotations

from dataclasses import dataclass

from tunesmith.errors import Problem
from tunesmith.metrics.scores import Scores

__all__ = ["Evaluated", "Event", "Finished", "Saved", "StepDone", "Warned"]


@dataclass(frozen=True, slots=True)
class StepDone:
    """One optimizer step.

    Attributes:
        step: steps done, this one included.
        loss: the mean over all targets of the step, on all processes.
        learning_rate: with which it was made.
        grad_norm: the global L2 norm before clipping.
        examples: how many it saw, over all processes.
        tokens: real tokens it saw, padding not counted, on this process.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    examples: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Validation was scored.

    Attributes:
        step: steps done.
        split: which rows were scored.
        scores: the result.
        is_best: whether this is the best so far, by the score that chooses.
    """

    step: int
    split: str
    scores: Scores
    is_best: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint was committed.

    Attributes:
        step: steps done.
        folder: its name in the run folder.
        seconds: how long it took.
    """

    step: int
    folder: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know and that did not stop the run.

    Attributes:
        step: steps done.
        problem: what it is.
        rows: the source rows it is about, if any.
    """

    step: int
    problem: Problem
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """Training came to its end.

    Attributes:
        step: steps done.
        reason: "all steps done" or "early stopping".
        best_step: the step whose weights are kept.
        scores: the scores of these weights on validation, if there is one.
        test_scores: their scores on the labeled test rows, if there are any.
        train_seconds: time spent in steps, over all sessions of the run.
        samples_per_second: examples of these steps in that time.
    """

    step: int
    reason: str
    best_step: int
    scores: Scores | None
    test_scores: Scores | None
    train_seconds: float
    samples_per_second: float


Event = StepDone | Evaluated | Saved | Warned | Finished
