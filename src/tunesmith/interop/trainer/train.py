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
from tunesmith.interop.trainer import checkpoints
from tunesmith.interop.trainer.checkpoint_state import read_saved, restore_tensors
from tunesmith.interop.trainer.datasets import DataSets, Rows, each, is_stream
from tunesmith.interop.trainer.losses import flops_per_place
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import TrainerSession, make_plan
from tunesmith.interop.trainer.support import notice
from tunesmith.training.device import deterministic_kernels
from tunesmith.training.engine import sum_over_ranks
from tunesmith.training.events import Event, StepDone, Warned
from tunesmith.training.fast.process import tuned
from tunesmith.training.fast.waiting import watched

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

    def begin_state(self, session: TrainerSession, resume: str | None, trial: Any) -> None:
        """The state before the first step, or that of a checkpoint."""
        ...

    def act(self, session: TrainerSession, ignore_keys: list[str] | None, started: float) -> None:
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


def prepare(trainer: TrainerLike, resume: str | None, trial: Any) -> TrainerSession:
    """Plan, optimizer, schedule and state, from the start or from a checkpoint.

    Args:
        trainer: the Trainer, with the weights of the checkpoint.
        resume: the checkpoint, if training does not begin at the start.
        trial: of a search; None for none.

    Raises:
        UnusableError: the checkpoint cannot be resumed from (M130).
    """
    rows = trainer.data.rows(trainer.train_dataset, "train")
    accelerator = trainer.runner.accelerator
    trainer.model.to(accelerator.device)
    plan = make_plan(trainer.args, num_examples=len(rows), num_processes=accelerator.num_processes)
    trainer.create_optimizer()
    session = TrainerSession(
        plan, rows, accelerator.process_index, flops_per_place(trainer.model),
        trainer.create_scheduler(plan.total_steps),
    )  # fmt: skip
    trainer.begin_state(session, resume, trial)
    if resume:
        _resume(trainer, session, Path(resume))
    for name in ("model", "optimizer", "lr_scheduler"):
        setattr(trainer.callback_handler, name, getattr(trainer, name))
    trainer.callback_handler.train_dataloader = trainer.get_train_dataloader()
    return session


def engage(trainer: TrainerLike, session: TrainerSession, undone: ExitStack) -> None:
    """Let callbacks hear that training begins, and then choose the engine.

    What they freeze or register on the model then counts for the choice.

    Args:
        trainer: the Trainer.
        session: all but its engine.
        undone: what leaves the plain model when training ends, however it ends.
    """
    _call(trainer, "on_train_begin")
    undone.callback(trainer.runner.end, trainer.model)
    session.engine = trainer.runner.begin(
        trainer.model, session.rows, session.plan,
        evaluated=_evaluated(trainer), optimizer=lambda: trainer.optimizer,
    )  # fmt: skip
    _headline(trainer, session)
    undone.enter_context(tuned(trainer.runner.is_fast))
    undone.enter_context(watched(trainer.runner.accelerator.device.type == "cpu"))
    undone.enter_context(deterministic_kernels(trainer.args.full_determinism))


def _headline(trainer: TrainerLike, session: TrainerSession) -> None:
    """What transformers' Trainer says of a training, where it says it: at its level "info"."""
    plan, log = session.plan, get_logger("transformers.trainer")
    log.info("***** Running training *****")
    log.info(f"  Num examples = {plan.num_examples:,}")
    log.info(f"  Num Epochs = {trainer.state.num_train_epochs:,}")
    log.info(
        f"  Total train batch size (w. parallel, distributed & accumulation) = {plan.batch_size}"
    )
    log.info(f"  Total optimization steps = {plan.total_steps:,}")


def _evaluated(trainer: TrainerLike) -> tuple[Rows, ...]:
    """What the engine evaluates during training; a stream goes through transformers' own loop."""
    if trainer.args.eval_strategy == "no":
        return ()
    parts = [part for part in each(trainer.eval_dataset) if not is_stream(part)]
    return tuple(trainer.data.rows(part, "evaluation") for part in parts)


def _resume(trainer: TrainerLike, session: TrainerSession, folder: Path) -> None:
    """Optimizer, schedule and sums of a checkpoint."""
    saved = read_saved(folder)
    restore_tensors(saved, trainer.model, trainer.optimizer)
    for name, then, now in session.go_on(saved.progress, saved.facts):
        notice(
            _("{name} was {then} when {folder} was saved and is {now}").format(
                name=name, then=then, folder=folder.name, now=now
            )
        )


def walk(
    trainer: TrainerLike, session: TrainerSession, ignore_keys: list[str] | None, started: float
) -> None:
    """Train to the end of the plan, or until a callback stops.

    The order of events is that of transformers' Trainer.
    """
    events = session.events()
    if trainer.args.eval_on_start:
        trainer.evaluate_at_start(ignore_keys)
    begins = True
    while not session.is_over:
        if begins:
            _call(trainer, "on_epoch_begin")
        _call(trainer, "on_step_begin")
        _step(session, events)
        _note(trainer, session)
        _call(trainer, "on_step_end")
        trainer.act(session, ignore_keys, started)
        if trainer.control.should_epoch_stop:
            session.end_epoch()
        begins = session.ends_epoch
        if begins or trainer.control.should_training_stop:
            _call(trainer, "on_epoch_end")
            trainer.act(session, ignore_keys, started)
        if trainer.control.should_training_stop:
            return


def _call(trainer: TrainerLike, event: str) -> None:
    handler = trainer.callback_handler
    trainer.control = getattr(handler, event)(trainer.args, trainer.state, trainer.control)


def _step(session: TrainerSession, events: Iterator[Event]) -> None:
    """One step, with the learning rates that are in the optimizer; then those of the next."""
    event = next(events)
    while isinstance(event, Warned) and event.problem.code == "M140":
        notice(in_arguments(event.problem).message)
        event = next(events)  # the same step, made again
    if isinstance(event, StepDone):
        session.take(event)
    elif isinstance(event, Warned):
        notice(event.problem.message)
    session.advance()


def _note(trainer: TrainerLike, session: TrainerSession) -> None:
    """Write the progress of training into the state."""
    accelerator, state = trainer.runner.accelerator, trainer.state
    state.global_step = session.progress.step
    state.epoch = session.epoch
    state.total_flos = sum_over_ranks(accelerator, session.sums["flops"])
    counted = {"all": "size", "non_padding": "tokens"}
    name = counted.get(trainer.args.include_num_input_tokens_seen)
    if name is not None:
        state.num_input_tokens_seen = int(sum_over_ranks(accelerator, session.sums[name]))


def finish(trainer: TrainerLike, session: TrainerSession, started: float) -> TrainOutput:
    """The last log, the best weights if requested, and no surplus checkpoint.

    Args:
        trainer: the Trainer, its model plain again.
        session: at its end.
        started: when, in seconds.
    """
    args, plan = trainer.args, session.plan
    rows = min(plan.batch_size * plan.total_steps, plan.num_examples * args.num_train_epochs)
    share = rows * session.steps_made / max(1, plan.total_steps)
    metrics = speed_metrics("train", started, num_samples=share, num_steps=session.steps_made)
    metrics["total_flos"] = trainer.state.total_flos
    metrics["train_loss"] = session.mean_loss
    trainer.add_memory(metrics)
    trainer.log(metrics)
    if name := trainer.state.best_model_checkpoint:
        _end_with(trainer, Path(name))
    _call(trainer, "on_train_end")
    return TrainOutput(trainer.state.global_step, metrics["train_loss"], metrics)


def _end_with(trainer: TrainerLike, best: Path) -> None:
    """Put the best weights back and delete other checkpoints, where arguments say so."""
    if not best.is_dir():
        if trainer.args.load_best_model_at_end:
            notice(
                _("the best checkpoint is gone: {folder}; the last weights stay").format(
                    folder=best
                )
            )
        return
    if trainer.args.load_best_model_at_end:
        trainer.load_best()
    if trainer.args.save_total_limit == 1 and trainer.runner.accelerator.is_main_process:
        checkpoints.keep_best(Path(trainer.args.output_dir), best)


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
