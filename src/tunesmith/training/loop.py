"""The training loop: batches in, events out.

It does not print, save or draw; it knows no file, tokenizer, task or recipe. What depends only on
the step comes from the plan. It owns the normalization: a task returns the summed loss and the
number of targets, and the loop divides by the targets of the whole step, over all micro-batches and
processes, so that splitting a step differently changes nothing but rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from tunesmith.metrics.scores import Scores
from tunesmith.training.device import rng_of
from tunesmith.training.early_stopping import ModelSelection, is_over
from tunesmith.training.engine import MAX_SKIPPED, Engine, MicroBatch, Step, sum_over_ranks
from tunesmith.training.events import Evaluated, Event, StepDone
from tunesmith.training.failures import diverged, repeat_smaller, skipped_update
from tunesmith.training.memory import is_out_of_memory
from tunesmith.training.plan import Plan
from tunesmith.training.progress import Progress

__all__ = ["train"]


def train(
    engine: Engine,
    *,
    plan: Plan,
    progress: Progress,
    micro_batches: Callable[[int], Sequence[MicroBatch]],
    evaluate: Callable[[], Scores] | None = None,
    selection: ModelSelection | None = None,
) -> Iterator[Event]:
    """Train from `progress` to the end of the plan.

    Every process iterates to the end: backward passes and evaluations are collective. Between two
    events weights, optimizer and `progress` agree, so a consumer may save at any of them. An engine
    may finish several steps at once; `progress` is then at the last of them, the one to save at.

    Args:
        engine: computes a step.
        plan: order, learning rates, seeds, due evaluations.
        progress: updated as training goes.
        micro_batches: the batches of this process for a step, at least one.
        evaluate: scores the current model, in evaluation mode; None for never.
        selection: which score chooses the best model, and when to stop.

    Yields:
        `StepDone` or `Warned` for each step, `Evaluated` for each evaluation; `Warned` also where
        a step is repeated with smaller micro-batches.

    Raises:
        IntegrityError: `MAX_SKIPPED` updates in a row were not finite (M110).
        ResourceError: memory does not suffice for a single row (M111), or for the micro-batch of
            one of several processes (M145).
    """
    engine.set_training(True)
    while True:
        # a pending evaluation follows from the step, so a run stopped before it resumes with it
        is_pending = plan.evaluation_due(progress.step) and progress.evaluated_at != progress.step
        if evaluate is not None and is_pending:
            scores = evaluate()
            engine.set_training(True)
            yield Evaluated(progress.step, "validation", scores, progress.record(scores, selection))
        if progress.step >= plan.total_steps or is_over(selection, progress.evaluations_since_best):
            return

        batches = micro_batches(progress.step)
        # a step may have no targets; its loss and gradient are zero then
        targets = max(1, sum_over_ranks(engine.accelerator, sum(b.num_targets for _, b in batches)))
        losses: list[torch.Tensor] = []
        try:
            for number, batch in batches:
                rng_of(engine.accelerator).manual_seed(plan.dropout_seed(progress.step, number))
                is_last = len(losses) == len(batches) - 1
                losses.append(engine.accumulate(batch, 1 / targets, is_last=is_last))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if len(losses) < len(batches):
            yield repeat_smaller(engine, plan, progress, batch)
            continue  # with the same step

        plan.set_learning_rates(engine.optimizer, progress.step)
        progress.step += 1
        step = Step(progress.step, batches, targets, torch.stack(losses).sum(dtype=engine.sum_type))
        is_awaited = step.number == plan.total_steps or plan.evaluation_due(step.number)
        for done, loss_sum, grad_norm in engine.update(step, wait=is_awaited):
            yield _report(done, loss_sum / done.targets, grad_norm, plan, progress)
            if progress.skipped_in_a_row >= MAX_SKIPPED:
                raise diverged(progress)


def _report(step: Step, loss: float, grad_norm: float, plan: Plan, progress: Progress) -> Event:
    """Count a finished step and return its event."""
    progress.count(step.number, applied=math.isfinite(grad_norm))
    if progress.skipped_in_a_row:
        return skipped_update(step, loss, grad_norm)
    learning_rate = plan.learning_rate_at(step.number - 1)
    examples = len(plan.examples_at(step.number - 1))
    tokens = sum(batch.num_tokens for _number, batch in step.batches)
    return StepDone(step.number, loss, learning_rate, grad_norm, examples, tokens)
