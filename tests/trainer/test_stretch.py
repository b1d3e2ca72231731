from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.events import StepDone
from tunesmith.loop import Progress
from tunesmith.trainer.arguments import TrainingArguments
from tunesmith.trainer.engines import make_plan
from tunesmith.trainer.stretch import Stretch


def stretch(rows: int = 20, **more: Any) -> Stretch:
    named = {"per_device_train_batch_size": 4, **more}
    plan = make_plan(TrainingArguments("out", **named), num_examples=rows, num_processes=1)
    nothing: Any = None
    return Stretch(nothing, plan, nothing, 0, 1.0)


def step(number: int, loss: float) -> StepDone:
    return StepDone(number, loss, 1e-3, 2.0, examples=4, tokens=9)


def test_logs_are_the_mean_since_the_last_ones() -> None:
    made = stretch()
    assert made.logs() == {}
    for number, loss in enumerate((1.0, 2.0), start=1):
        made.take(step(number, loss))
    assert made.logs() == {"loss": 1.5, "grad_norm": 2.0, "learning_rate": 1e-3}
    made.take(step(3, 5.0))
    assert made.logs()["loss"] == 5.0
    assert made.sums["loss"] == 8.0


@given(rows=st.integers(1, 60), accumulated=st.integers(1, 4), size=st.integers(1, 5))
def test_epochs_are_counted_in_batches(rows: int, accumulated: int, size: int) -> None:
    """As transformers does: an update after so many batches, and after the last of an epoch."""
    made = stretch(
        rows, gradient_accumulation_steps=accumulated, per_device_train_batch_size=size,
        num_train_epochs=2,
    )  # fmt: skip
    batches = -(-rows // size)
    expected = []
    for epoch in range(2):
        for batch in range(1, batches + 1):
            if batch % accumulated == 0 or batch == batches:
                expected.append(epoch + batch / batches)
    found = []
    for number in range(1, made.plan.total_steps + 1):
        made.progress.step = number
        found.append(made.epoch)
        assert made.ends_epoch == (found[-1] == round(found[-1]))
    assert found == pytest.approx(expected)


def test_it_goes_on_where_it_stood() -> None:
    before = stretch()
    before.take(step(1, 3.0))
    facts = {**before.facts()}
    after = stretch(learning_rate=1e-2)
    changed = after.go_on(Progress(step=1), facts)
    assert changed == [("learning_rate", 5e-5, 1e-2)]
    assert after.sums == before.sums and after.progress.step == 1
