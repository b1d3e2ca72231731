"""Callbacks of transformers on the stream of events: who hears what, and what they may look at."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback, TrainerState
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_callback import (
    CallbackHandler,
    DefaultFlowCallback,
    ExportableState,
    PrinterCallback,
    ProgressCallback,
)
from transformers.utils import logging as transformers_logging
from transformers.utils.import_utils import is_in_notebook

__all__ = [
    "UPDATES",
    "hears",
    "make_handler",
    "note_states",
    "put_states_back",
    "set_level",
    "watched",
]

UPDATES = ("on_pre_optimizer_step", "on_optimizer_step")
"""Events inside an update, when gradients can be looked at."""


def make_handler(
    args: Any, callbacks: Iterable[Any], *, model: Any, processing_class: Any, optimizer: Any
) -> CallbackHandler:
    """The callbacks that a Trainer of transformers would have, and a person's own after them.

    Bars are drawn where somebody watches: on a terminal or in a notebook. Elsewhere each log is a
    line.
    """
    watched = sys.stderr.isatty() or is_in_notebook()
    shown = _bars() if watched and not args.disable_tqdm else PrinterCallback
    reporting = get_reporting_integration_callbacks(args.report_to)
    return CallbackHandler(
        [DefaultFlowCallback, *reporting, *callbacks, shown],
        model, processing_class, optimizer, None,
    )  # fmt: skip


def hears(callbacks: Iterable[TrainerCallback], *events: str) -> bool:
    """Whether some callback of a person's own answers to one of these events."""
    return any(
        not type(callback).__module__.startswith("transformers.")
        and getattr(type(callback), event, None) is not getattr(TrainerCallback, event)
        for callback in callbacks
        for event in events
    )


def note_states(callbacks: Iterable[Any], state: TrainerState) -> None:
    """Write what callbacks remember, such as the patience of early stopping, into the state."""
    noted: dict[str, Any] = {}
    for callback in callbacks:
        if isinstance(callback, ExportableState):
            noted.setdefault(type(callback).__name__, []).append(callback.state())
    state.stateful_callbacks = {
        name: states if len(states) > 1 else states[0] for name, states in noted.items()
    }


def put_states_back(callbacks: Iterable[Any], state: TrainerState) -> None:
    """Let callbacks remember what they knew when the state was written, in their order."""
    for callback in callbacks:
        found = (state.stateful_callbacks or {}).get(type(callback).__name__)
        if found and isinstance(callback, ExportableState):
            states = found if isinstance(found, list) else [found]
            for name, value in states.pop(0)["attributes"].items():
                setattr(callback, name, value)
            state.stateful_callbacks[type(callback).__name__] = states


def _bars() -> type[TrainerCallback]:
    if is_in_notebook():
        from transformers.utils.notebook import NotebookProgressCallback

        notebook: type[TrainerCallback] = NotebookProgressCallback
        return notebook
    bars: type[TrainerCallback] = ProgressCallback
    return bars


@contextmanager
def watched(optimizer: Any, tell: Callable[[str], None]) -> Iterator[None]:
    """Say when the optimizer is about to step, its gradients clipped, and when it has stepped."""
    before, after = UPDATES
    handles = [
        optimizer.register_step_pre_hook(lambda *_given: tell(before)),
        optimizer.register_step_post_hook(lambda *_given: tell(after)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def set_level(args: Any) -> None:
    """Let transformers and this room speak as loudly as the arguments say."""
    if args.log_level != "passive":
        level = args.get_process_log_level()
        transformers_logging.set_verbosity(level)
        logging.getLogger("tunesmith.trainer").setLevel(level)
