from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import transformers
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback, TrainerControl

from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.callbacks import (
    Handler,
    hears,
    note_states,
    put_states_back,
    set_level,
)


class Own(TrainerCallback):
    def on_step_end(self, _args: Any, _state: Any, _control: Any, **_more: Any) -> None: ...


def test_who_hears_what() -> None:
    assert hears([Own()], "on_step_end") and hears([Own()], "on_save", "on_step_end")
    assert not hears([Own()], "on_save")
    assert not hears([EarlyStoppingCallback()], "on_evaluate")  # which looks at no model


def test_who_hears_of_an_event_finds_the_plain_model() -> None:
    opened: list[str] = []

    @contextmanager
    def plain() -> Iterator[None]:
        opened.append("in")
        yield
        opened.append("out")

    before = CallbackHandler([DefaultFlowCallback, Own], "model", "words", "adam", None)
    handler = Handler(before, plain)
    assert handler.callbacks is before.callbacks
    assert (handler.model, handler.processing_class, handler.optimizer) == (
        "model",
        "words",
        "adam",
    )
    args, state, control = TrainingArguments("out"), TrainerState(), TrainerControl()
    assert handler.on_save(args, state, control) is control and opened == []
    state.max_steps = 5
    assert handler.on_step_end(args, state, control) is control and opened == ["in", "out"]


def test_what_callbacks_remember_comes_back() -> None:
    before = [EarlyStoppingCallback(3), Own(), EarlyStoppingCallback(5)]
    before[0].early_stopping_patience_counter, before[2].early_stopping_patience_counter = 2, 4
    state = TrainerState()
    note_states(before, state)
    after = [EarlyStoppingCallback(3), EarlyStoppingCallback(9)]
    put_states_back(after, state)
    counters = [callback.early_stopping_patience_counter for callback in after]
    assert counters == [2, 4]
    assert after[1].early_stopping_patience == 9  # what the arguments say now
    assert state.stateful_callbacks["EarlyStoppingCallback"][0]["attributes"] == {
        "early_stopping_patience_counter": 2
    }  # not used up
    put_states_back([EarlyStoppingCallback(3)], TrainerState())


def test_the_level_of_the_log() -> None:
    level, room = (
        transformers.logging.get_verbosity(),
        logging.getLogger("tunesmith.interop.trainer"),
    )
    try:
        set_level(TrainingArguments("out"))
        assert transformers.logging.get_verbosity() == level
        set_level(TrainingArguments("out", log_level="error"))
        assert transformers.logging.get_verbosity() == room.level == logging.ERROR
    finally:
        transformers.logging.set_verbosity(level)
        room.setLevel(logging.NOTSET)
