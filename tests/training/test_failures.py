from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tunesmith.data.batches import Batch
from tunesmith.errors import ResourceError, Severity
from tunesmith.recipe import TrainSettings
from tunesmith.training.engine import Step
from tunesmith.training.failures import diverged, repeat_smaller, skipped_update
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.plan import Plan, make_plan
from tunesmith.training.progress import Progress


class Discarding:
    """An engine that only counts how often its gradients were discarded."""

    times = 0

    def discard_gradients(self) -> None:
        self.times += 1


def batch_of(rows: int) -> Batch:
    return Batch({}, None, rows, 7 * rows, np.arange(10, 10 + rows))


def plan_for(num_processes: int) -> Plan:
    return make_plan(TrainSettings(), num_examples=50, num_processes=num_processes)


@pytest.mark.parametrize(("rows", "fewer"), [(8, 4), (7, 4), (2, 1)])
def test_micro_batches_are_halved_and_the_gradient_is_discarded(rows: int, fewer: int) -> None:
    engine: Any = Discarding()
    progress = Progress(step=3)
    warned = repeat_smaller(engine, plan_for(1), progress, batch_of(rows))
    assert (warned.step, warned.problem.code, warned.problem.severity) == (
        3, "M140", Severity.WARNING,
    )  # fmt: skip
    assert progress.micro_batch_size == fewer and engine.times == 1
    assert f"train.micro_batch_size={fewer}" in str(warned.problem.fix)


def test_a_single_row_cannot_be_halved() -> None:
    with pytest.raises(OneRowTooLarge, match="a single row of 7 tokens") as caught:
        repeat_smaller(Discarding(), plan_for(1), Progress(), batch_of(1))  # type: ignore[arg-type]
    assert caught.value.example == 10


def test_several_processes_cannot_halve() -> None:
    engine: Any = Discarding()
    with pytest.raises(ResourceError, match="one of 2 processes is out of memory with 6 rows"):
        repeat_smaller(engine, plan_for(2), Progress(), batch_of(6))
    assert engine.times == 0


def test_a_skipped_update_names_its_examples() -> None:
    step = Step(5, [(0, batch_of(2)), (1, batch_of(1))], 3.0, torch.zeros(()))
    warned = skipped_update(step, 0.5, float("inf"))
    assert (warned.step, warned.problem.code, warned.rows) == (5, "M116", (10, 11, 10))
    assert "loss 0.5, gradient norm inf" in warned.problem.message


def test_divergence_tells_where_it_stopped() -> None:
    error = diverged(replace(Progress(), step=9, skipped_in_a_row=3))
    assert "3 updates in a row were not finite; stopped at step 9" in str(error)
