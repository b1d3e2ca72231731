from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.batches import Batch
from tunesmith.interop.trainer.arguments import TrainingArguments
from tunesmith.interop.trainer.datasets import Rows
from tunesmith.interop.trainer.steps import TrainerSession, make_plan
from tunesmith.training.events import StepDone
from tunesmith.training.progress import Progress


def session(rows: int = 20, **more: Any) -> TrainerSession:
    named = {"per_device_train_batch_size": 4, **more}
    plan = make_plan(TrainingArguments("out", **named), num_examples=rows, num_processes=1)
    nothing: Any = None
    optimizer = torch.optim.SGD(
        [torch.nn.Parameter(torch.zeros(1))], lr=more.get("learning_rate", 1e-3)
    )
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    return TrainerSession(plan, nothing, 0, 1.0, falling)


def step(number: int, loss: float) -> StepDone:
    return StepDone(number, loss, 1e-3, 2.0, examples=4, tokens=9)


def test_logs_are_the_mean_since_the_last_ones() -> None:
    made = session()
    assert made.logs() == {}
    for number, loss in enumerate((1.0, 2.0), start=1):
        made.take(step(number, loss))
        made.advance()
    assert made.logs() == {"loss": 1.5, "grad_norm": 2.0, "learning_rate": 0.5e-3}
    made.take(step(3, 5.0))
    assert made.logs()["loss"] == 5.0
    assert made.sums["loss"] == 8.0


@given(rows=st.integers(1, 60), accumulated=st.integers(1, 4), size=st.integers(1, 5))
def test_epochs_are_counted_in_batches(rows: int, accumulated: int, size: int) -> None:
    """As transformers does: an update after so many batches, and after the last of an epoch."""
    made = session(
        rows, gradient_accumulation_steps=accumulated, per_device_train_batch_size=size,
        num_train_epochs=2,
    )  # fmt: skip
    batches = -(-rows // size)
    expected = []
    for epoch in range(2):
        for batch in range(1, batches + 1):
            if batch % accumulated == 0 or batch == batches:
                expected.append(epoch + batch / batches)
    epochs = []
    for number in range(1, made.plan.total_steps + 1):
        made.progress.step = number
        epochs.append(made.epoch)
        assert made.ends_epoch == (epochs[-1] == round(epochs[-1]))
    assert epochs == pytest.approx(expected)


def test_a_step_that_is_made_again_counts_once() -> None:
    """With the smaller micro-batches that memory allows, and by their padding."""

    class Ragged(Rows):
        def __init__(self) -> None:
            self._main_input = "input_ids"

        def batch(self, places: Any, **_more: Any) -> Batch:
            ids = torch.ones((len(places), int(max(places)) + 1))
            return Batch({"input_ids": ids}, None, len(places), 7 * len(places), places)

    made = session()
    made.rows = Ragged()
    made._micro_batches(0)
    before = {**made.sums}
    made._micro_batches(1)
    made.progress.micro_batch_size = 2
    batches = made._micro_batches(1)
    assert [len(batch.examples) for _number, batch in batches] == [2, 2]
    size = sum(batch.inputs["input_ids"].numel() for _number, batch in batches)
    added = {name: made.sums[name] - before[name] for name in ("tokens", "size", "flops")}
    assert added == {"tokens": 28, "size": size, "flops": size}


def test_it_continues_from_its_position() -> None:
    before = session()
    before.take(step(1, 3.0))
    facts = {**before.facts()}
    after = session(learning_rate=1e-2)
    changed = after.go_on(Progress(step=1), facts)
    assert changed == [("learning_rate", 5e-5, 1e-2)]
    assert after.sums == before.sums and after.progress.step == 1
    assert (after.steps_made, after.mean_loss) == (
        0,
        0.0,
    )  # of this call, and not of the one before
    after.progress.step = 3
    after.take(step(2, 5.0))
    after.take(step(3, 6.0))
    assert (after.steps_made, after.mean_loss) == (2, 5.5)


def test_the_schedule_continues_from_its_position() -> None:
    """Also where a callback moved it, and after a training by another loop, which notes nothing."""
    before = session()
    before.advance(3)
    assert before.learning_rate == pytest.approx(1e-3 / 8)
    after = session(learning_rate=1e-2)
    after.go_on(Progress(step=2), before.facts())
    assert after.learning_rate == pytest.approx(1e-2 / 8)
    other = session()
    assert other.go_on(Progress(step=2), {}) == []
    assert other.learning_rate == pytest.approx(1e-3 / 4) and other.left_out == 0


@given(rows=st.integers(1, 40), epochs=st.integers(1, 4), stops=st.sets(st.integers(1, 30)))
def test_an_epoch_that_is_cut_short_is_followed_by_the_next(
    rows: int, epochs: int, stops: set[int]
) -> None:
    """Each step takes rows of its own epoch, and training is over after the last epoch."""
    made = session(rows, num_train_epochs=epochs, per_device_train_batch_size=3)
    plan, reference = made.plan, []
    for epoch in range(epochs):
        for place in range(plan.steps_per_epoch):
            reference.append(epoch * plan.steps_per_epoch + place)
            if len(reference) in stops:
                break
    positions = []
    while not made.is_over:
        positions.append(made.position)
        made.progress.step += 1
        if made.progress.step in stops:
            made.end_epoch()
    assert positions == reference


def test_steps_and_batches_of_a_plan() -> None:
    args = TrainingArguments(
        "out", per_device_train_batch_size=3, gradient_accumulation_steps=2, num_train_epochs=1.5,
        warmup_ratio=0.5, data_seed=9,
    )  # fmt: skip
    plan = make_plan(args, num_examples=20, num_processes=2)
    assert (plan.batch_size, plan.micro_batch_size, plan.steps_per_epoch) == (12, 3, 2)
    assert (plan.total_steps, plan.warmup_steps, plan.seed) == (3, 2, 9)
    assert make_plan(
        TrainingArguments("out", max_steps=7), num_examples=20, num_processes=1
    ).total_steps == 7  # fmt: skip
