"""The training loop: batches in, events out.

It does not print, save or draw; it knows no file, tokenizer, task or recipe. What depends only on
the step comes from the plan. It owns the normalisation: a task gives the summed loss and the number
of targets, the loop divides by the targets of the whole step over all micro-batches and processes,
so that the cut into these changes nothing but rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tunesmith.data.batches import Batch
from tunesmith.errors import IntegrityError, Problem, ResourceError, Severity
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.training.engine import MAX_SKIPPED, Engine
from tunesmith.training.events import Evaluated, Event, StepDone, Warned
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory
from tunesmith.training.plan import Plan

__all__ = [
    "MAX_SKIPPED",
    "MicroBatch",
    "ModelSelection",
    "Progress",
    "halve_micro_batches",
    "train",
    "try_accumulate",
]

MicroBatch = tuple[int, Batch]
"""The number of a micro-batch in its step, over all processes, and its tensors."""


@dataclass(frozen=True, slots=True)
class ModelSelection:
    """How the best model is chosen.

    Attributes:
        score: the score's name.
        higher: whether higher is better.
        patience: evaluations without a better score after which to stop; None for never.
    """

    score: str
    higher: bool
    patience: int | None = None


@dataclass
class Progress:
    """All that a run knows of itself besides weights and optimizer state.

    Attributes:
        step: steps done, skipped ones included.
        skipped: updates left out because their gradient was not finite.
        skipped_in_a_row: how many of these just now.
        evaluated_at: the step of the last evaluation, 0 for none.
        best_step: the step of the best one, 0 for none.
        best_value: its score.
        evaluations_since_best: how many came after it.
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

    def count(self, *, applied: bool) -> None:
        """Count a step as applied or skipped."""
        self.skipped += not applied
        self.skipped_in_a_row = 0 if applied else self.skipped_in_a_row + 1

    def record(self, scores: Scores, choice: ModelSelection | None) -> bool:
        """Count an evaluation; returns whether it is the best so far."""
        self.evaluated_at = self.step
        if choice is None:
            return False
        if scores.is_better(choice.score, self.best_value, higher=choice.higher):
            self.best_step, self.best_value = self.step, scores[choice.score]
            self.evaluations_since_best = 0
            return True
        self.evaluations_since_best += 1
        return False

    def is_exhausted(self, choice: ModelSelection | None) -> bool:
        """Whether early stopping says that it is enough."""
        return (
            choice is not None
            and choice.patience is not None
            and self.evaluations_since_best >= choice.patience
        )


def train(
    engine: Engine,
    *,
    plan: Plan,
    progress: Progress,
    micro_batches: Callable[[int], Sequence[MicroBatch]],
    evaluate: Callable[[], Scores] | None = None,
    choice: ModelSelection | None = None,
) -> Iterator[Event]:
    """Train from where `progress` stands to the end of the plan.

    Every process iterates to the end: backward passes and evaluations are collective. Between two
    events weights, optimizer and `progress` agree, so a consumer may save at any of them. Steps of
    an engine that is looked at every few steps are told several at once; `progress` then stands at
    the last of them, and that is the one to save at.

    Args:
        engine: computes a step.
        plan: order, learning rates, seeds, due evaluations.
        progress: moved on as training goes.
        micro_batches: the batches of this process for a step, at least one.
        evaluate: scores the model as it stands; None for never.
        choice: which score chooses, and when to stop.

    Yields:
        `StepDone` or `Warned` for each step, `Evaluated` for each evaluation; `Warned` also where
        a step is made again with smaller micro-batches.

    Raises:
        IntegrityError: `MAX_SKIPPED` updates in a row were not finite (M110).
        ResourceError: memory does not suffice for a single row (M111), or for the micro-batch of
            one of several processes (M145).
    """
    engine.begin(training=True)
    unread: list[_PendingStep] = []
    while True:
        # a pending evaluation follows from the step, so a run stopped before it makes it on return
        pending = plan.evaluation_due(progress.step) and progress.evaluated_at != progress.step
        if evaluate is not None and pending:
            engine.begin(training=False)
            scores = evaluate()
            engine.begin(training=True)
            is_best = progress.record(scores, choice)
            yield Evaluated(progress.step, "validation", scores, is_best)
        if progress.step >= plan.total_steps or progress.is_exhausted(choice):
            return

        step, batches = progress.step, micro_batches(progress.step)
        targets = engine.total(sum(batch.num_targets for _number, batch in batches))
        # a step may have no targets, and then its loss and its gradient are zero
        losses = _accumulate(engine, plan, step, batches, 1 / max(1, targets))
        if len(losses) < len(batches):
            yield halve_micro_batches(engine, progress, batches[len(losses)][1])
            continue  # with the same step
        norm = engine.update(plan.learning_rate_at(step))
        progress.step = step + 1
        unread.append(
            _PendingStep(step + 1, targets, torch.stack(losses).double().sum(), norm, batches)
        )
        if (
            progress.step % engine.sync_every == 0
            or progress.step == plan.total_steps
            or plan.evaluation_due(progress.step)
        ):
            yield from _read(engine, plan, progress, unread)
            unread = []


@dataclass(frozen=True, slots=True)
class _PendingStep:
    """A step that is done and not looked at: reading `loss` or `norm` may wait for the device."""

    step: int
    targets: float
    loss: torch.Tensor
    norm: float | torch.Tensor
    batches: Sequence[MicroBatch]


def _read(
    engine: Engine, plan: Plan, progress: Progress, unread: Sequence[_PendingStep]
) -> Iterator[StepDone | Warned]:
    """What became of some steps.

    Raises:
        IntegrityError: `MAX_SKIPPED` updates in a row were not finite (M110); the engine has
            changed no weight since.
    """
    for done in unread:
        norm = float(done.norm)
        applied = math.isfinite(norm)
        progress.count(applied=applied)
        loss = engine.total(done.loss) / max(1, done.targets)
        if applied:
            yield StepDone(
                done.step,
                loss,
                plan.learning_rate_at(done.step - 1),
                norm,
                examples=len(plan.examples_at(done.step - 1)),
                tokens=sum(batch.num_tokens for _number, batch in done.batches),
            )
            continue
        if progress.skipped_in_a_row >= MAX_SKIPPED:
            progress.step = done.step
        yield _skipped(done.step, loss, norm, done.batches)
        if progress.skipped_in_a_row >= MAX_SKIPPED:
            raise _diverged(progress)


def _accumulate(
    engine: Engine, plan: Plan, step: int, batches: Sequence[MicroBatch], weight: float
) -> list[torch.Tensor]:
    """The summed losses of a step's micro-batches, up to the first that does not fit into memory.

    Raises:
        ResourceError: one does not, and several processes share the step (M145).
    """
    losses: list[torch.Tensor] = []
    for i, (number, batch) in enumerate(batches):
        torch.manual_seed(plan.dropout_seed(step, number))
        summed = try_accumulate(engine, batch, weight, is_last=i == len(batches) - 1)
        if summed is None:
            if plan.num_processes > 1:
                raise _out_of_step(batch, plan.num_processes)
            break
        losses.append(summed)
    return losses


def try_accumulate(
    engine: Engine, batch: Batch, weight: float, *, is_last: bool
) -> torch.Tensor | None:
    """`engine.accumulate`, or None if memory does not suffice; then the gradient is of no use."""
    try:
        return engine.accumulate(batch, weight, is_last=is_last)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None  # only here the failed pass lets go of its tensors


def halve_micro_batches(engine: Engine, progress: Progress, batch: Batch) -> Warned:
    """Let micro-batches be half of one that did not fit, from here to the end of the run.

    The sum over a step's targets stays; dropout is drawn for other shapes.

    Raises:
        OneRowTooLarge: it has a single row.
    """
    engine.discard_gradients()
    rows = len(batch.examples)
    if rows == 1:
        raise OneRowTooLarge(int(batch.examples[0]), batch.num_tokens)
    progress.micro_batch_size = (rows + 1) // 2
    return Warned(
        progress.step,
        Problem(
            "M140",
            _("out of memory with {rows} rows at once; from here on {fewer} are taken").format(
                rows=rows, fewer=progress.micro_batch_size
            ),
            fix=_(
                "A step still sees train.batch_size rows; dropout draws anew, the rest differs by "
                "rounding. Next time start with --set train.micro_batch_size={fewer}."
            ).format(fewer=progress.micro_batch_size),
            severity=Severity.WARNING,
        ),
    )


def _out_of_step(batch: Batch, num_processes: int) -> ResourceError:
    """In a step the other processes wait for this one's gradient and would not halve with it."""
    rows = len(batch.examples)
    return ResourceError(
        Problem(
            "M145",
            _("one of {count} processes is out of memory with {rows} rows at once").format(
                count=num_processes, rows=rows
            ),
            fix=_(
                "Continue from the last checkpoint with the same command and "
                "--set train.micro_batch_size={fewer}."
            ).format(fewer=max(1, rows // 2)),
        )
    )


def _skipped(step: int, loss: float, norm: float, batches: Sequence[MicroBatch]) -> Warned:
    examples = tuple(int(i) for _number, batch in batches for i in batch.examples)
    return Warned(
        step,
        Problem(
            "M116",
            _("step {step}: the update is skipped, loss {loss}, gradient norm {norm}").format(
                step=step, loss=loss, norm=norm
            ),
        ),
        rows=examples,
    )


def _diverged(progress: Progress) -> IntegrityError:
    return IntegrityError(
        Problem(
            "M110",
            _("{count} updates in a row were not finite; stopped at step {step}").format(
                count=progress.skipped_in_a_row, step=progress.step
            ),
            fix=_(
                "Lower train.learning_rate, add train.warmup, or look at the rows named above. The "
                "last good checkpoint stays."
            ),
        )
    )
