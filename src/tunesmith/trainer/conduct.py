"""Step by step through a training: callbacks hear of each, and decide what is done between two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import TrainerControl, TrainerState
from transformers.trainer_utils import TrainOutput, speed_metrics

from tunesmith import checkpoint
from tunesmith.device import deterministic_kernels
from tunesmith.events import StepDone, Warned
from tunesmith.fast.process import tuned
from tunesmith.language import gettext as _
from tunesmith.trainer import checkpoints
from tunesmith.trainer.callbacks import UPDATES, hears, note_states, put_states_back, watched
from tunesmith.trainer.engines import Followed, make_plan, recompute_activations, scheduler_for
from tunesmith.trainer.fields import notice
from tunesmith.trainer.heads import flops_per_place
from tunesmith.trainer.refusals import refuse_epoch_stop, without_metric
from tunesmith.trainer.rows import DataSets, Rows, each
from tunesmith.trainer.runner import Runner
from tunesmith.trainer.stretch import Stretch

__all__ = ["Host", "finish", "prepare", "walk"]


class Host(Protocol):
    """What a training needs of its Trainer."""

    args: Any
    model: Any
    train_dataset: Any
    eval_dataset: Any
    processing_class: Any
    data: DataSets
    runner: Runner
    state: TrainerState
    control: TrainerControl
    callback_handler: Any
    optimizer: Any
    lr_scheduler: Any
    has_own_optimizer: bool

    def create_optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer of this training; None if it was set."""
        ...

    def uses_adamw(self) -> bool:
        """Whether it is AdamW, whose learning rates the plan says."""
        ...

    def fresh_state(self, total_steps: int) -> TrainerState:
        """The state before the first step."""
        ...

    def tell(self, event: str, **facts: Any) -> None:
        """Let callbacks hear of an event and change `control`."""
        ...

    def log(self, logs: dict[str, float]) -> None:
        """Add to the history."""
        ...

    def evaluate(self, *, ignore_keys: list[str] | None) -> dict[str, float]:
        """Metrics of the model as it stands."""
        ...

    def get_train_dataloader(self) -> Any:
        """The batches of the first epoch, to look at."""
        ...


def prepare(host: Host, resume: str | bool | None, undone: ExitStack) -> Stretch:
    """Engine, plan and state, from the start or from a checkpoint.

    Args:
        host: the Trainer.
        resume: where from, if not from the start.
        undone: what leaves the plain model when training ends, however it ends.

    Raises:
        IntegrityError: the checkpoint cannot be resumed from (M130).
    """
    args = host.args
    rows = host.data.rows(host.train_dataset, "train")
    accelerator = host.runner.accelerator
    plan = make_plan(args, num_examples=len(rows), num_processes=accelerator.num_processes)
    recompute_activations(host.model, args)
    undone.callback(_let_go, host)
    engine = host.runner.begin(
        host.model, rows, plan, evaluated=_evaluated(host), optimizer=partial(_optimizer, host)
    )
    followed = None if host.uses_adamw() else _follow(host, plan.total_steps, undone)
    callbacks = host.callback_handler.callbacks
    if hears(callbacks, *UPDATES):
        undone.enter_context(watched(host.optimizer, host.tell))
    if hears(callbacks, "on_substep_end"):
        notice(_("no callback hears of on_substep_end: a step is computed as one"))
    stretch = Stretch(
        engine, plan, rows, accelerator.process_index, flops_per_place(host.model), followed
    )
    host.state = host.fresh_state(plan.total_steps)
    host.state.num_train_epochs = math.ceil(plan.total_steps / plan.steps_per_epoch)
    if resume:
        _resume(host, stretch, resume)
    for name in ("model", "optimizer", "lr_scheduler"):
        setattr(host.callback_handler, name, getattr(host, name))
    host.callback_handler.train_dataloader = host.get_train_dataloader()
    undone.enter_context(tuned(host.runner.is_fast))
    undone.enter_context(deterministic_kernels(args.full_determinism))
    return stretch


def _optimizer(host: Host) -> torch.optim.Optimizer:
    """The optimizer of this training, whether a subclass returns it or sets it or both."""
    made: torch.optim.Optimizer | None = host.create_optimizer()
    host.optimizer = host.optimizer if made is None else made
    assert host.optimizer is not None  # noqa: S101 - a subclass sets it if it does not return it
    optimizer: torch.optim.Optimizer = host.optimizer
    return optimizer


def _let_go(host: Host) -> None:
    """Leave the plain model; what was made for one training does not outlive it."""
    host.runner.end(host.model)
    if not host.has_own_optimizer:
        host.optimizer = host.lr_scheduler = None


def _evaluated(host: Host) -> tuple[Rows, ...]:
    """What is evaluated during training."""
    if host.args.eval_strategy == "no":
        return ()
    return tuple(host.data.rows(part, "evaluation") for part in each(host.eval_dataset))


def _follow(host: Host, total_steps: int, undone: ExitStack) -> Followed:
    """Let the scheduler that a person brought, or the named one, lead another optimizer."""
    if host.lr_scheduler is None:
        host.lr_scheduler = scheduler_for(host.optimizer, host.args, total_steps)
    followed = Followed(host.optimizer, host.lr_scheduler)
    undone.callback(followed.release)
    return followed


def _resume(host: Host, stretch: Stretch, asked: str | bool) -> None:
    found, state = checkpoints.find(Path(host.args.output_dir), asked)
    checkpoint.restore(found, stretch.engine)
    for name, then, now in stretch.go_on(found.progress, found.facts):
        notice(
            _("{name} was {then} when {folder} was saved and is {now}").format(
                name=name, then=then, folder=found.folder.name, now=now
            )
        )
    state.max_steps, state.num_train_epochs = host.state.max_steps, host.state.num_train_epochs
    # the folder may have moved, or its name may be spelt otherwise
    homes = (Path(host.args.output_dir), found.folder.parent)
    best = checkpoints.best_of(state.best_global_step, homes)
    state.best_model_checkpoint = best or state.best_model_checkpoint
    host.state = state
    put_states_back(host.callback_handler.callbacks, state)


def walk(host: Host, stretch: Stretch, ignore_keys: list[str] | None) -> None:
    """From where the stretch stands to the end of its plan, or until a callback says so.

    The order of events is that of transformers' Trainer.
    """
    events = stretch.events()
    host.tell("on_train_begin")
    if host.args.eval_on_start:
        host.evaluate(ignore_keys=ignore_keys)
    begins = True
    while stretch.progress.step < stretch.plan.total_steps:
        if host.control.should_training_stop:
            return
        if begins:
            host.tell("on_epoch_begin")
        host.tell("on_step_begin")
        event = next(events)
        while isinstance(event, Warned) and event.problem.code == "M140":
            notice(event.problem.message)
            event = next(events)  # the same step, made again
        if isinstance(event, StepDone):
            stretch.take(event)
        elif isinstance(event, Warned):
            notice(event.problem.message)
        _stand(host, stretch)
        host.tell("on_step_end")
        _act(host, stretch, ignore_keys)
        refuse_epoch_stop(host.control)
        begins = stretch.ends_epoch
        if begins or host.control.should_training_stop:
            host.tell("on_epoch_end")
            _act(host, stretch, ignore_keys)


def _stand(host: Host, stretch: Stretch) -> None:
    """Let the state say where training stands."""
    host.state.global_step = stretch.progress.step
    host.state.epoch = stretch.epoch
    host.state.total_flos = stretch.sums["flops"]
    counted = {"all": "places", "non_padding": "tokens"}
    name = counted.get(host.args.include_num_input_tokens_seen)
    if name is not None:
        host.state.num_input_tokens_seen = int(stretch.sums[name])


def _act(host: Host, stretch: Stretch, ignore_keys: list[str] | None) -> None:
    """Log, evaluate and save, as far as callbacks ask for it."""
    if host.control.should_log and (logs := stretch.logs()):
        host.log(logs)
    if host.control.should_evaluate:
        is_best = _note_best(host, host.evaluate(ignore_keys=ignore_keys))
        if host.args.save_strategy == "best":
            host.control.should_save = is_best
    if host.control.should_save:
        _save(host, stretch)
        host.tell("on_save")


def _note_best(host: Host, metrics: Mapping[str, Any]) -> bool:
    """Whether an evaluation is the best so far, by the score that chooses."""
    name = host.args.metric_for_best_model
    if name is None:
        return False
    name = name if name.startswith("eval_") else f"eval_{name}"
    if name not in metrics:
        raise without_metric(name, metrics)
    higher, state = host.args.greater_is_better, host.state
    if state.best_metric is None:
        state.best_metric = -math.inf if higher else math.inf
    if not (np.greater if higher else np.less)(metrics[name], state.best_metric):
        return False
    state.best_metric = metrics[name]
    if host.args.save_strategy != "no":
        state.best_global_step = state.global_step
    return True


def _save(host: Host, stretch: Stretch) -> None:
    """A checkpoint of this step by the first process, while the others wait."""
    output, state = Path(host.args.output_dir), host.state
    if state.best_global_step == state.global_step:
        state.best_model_checkpoint = str(output / f"checkpoint-{state.global_step}")
    elif best := checkpoints.best_of(state.best_global_step, [output]):
        state.best_model_checkpoint = best
    note_states(host.callback_handler.callbacks, state)
    if host.runner.accelerator.is_main_process:
        newest = checkpoints.save(
            output, stretch.engine, stretch.progress,
            facts=stretch.facts(), state=state, processing_class=host.processing_class,
        )  # fmt: skip
        limit, best = host.args.save_total_limit, state.best_model_checkpoint
        checkpoints.keep(newest, limit=limit, best=best)
    host.runner.accelerator.wait_for_everyone()


def finish(host: Host, stretch: Stretch, started: float, steps: int) -> TrainOutput:
    """The last log, and the best weights if they were asked for.

    Args:
        host: the Trainer, its model plain again.
        stretch: at its end.
        started: when, in seconds.
        steps: made since then.
    """
    args, plan, progress = host.args, stretch.plan, stretch.progress
    rows = min(plan.batch_size * plan.total_steps, plan.num_examples * args.num_train_epochs)
    loss = stretch.sums["loss"] / max(1, progress.step - progress.skipped)
    share = rows * steps / max(1, plan.total_steps)
    metrics = speed_metrics("train", started, num_samples=share, num_steps=steps)
    metrics.update(total_flos=host.state.total_flos, train_loss=loss)
    host.log(metrics)
    if name := host.state.best_model_checkpoint:
        _end_with(host, Path(name))
    host.tell("on_train_end")
    return TrainOutput(host.state.global_step, loss, metrics)


def _end_with(host: Host, best: Path) -> None:
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
        checkpoint.load_weights(best, host.model)
    if host.args.save_total_limit == 1 and host.runner.accelerator.is_main_process:
        checkpoints.keep_best(Path(host.args.output_dir), best)
