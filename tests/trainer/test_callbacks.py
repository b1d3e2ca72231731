from __future__ import annotations

import logging
from typing import Any

import torch
import transformers
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer_callback import PrinterCallback

from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.callbacks import (
    UPDATES,
    hears,
    make_handler,
    note_states,
    put_states_back,
    set_level,
    watched,
)


class Own(TrainerCallback):
    def on_step_end(self, _args: Any, _state: Any, _control: Any, **_more: Any) -> None: ...


def test_who_hears_what() -> None:
    assert hears([Own()], "on_step_end") and hears([Own()], "on_save", "on_step_end")
    assert not hears([Own()], "on_save")
    assert not hears([EarlyStoppingCallback()], "on_evaluate")  # which looks at no model


def test_without_a_terminal_each_log_is_a_line() -> None:
    handler = make_handler(
        TrainingArguments("out"), [Own], model=None, processing_class=None, optimizer=None
    )
    kinds = [type(callback) for callback in handler.callbacks]
    assert kinds[1:] == [Own, PrinterCallback]


def test_what_callbacks_remember_comes_back() -> None:
    before = [EarlyStoppingCallback(3), Own(), EarlyStoppingCallback(5)]
    before[0].early_stopping_patience_counter, before[2].early_stopping_patience_counter = 2, 4
    state = TrainerState()
    note_states(before, state)
    after = [EarlyStoppingCallback(3), EarlyStoppingCallback(9)]
    put_states_back(after, state)
    counters = [callback.early_stopping_patience_counter for callback in after]
    assert counters == [2, 4]
    assert after[1].early_stopping_patience == 9  # what is asked for now
    put_states_back([EarlyStoppingCallback(3)], TrainerState())


def test_updates_are_watched_and_no_longer() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    heard: list[str] = []
    with watched(optimizer, heard.append):
        optimizer.step()
    optimizer.step()
    assert heard == list(UPDATES)


def test_the_level_of_the_log() -> None:
    level, room = transformers.logging.get_verbosity(), logging.getLogger("tunesmith.trainer")
    try:
        set_level(TrainingArguments("out"))
        assert transformers.logging.get_verbosity() == level
        set_level(TrainingArguments("out", log_level="error"))
        assert transformers.logging.get_verbosity() == room.level == logging.ERROR
    finally:
        transformers.logging.set_verbosity(level)
        room.setLevel(logging.NOTSET)
