"""One stretch of a run in this process: model, optimizer, progress, and what the loop calls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.errors import (
    IntegrityError,
    ModelError,
    Place,
    Problem,
    Severity,
)
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.models import freeze, try_model
from tunesmith.runs.disk_space import refuse_small_disk
from tunesmith.runs.engines import make_engine
from tunesmith.runs.fingerprint import compare, differences, machine_facts, refuse_foreign
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.custom_metrics import ComputeMetrics, with_own
from tunesmith.runs.plan_file import has_begun, read_plan, remembered_warnings, write_plan
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import write_inputs
from tunesmith.storage import atomic, notices
from tunesmith.training import checkpoint
from tunesmith.training.engine import Engine, MicroBatch
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.progress import Progress
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.predict import Evaluation, predict

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Session"]


class Session:
    """Model, optimizer and progress of a run, from its start or its newest whole checkpoint.

    Attributes:
        job: what is trained.
        run: where.
        accelerator: on which device, in which process.
        stop: whether somebody asked to stop.
        network: the model as saved and loaded.
        engine: computes its steps.
        how: the engine's name, and what its probe found.
        is_padded: whether batches go through it with their padding.
        progress: where training stands.
        precision: "fp32" or "bf16".
        checkpoint_facts: what the checkpoint that was resumed from says of time and log.
        resumed_from: its name, None for a fresh start.
        fingerprint: what its numbers depend on, machine and versions included.
        data_warnings: what is odd about the rows, reported in every session or an earlier one.
        warnings: what was odd and is not told yet.
        new_weights: parameters that the pretrained checkpoint did not hold: the head.
    """

    def __init__(
        self,
        job: PreparedRun,
        run: RunFolder,
        accelerator: Accelerator,
        *,
        precision: str,
        stop: StopRequest,
        compute_metrics: ComputeMetrics | None = None,
    ) -> None:
        """Build the model and go to where the run stands."""
        self.job, self.run, self.accelerator, self.stop = job, run, accelerator, stop
        self.progress = Progress()
        self.checkpoint_facts: Mapping[str, Any] = {}
        self.resumed_from: str | None = None
        self._compute_metrics = compute_metrics
        self._halvings = 0
        self._truth: dict[str, NDArray[Any]] = {}
        self.precision = precision
        self.fingerprint: Mapping[str, Any] = {
            **job.fingerprint,
            "machine": machine_facts(
                device=str(accelerator.device),
                processes=accelerator.num_processes,
                precision=precision,
                engine=job.recipe.train.engine,
                micro_batch_size=job.plan.micro_batch_size,
            ),
        }
        self._has_begun = has_begun(run)
        self._plan, self._damage = read_plan(run) if self._has_begun else ({}, None)
        self.data_warnings = _once([*remembered_warnings(self._plan), *job.warnings])
        self.warnings = self._not_logged_yet()
        if self._damage is not None:
            self.warnings.append(_damaged_plan(run, self._damage))
        if self._plan:
            where = str(run.path)
            self.warnings += compare(self._plan["fingerprint"], self.fingerprint, where)
        self._build()
        if accelerator.is_main_process:
            with self.engine.plain_model():  # as it is saved
                refuse_small_disk(run, self.network, job.recipe.train.keep_checkpoints)
        self._resume()

    def _not_logged_yet(self) -> list[Problem]:
        """The warnings about the data that events.jsonl does not hold: all of them at the start."""
        logged = set(self.run.warnings()) if self._has_begun else set()
        return [p for p in self.data_warnings if f"{p.code} {p.message}" not in logged]

    def _build(self) -> None:
        settings = self.job.recipe.train
        loaded = self.job.task.build(
            self.job.files,
            seed=settings.seed,
            dropout=settings.dropout,
            allow_missing=settings.allow_missing,
        )
        self.warnings += loaded.warnings
        self.network: Any = loaded.model
        padding = getattr(self.network.config, "pad_token_id", None)
        if padding is None and self.job.tokenizer.pad_token_id is None:
            raise ModelError(_no_padding_token(self.job.files.name))
        self.new_weights = loaded.new_weights
        try_model(self.job.files.name, self.network, self.job.tokenizer)
        freeze(self.network, settings.freeze)
        if settings.gradient_checkpointing:
            _recompute(self.network)
        self.network.to(self.accelerator.device)
        chosen = make_engine(
            self.network, self.job, self.accelerator, precision=self.precision, note=self._note
        )
        self.engine: Engine = chosen.engine
        self.how, self.is_padded = chosen.as_json(), chosen.is_padded

    def _note(self, words: str) -> None:
        self.warnings.append(Problem("M122", words, severity=Severity.NOTE))

    def _resume(self) -> None:
        found = None
        if self.accelerator.is_main_process:
            found, damaged = checkpoint.latest(self.run.checkpoints)
            self.warnings += damaged
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:  # what is damaged has been set aside by now
            found, _damaged = checkpoint.latest(self.run.checkpoints)
        if found is not None:
            self._refuse_foreign(found)
            checkpoint.restore(found, self.engine)
            self.progress, self.checkpoint_facts = found.progress, found.facts
            self.resumed_from = found.folder.name
            self._check_best()

        if os.path.lexists(self.run.model) and self.accelerator.is_main_process:
            # the conductor comes here only while the model is not whole
            kept = atomic.set_aside(self.run.model)
            self.warnings.append(
                Problem(
                    "C101",
                    _("damaged model folder set aside; it is written again"),
                    Place(str(self.run.model)),
                    evidence=(_("kept as {name}").format(name=kept.name),),
                    severity=Severity.WARNING,
                )
            )

    def _refuse_foreign(self, found: checkpoint.Checkpoint) -> None:
        """Refuse a checkpoint of another run, or one of this run before something changed.

        Raises:
            IntegrityError: data, model or tokenizer changed (C104); another run saved it (C109).
        """
        kept = found.fingerprint
        if not self._plan and kept and "recipe" not in differences(kept, self.fingerprint):
            self.warnings += compare(kept, self.fingerprint, str(self.run.path))
        refuse_foreign(found.folder, kept, self.fingerprint)

    def begin(self) -> None:
        """Write recipe and plan, once all is tried and just before the first step is made.

        What an earlier command left that came to no step is replaced; of a run that has begun only
        a damaged plan is written again.

        Raises:
            ResourceError: the disk is full or cannot be written (C107).
        """
        if not self.accelerator.is_main_process or self._plan:
            return
        if not self._has_begun:
            for leftover in (self.run.log, self.run.plan, self.run.rejected):
                atomic.remove(leftover)
            write_inputs(self.run, self.job.recipe, self.job.layers, self.job.rejected)
        elif os.path.lexists(self.run.plan):
            atomic.set_aside(self.run.plan)
        write_plan(self.run, self._plan_facts(), self.data_warnings)

    def check_saved(self, folder: Path) -> None:
        """See that a checkpoint is whole and one of this run.

        Raises:
            IntegrityError: it is damaged (C102), or another run saved it (C109).
        """
        if damage := _damage_of(folder):
            raise IntegrityError(_useless(folder, damage))
        refuse_foreign(folder, checkpoint.read(folder).fingerprint, self.fingerprint)

    def _check_best(self) -> None:
        """A best checkpoint that is damaged cannot be chosen: later evaluations choose anew."""
        best = self.progress.best_step
        if best in (0, self.progress.step):
            return
        folder = self.run.checkpoints / f"step-{best:08d}"
        if damage := _damage_of(folder):
            self.progress.best_step, self.progress.best_value = 0, None
            self.warnings.append(
                Problem(
                    "C101",
                    _("the best checkpoint is damaged: {damage}").format(damage=damage),
                    Place(str(folder)),
                    fix=_("A later one is chosen; the result may differ."),
                    severity=Severity.WARNING,
                )
            )
        else:
            self.check_saved(folder)

    def _plan_facts(self) -> dict[str, Any]:
        job = self.job
        return {
            "model": {"name": job.files.name, "revision": job.files.revision},
            "data": {
                name: {
                    "source": split.source.name,
                    "revision": getattr(split.source, "revision", None),
                    "rows": split.num_rows,
                    "examples": len(job.examples[name]),
                    "tokens": int(job.examples[name].lengths.sum()),
                    "prepared": job.examples[name].prepared.key,
                }
                for name, split in job.splits.items()
            },
            "task": job.task.as_json(),
            "max_length": job.max_length,
            "plan": job.plan.as_json(),
            "engine": self.how,
            "fingerprint": self.fingerprint,
        }

    # what the loop calls

    def micro_batches(self, step: int) -> list[MicroBatch]:
        """The batches of this process for a step."""

        def make(_number: int, examples: NDArray[Any], is_dummy: bool) -> Batch:
            on_device = isinstance(self.engine, GraphedEngine) and self.engine.batch(examples)
            return on_device or self.job.batch(step, examples, is_dummy=is_dummy)

        return self.job.plan.batches_at(
            step, self.accelerator.process_index, make, at_most=self.progress.micro_batch_size
        )

    def largest_micro_batch(self) -> Batch:
        """That of the whole run which takes the most memory, in the cut that is in force."""
        places = self.job.plan.largest_micro_batch(
            self.job.examples["train"].lengths,
            at_most=self.progress.micro_batch_size,
            padded=self.is_padded,
        )
        return self.job.batch(0, places)

    def evaluate(self) -> Scores:
        """The scores of the model as it stands on the validation rows."""
        return self.score("validation", self.predict("validation"))

    # also for the end of the run

    def predict(self, split: str, examples: Examples | None = None) -> Evaluation:
        """Predictions for all rows of a split, or some. A stop request between batches is obeyed.

        Raises:
            ResourceError: memory does not suffice for a single row (M111).
        """

        def between() -> None:
            if self.stop.was_made and self.accelerator.num_processes == 1:
                raise self.stop.interruption(None)

        try:
            evaluation = predict(
                self.engine,
                self.job.task,
                examples or self.job.examples[split],
                self.job.padding,
                batch_size=self.job.recipe.train.eval_batch_size,
                halvings=self._halvings,
                accelerator=self.accelerator,
                between=between,
            )
        except OneRowTooLarge as error:
            raise self.job.placed(error, split, examples) from None
        joined = self.job.task.join(
            evaluation.predictions, examples or self.job.examples[split]
        )
        evaluation = replace(evaluation, predictions=joined)
        if evaluation.halvings > self._halvings:
            self._halvings = evaluation.halvings
            self.warnings.append(_evaluated_in_parts(1 << self._halvings))
        return evaluation

    def score(self, split: str, evaluation: Evaluation, examples: Examples | None = None) -> Scores:
        """The scores of predictions for a labelled split, or some of it, a person's own among them.

        Raises:
            RecipeError: a person's own scores fail (R170).
        """
        job = self.job
        if examples is None and split not in self._truth:
            self._truth[split] = job.truth(split)
        truth = self._truth[split] if examples is None else job.truth(split, examples)
        scores = job.task.score(job.metrics, evaluation.predictions, truth, evaluation.loss)
        if self._compute_metrics is None:
            return scores
        return with_own(scores, self._compute_metrics, evaluation.predictions, truth)

    def take_warnings(self) -> list[Problem]:
        """The warnings since the last call, those of the storage below among them."""
        told, self.warnings = self.warnings + notices.take(), []
        return told


def _damage_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint; None if every byte is there and it is of its step."""
    if damage := atomic.damage(folder):
        return damage
    try:
        checkpoint.read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return None


def _once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems without those that say the same once more."""
    return list({(problem.code, problem.message): problem for problem in problems}.values())


def _damaged_plan(run: RunFolder, damage: str) -> Problem:
    return Problem(
        "C115",
        _("the plan of the run is damaged: {damage}").format(damage=damage),
        Place(str(run.plan)),
        fix=_("It is written again. What the run was trained on is known from its checkpoints."),
        severity=Severity.WARNING,
    )


def _useless(folder: Path, damage: str) -> Problem:
    return Problem(
        "C102",
        _("the best checkpoint is damaged: {damage}").format(damage=damage),
        Place(str(folder)),
        fix=_("Run again: training goes back to a checkpoint that is whole."),
    )


def _no_padding_token(model: str) -> Problem:
    return Problem(
        "M146",
        _("neither tokenizer nor config.json names a padding token: rows cannot share a batch"),
        Place(model),
        fix=_(
            "Write pad_token into its tokenizer_config.json and pad_token_id into its config.json; "
            "any token that texts do not hold will do."
        ),
    )


def _evaluated_in_parts(share: int) -> Problem:
    return Problem(
        "M142",
        _("out of memory in evaluation; from here on batches have 1/{share} of their size").format(
            share=share
        ),
        fix=_("The scores are the same. Next time start with a lower train.eval_batch_size."),
        severity=Severity.WARNING,
    )


def _recompute(network: Any) -> None:
    """Recompute activations; the newer transformers has another word for it."""
    name = "activation_checkpointing_enable"
    enable = getattr(network, name, None) or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})  # the other kind fails where embeddings are frozen
