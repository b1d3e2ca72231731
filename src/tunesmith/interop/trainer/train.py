"""Step by step through a training by our loop: callbacks hear of each, and decide what is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerControl, TrainerState
from transformers.trainer_utils import TrainOutput, speed_metrics
from transformers.utils.logging import get_logger

from tunesmith.errors import Problem, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.interop.trainer import checkpoints, progress
from tunesmith.interop.trainer.datasets import DataSets, Rows, each, is_stream
from tunesmith.interop.trainer.losses import flops_per_place
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import TrainerSession, make_plan
from tunesmith.interop.trainer.support import notice
from tunesmith.training.device import deterministic_kernels
from tunesmith.training.engine import sum_over_ranks
from tunesmith.training.events import Event, StepDone, Warned
from tunesmith.training.fast.process import tuned

__all__ = ["TrainerLike", "argument_names", "engage", "finish", "in_arguments", "prepare", "walk"]


class TrainerLike(Protocol):
    """What a training needs of its Trainer."""

    args: Any
    model: Any
    train_dataset: Any
    eval_dataset: Any
    data: DataSets
    runner: Runner
    state: TrainerState
    control: TrainerControl
    callback_handler: Any
    optimizer: Any
    lr_scheduler: Any

    def create_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of this training, or of one before it."""
        ...

    def create_scheduler(self, num_training_steps: int) -> Any:
        """The scheduler of this training."""
        ...

    def get_train_dataloader(self) -> Any:
        """The batches of an epoch, for callbacks that look at them."""
        ...

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add to the history."""
        ...

    def begin_state(self, stretch: TrainerSession, resume: str | None, trial: Any) -> None:
        """The state before the first step, or that of a checkpoint."""
        ...

    def act(self, stretch: TrainerSession, ignore_keys: list[str] | None, started: float) -> None:
        """Log, evaluate and save, as far as callbacks ask for it."""
        ...

    def evaluate_at_start(self, ignore_keys: list[str] | None) -> None:
        """Evaluate before the first step."""
        ...

    def load_best(self) -> None:
        """Put the weights of the best checkpoint into the model."""
        ...

    def add_memory(self, metrics: dict[str, float]) -> None:
        """Add the memory that training took, if that is measured."""
        ...


def prepare(host: TrainerLike, resume: str | None, trial: Any) -> TrainerSession:
    """Plan, optimizer, schedule and state, from the start or from a checkpoint.

    Args:
        host: the Trainer, with the weights of the checkpoint.
        resume: the checkpoint, if training does not begin at the start.
        trial: of a search; None for none.

    Raises:
        UnusableError: the checkpoint cannot be resumed from (M130).
    """
    rows = host.data.rows(host.train_dataset, "train")
    accelerator = host.runner.accelerator
    host.model.to(accelerator.device)
    plan = make_plan(host.args, num_examples=len(rows), num_processes=accelerator.num_processes)
    host.create_optimizer()
    stretch = TrainerSession(
        plan, rows, accelerator.process_index, flops_per_place(host.model),
        host.create_scheduler(plan.total_steps),
    )  # fmt: skip
    host.begin_state(stretch, resume, trial)
    if resume:
        _resume(host, stretch, Path(resume))
    for name in ("model", "optimizer", "lr_scheduler"):
        setattr(host.callback_handler, name, getattr(host, name))
    host.callback_handler.train_dataloader = host.get_train_dataloader()
    return stretch


def engage(host: TrainerLike, stretch: TrainerSession, undone: ExitStack) -> None:
    """Let callbacks hear that training begins, and then choose the engine.

    Whatever they freeze or hang on the model at that moment counts for the choice.

    Args:
        host: the Trainer.
        stretch: all but its engine.
        undone: what leaves the plain model when training ends, however it ends.
    """
    _call(host, "on_train_begin")
    undone.callback(host.runner.end, host.model)
    stretch.engine = host.runner.begin(
        host.model, stretch.rows, stretch.plan,
        evaluated=_evaluated(host), optimizer=lambda: host.optimizer,
    )  # fmt: skip
    _headline(host, stretch)
    undone.enter_context(tuned(host.runner.is_fast))
    undone.enter_context(deterministic_kernels(host.args.full_determinism))


def _headline(host: TrainerLike, stretch: TrainerSession) -> None:
    """What transformers' Trainer says of a training, where it says it: at its level "info"."""
    plan, log = stretch.plan, get_logger("transformers.trainer")
    log.info("***** Running training *****")
    log.info(f"  Num examples = {plan.num_examples:,}")
    log.info(f"  Num Epochs = {host.state.num_train_epochs:,}")
    log.info(
        f"  Total train batch size (w. parallel, distributed & accumulation) = {plan.batch_size}"
    )
    log.info(f"  Total optimization steps = {plan.total_steps:,}")


def _evaluated(host: TrainerLike) -> tuple[Rows, ...]:
    """What the engine evaluates during training; a stream goes through transformers' own loop."""
    if host.args.eval_strategy == "no":
        return ()
    parts = [part for part in each(host.eval_dataset) if not is_stream(part)]
    return tuple(host.data.rows(part, "evaluation") for part in parts)


def _resume(host: TrainerLike, stretch: TrainerSession, folder: Path) -> None:
    """Optimizer, schedule and sums of a checkpoint."""
    saved = progress.read(folder)
    progress.restore_tensors(saved, host.model, host.optimizer)
    for name, then, now in stretch.go_on(saved.progress, saved.facts):
        notice(
            _("{name} was {then} when {folder} was saved and is {now}").format(
                name=name, then=then, folder=folder.name, now=now
            )
        )


def walk(
    host: TrainerLike, stretch: TrainerSession, ignore_keys: list[str] | None, started: float
) -> None:
    """From where the stretch stands to the end of its plan, or until a callback says so.

    The order of events is that of transformers' Trainer.
    """
    events = stretch.events()
    if host.args.eval_on_start:
        host.evaluate_at_start(ignore_keys)
    begins = True
    while not stretch.is_over:
        if begins:
            _call(host, "on_epoch_begin")
        _call(host, "on_step_begin")
        _step(stretch, events)
        _note(host, stretch)
        _call(host, "on_step_end")
        host.act(stretch, ignore_keys, started)
        if host.control.should_epoch_stop:
            stretch.end_epoch()
        begins = stretch.ends_epoch
        if begins or host.control.should_training_stop:
            _call(host, "on_epoch_end")
            host.act(stretch, ignore_keys, started)
        if host.control.should_training_stop:
            return


def _call(host: TrainerLike, event: str) -> None:
    handler = host.callback_handler
    host.control = getattr(handler, event)(host.args, host.state, host.control)


def _step(stretch: TrainerSession, events: Iterator[Event]) -> None:
    """One step, with the learning rates that are in the optimizer; then those of the next."""
    event = next(events)
    while isinstance(event, Warned) and event.problem.code == "M140":
        notice(in_arguments(event.problem).message)
        event = next(events)  # the same step, made again
    if isinstance(event, StepDone):
        stretch.take(event)
    elif isinstance(event, Warned):
        notice(event.problem.message)
    stretch.advance()


def _note(host: TrainerLike, stretch: TrainerSession) -> None:
    """Let the state say where training stands."""
    accelerator, state = host.runner.accelerator, host.state
    state.global_step = stretch.progress.step
    state.epoch = stretch.epoch
    state.total_flos = sum_over_ranks(accelerator, stretch.sums["flops"])
    counted = {"all": "size", "non_padding": "tokens"}
    name = counted.get(host.args.include_num_input_tokens_seen)
    if name is not None:
        state.num_input_tokens_seen = int(sum_over_ranks(accelerator, stretch.sums[name]))


def finish(host: TrainerLike, stretch: TrainerSession, started: float) -> TrainOutput:
    """The last log, the best weights if they were asked for, and no checkpoint too many.

    Args:
        host: the Trainer, its model plain again.
        stretch: at its end.
        started: when, in seconds.
    """
    args, plan = host.args, stretch.plan
    rows = min(plan.batch_size * plan.total_steps, plan.num_examples * args.num_train_epochs)
    share = rows * stretch.steps_made / max(1, plan.total_steps)
    metrics = speed_metrics("train", started, num_samples=share, num_steps=stretch.steps_made)
    metrics["total_flos"] = host.state.total_flos
    metrics["train_loss"] = stretch.mean_loss
    host.add_memory(metrics)
    host.log(metrics)
    if name := host.state.best_model_checkpoint:
        _end_with(host, Path(name))
    _call(host, "on_train_end")
    return TrainOutput(host.state.global_step, metrics["train_loss"], metrics)


def _end_with(host: TrainerLike, best: Path) -> None:
    """Put the best weights back and leave no other checkpoint, as far as that is asked for."""
    if not best.is_dir():
        if host.args.load_best_model_at_end:
            notice(
                _("the best checkpoint is gone: {folder}; the last weights stay").format(
                    folder=best
                )
            )
        return
    if host.args.load_best_model_at_end:
        host.load_best()
    if host.args.save_total_limit == 1 and host.runner.accelerator.is_main_process:
        checkpoints.keep_best(Path(host.args.output_dir), best)


_FIXES = {
    "M110": N_(
        "Lower learning_rate, raise warmup_steps, or look at the rows named above. The last good "
        "checkpoint stays."
    ),
    "M111": N_(
        "Truncate rows when they are tokenized, set gradient_checkpointing=True, or use a smaller "
        "model or another device."
    ),
    "M140": N_(
        "A step still sees all its rows; dropout is drawn again, the rest differs by rounding. "
        "Next time lower per_device_train_batch_size and raise gradient_accumulation_steps."
    ),
    "M145": N_(
        "Resume from the last checkpoint with a lower per_device_train_batch_size and more "
        "gradient_accumulation_steps."
    ),
}
"""What to do about problems of the loop, by the names of `TrainingArguments`."""


def in_arguments(problem: Problem) -> Problem:
    """A problem of the loop whose fix names arguments of a Trainer, not keys of a recipe."""
    fix = _FIXES.get(problem.code)
    return problem if fix is None else replace(problem, fix=_(fix))


@contextmanager
def argument_names() -> Iterator[None]:
    """Let what the loop raises name arguments of a Trainer."""
    try:
        yield
    except TunesmithError as error:
        error.problems = tuple(in_arguments(problem) for problem in error.problems)
        error.args = (error.problems,)
        raise
