from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.batching import Batch
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


def test_a_step_that_is_made_again_counts_once() -> None:
    """With the smaller micro-batches that memory allows, and by their padding."""

    class Ragged:
        def batch(self, places: Any, **_more: Any) -> Batch:
            ids = torch.ones((len(places), int(max(places)) + 1))
            return Batch({"input_ids": ids}, None, len(places), 7 * len(places), places)

    made = stretch()
    made.rows = cast("Any", Ragged())
    made._micro_batches(0)
    before = {**made.sums}
    made._micro_batches(1)
    made.progress.micro_batch_size = 2
    batches = made._micro_batches(1)
    assert [len(batch.examples) for _number, batch in batches] == [2, 2]
    places = sum(batch.inputs["input_ids"].numel() for _number, batch in batches)
    added = {name: made.sums[name] - before[name] for name in ("tokens", "places", "flops")}
    assert added == {"tokens": 28, "places": places, "flops": places}


def test_it_goes_on_where_it_stood() -> None:
    before = stretch()
    before.take(step(1, 3.0))
    facts = {**before.facts()}
    after = stretch(learning_rate=1e-2)
    changed = after.go_on(Progress(step=1), facts)
    assert changed == [("learning_rate", 5e-5, 1e-2)]
    assert after.sums == before.sums and after.progress.step == 1
