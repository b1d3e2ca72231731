"""Step by step through a training: callbacks hear of each, and decide what is done between two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from transformers import TrainerControl, TrainerState

from tunesmith.events import StepDone, Warned
from tunesmith.trainer import checkpoints
from tunesmith.trainer.callbacks import note_states
from tunesmith.trainer.fields import notice
from tunesmith.trainer.refusals import refuse_epoch_stop, without_metric
from tunesmith.trainer.stretch import Stretch

__all__ = ["Host", "walk"]


class Host(Protocol):
    """What a training needs of its Trainer."""

    args: Any
    state: TrainerState
    control: TrainerControl
    callback_handler: Any
    processing_class: Any

    @property
    def accelerator(self) -> Any:
        """Device and processes."""
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
        if isinstance(event, StepDone):
            stretch.take(event)
        elif isinstance(event, Warned):
            notice(str(event.problem))
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
    note_states(host.callback_handler.callbacks, state)
    if host.accelerator.is_main_process:
        checkpoints.save(
            output, stretch.engine, stretch.progress,
            facts=stretch.facts(), state=state, processing_class=host.processing_class,
        )  # fmt: skip
        limit, best = host.args.save_total_limit, state.best_model_checkpoint
        checkpoints.keep(output, limit=limit, best=best)
    host.accelerator.wait_for_everyone()
