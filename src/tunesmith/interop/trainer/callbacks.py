"""Callbacks of transformers on a model that may be patched: events, and state in checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_callback import CallbackHandler, ExportableState
from transformers.utils import logging as transformers_logging

__all__ = [
    "INSIDE_A_STEP",
    "Handler",
    "hears",
    "note_states",
    "put_states_back",
    "set_level",
]

INSIDE_A_STEP = ("on_pre_optimizer_step", "on_optimizer_step", "on_substep_end")
"""Events between the first batch of a step and its update, when gradients can be looked at."""


class Handler(CallbackHandler):  # type: ignore[misc]
    """The callbacks of a Trainer; those that may look at the model get the plain one."""

    def __init__(
        self, before: CallbackHandler, plain_model: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Take the callbacks and what they are passed over from another handler.

        Args:
            before: as transformers makes it.
            plain_model: a context in which the model is plain.
        """
        self.__dict__.update(vars(before))
        self._plain_model = plain_model

    def call_event(self, event: str, *arguments: Any, **more: Any) -> TrainerControl:
        """Call every callback, with the plain model if one of a script's own hears of the event."""
        with self._plain_model() if hears(self.callbacks, event) else nullcontext():
            return super().call_event(event, *arguments, **more)


def hears(callbacks: Iterable[TrainerCallback], *events: str) -> bool:
    """Whether some callback of a script's own answers to one of these events."""
    return any(
        not type(callback).__module__.startswith("transformers.")
        and getattr(type(callback), event, None) is not getattr(TrainerCallback, event)
        for callback in callbacks
        for event in events
    )


def note_states(callbacks: Iterable[Any], state: TrainerState) -> None:
    """Write what callbacks remember, such as the patience of early stopping, into the state.

    Args:
        callbacks: and the control of the Trainer, which is saved like one.
        state: of the Trainer.
    """
    states: dict[str, Any] = {}
    for callback in callbacks:
        if isinstance(callback, ExportableState):
            states.setdefault(type(callback).__name__, []).append(callback.state())
    state.stateful_callbacks = {
        name: several if len(several) > 1 else several[0] for name, several in states.items()
    }


def put_states_back(callbacks: Iterable[Any], state: TrainerState) -> None:
    """Let callbacks remember what they counted when the state was written, in their order.

    Their settings stay those of now.
    """
    saved = {
        name: list(states) if isinstance(states, list) else [states]
        for name, states in (state.stateful_callbacks or {}).items()
    }
    for callback in callbacks:
        if isinstance(callback, ExportableState) and saved.get(type(callback).__name__):
            for name, value in saved[type(callback).__name__].pop(0)["attributes"].items():
                setattr(callback, name, value)


def set_level(args: Any) -> None:
    """Set the log level of transformers and of this package as the arguments say."""
    if args.log_level != "passive":
        level = args.get_process_log_level()
        transformers_logging.set_verbosity(level)
        logging.getLogger("tunesmith.interop.trainer").setLevel(level)
