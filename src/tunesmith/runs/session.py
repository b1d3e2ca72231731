"""A session of a run: model, optimizer and progress in this process, and what the loop calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.streamed import StreamedExamples
from tunesmith.errors import Problem, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.runs.custom_metrics import ComputeMetrics, with_own
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.signals import StopRequest
from tunesmith.storage import notices
from tunesmith.training.engine import Engine, MicroBatch
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.peers import current
from tunesmith.training.plan import Plan
from tunesmith.training.predict import Evaluation, predict
from tunesmith.training.progress import Progress

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Session"]


class _StopSeen(Exception):
    """In the midst of an evaluation a process saw that it is to stop."""


@dataclass
class Session:
    """Model, optimizer and progress of a run, from its start or its newest whole checkpoint.

    Attributes:
        job: what is trained.
        run: its folder.
        accelerator: device and processes.
        stop: whether a stop was requested.
        precision: "fp32" or "bf16".
        network: the model as it is saved.
        new_weights: parameters that the pretrained checkpoint did not hold: the head.
        engine: computes the steps.
        engine_facts: its name and what its probe found.
        is_padded: whether batches go through it with their padding.
        fingerprint: what the run's numbers depend on, machine and versions included.
        data_warnings: warnings about the rows, of this session or an earlier one.
        warnings: warnings that are not reported yet.
        compute_metrics: custom metrics; None for none.
        has_begun: whether an earlier session of this run made a step.
        stored_plan: the plan that such a session wrote; empty if there is none, or a damaged one.
        progress: how far training is.
        checkpoint_facts: time and log as of the checkpoint that was resumed from.
        resumed_from: its name; None for a fresh start.
        eval_halvings: how often evaluation batches were halved for lack of memory.
        unusable_data: why the next step cannot be made: of rows that are streamed; None if it can.
    """

    job: PreparedRun
    run: RunFolder
    accelerator: Accelerator
    stop: StopRequest
    precision: str
    network: Any
    new_weights: Sequence[str]
    engine: Engine
    engine_facts: Mapping[str, object]
    is_padded: bool
    fingerprint: Mapping[str, Any]
    data_warnings: Sequence[Problem]
    warnings: list[Problem]
    compute_metrics: ComputeMetrics | None
    has_begun: bool
    stored_plan: Mapping[str, Any]
    progress: Progress = field(default_factory=Progress)
    checkpoint_facts: Mapping[str, Any] = field(default_factory=dict)
    resumed_from: str | None = None
    eval_halvings: int = 0
    unusable_data: TunesmithError | None = None
    _truth: dict[str, NDArray[Any]] = field(default_factory=dict)
    _newest: tuple[int, Evaluation] | None = None

    def take_warnings(self) -> list[Problem]:
        """Return the warnings since the last call, those of the storage among them."""
        taken = [*self.warnings, *notices.take()]
        self.warnings.clear()
        return taken

    def micro_batches(self, step: int) -> list[MicroBatch]:
        """Return the batches of this process for a step.

        Raises:
            DataError: a row that is streamed cannot be used.
            IntegrityError: such data changed (D160).
        """
        examples, plan = self.job.examples["train"], self.job.plan
        if isinstance(examples, StreamedExamples):
            try:
                examples.use(*plan.positions_at(step), end=_end_of_run(plan, step))
            except TunesmithError as error:
                self.unusable_data = error
                raise

        def make(_number: int, examples: NDArray[Any], is_dummy: bool) -> Batch:
            on_device = isinstance(self.engine, GraphedEngine) and self.engine.batch(examples)
            return on_device or self.job.batch(step, examples, is_dummy=is_dummy)

        return self.job.plan.batches_at(
            step, self.accelerator.process_index, make, at_most=self.progress.micro_batch_size
        )

    def close(self) -> None:
        """End what still runs: the engine, and the thread that tokenizes shards ahead."""
        self.engine.close()
        examples = self.job.examples["train"]
        if isinstance(examples, StreamedExamples):
            examples.shards.close()

    def largest_micro_batch(self) -> Batch:
        """Return the micro-batch of the whole run that takes the most memory."""
        plan, lengths = self.job.plan, self.job.examples["train"].lengths
        if plan.order is not None:  # of the sample the longest could meet in one
            size = min(plan.micro_batch_size, self.progress.micro_batch_size or len(lengths))
            return self.job.sample_batch(np.argsort(-lengths, kind="stable")[:size])
        examples = plan.largest_micro_batch(
            lengths, at_most=self.progress.micro_batch_size, padded=self.is_padded
        )
        return self.job.batch(0, examples)

    def evaluate(self) -> Scores:
        """Return the scores of the current model on the validation rows."""
        evaluation = self.predict("validation")
        self._newest = self.progress.step, evaluation
        return self.score("validation", evaluation)

    def evaluated(self, split: str, step: int) -> Evaluation:
        """Return the predictions of the model as of a step, whose weights are the current ones.

        Those of the newest evaluation, if it was at that step, are not computed again.
        """
        if split == "validation" and self._newest is not None and self._newest[0] == step:
            return self._newest[1]
        return self.predict(split)

    def predict(self, split: str, examples: Examples | None = None) -> Evaluation:
        """Predict all rows of a split, or some; a requested stop takes effect between batches.

        Raises:
            Interrupted: a stop was requested.
            ResourceError: memory does not suffice for a single row (M111).
        """
        peers = current()

        def between() -> None:
            peers.note_progress()
            if self.stop.was_made:
                peers.request_stop()
            if self.stop.was_made or peers.stop_is_requested:
                raise _StopSeen

        def together(*, stops: bool = False) -> None:
            # no process may exchange predictions with one that has stopped
            if peers.decide("evaluation", stops or self.stop.was_made, any):
                raise self.stop.interruption(None)

        try:
            evaluation = predict(
                self.engine,
                self.job.task,
                examples or self.job.examples[split],
                self.job.padding,
                batch_size=self.job.recipe.train.eval_batch_size,
                halvings=self.eval_halvings,
                accelerator=self.accelerator,
                between=between,
                before_gather=together,
            )
        except _StopSeen:
            together(stops=True)
            raise
        except OneRowTooLarge as error:
            raise self.job.placed(error, split, examples) from None
        joined = self.job.task.join(evaluation.predictions, examples or self.job.examples[split])
        evaluation = replace(evaluation, predictions=joined)
        if evaluation.halvings > self.eval_halvings:
            self.eval_halvings = evaluation.halvings
            self.warnings.append(_evaluation_halved(1 << self.eval_halvings))
        return evaluation

    def settle(self, evaluation: Evaluation) -> None:
        """Let the task choose what it chooses on the final predictions for the validation rows."""
        task = self.job.task.settled(evaluation.predictions, self._truth_of("validation"))
        self.job = replace(self.job, task=task)

    def _truth_of(self, split: str) -> NDArray[Any]:
        if split not in self._truth:
            self._truth[split] = self.job.truth(split)
        return self._truth[split]

    def score(self, split: str, evaluation: Evaluation, examples: Examples | None = None) -> Scores:
        """Score predictions for a labeled split, or some of it, custom metrics included.

        Raises:
            RecipeError: custom metrics fail (R170).
        """
        job = self.job
        truth = self._truth_of(split) if examples is None else job.truth(split, examples)
        scores = job.task.score(job.metrics, evaluation.predictions, truth, evaluation.loss)
        if self.compute_metrics is None:
            return scores
        return with_own(scores, self.compute_metrics, evaluation.predictions, truth)


def _end_of_run(plan: Plan, step: int) -> int:
    """The position after the last one of the run, counted from the start of the step's epoch."""
    _epoch, start, _stop = plan.positions_at(step)
    return start + (plan.total_steps - step) * plan.batch_size


def _evaluation_halved(divisor: int) -> Problem:
    return Problem(
        "M142",
        _("out of memory in evaluation; from here on batches have 1/{share} of their size").format(
            share=divisor
        ),
        fix=_("The scores are the same. Next time start with a lower train.eval_batch_size."),
        severity=Severity.WARNING,
    )
