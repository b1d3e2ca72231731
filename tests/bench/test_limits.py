from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.fast.models import SIZES, batch_of, classify, model_of
from tunesmith.bench.limits import Machine, measure_machine, work_of


def test_products_are_those_that_torch_counts() -> None:
    """Rows of one length, so that nothing is padded: forward and backward, counted by torch."""
    # torch counts no product of its own attention on a CPU
    model = model_of("bert", attn_implementation="eager")
    batch = batch_of([16] * 4)
    counter = FlopCounterMode(display=False)
    with counter:
        loss = classify(model, batch).loss_sum
        assert loss is not None
        loss.backward()
    work = work_of(model, [16] * 4, updated=0, table_rows=0)
    # the model's first layer needs no gradient of its input, which the formula does not know
    assert work.flops == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_cutting_the_last_layer_saves_what_is_behind_its_attention() -> None:
    model = model_of("bert")
    whole = work_of(model, [10, 20], updated=0, table_rows=0)
    cut = work_of(model, [10, 20], updated=0, table_rows=0, cuts_last_layer=True)
    width, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    assert whole.flops - cut.flops == 6 * (30 - 2) * (width * width + 2 * width * inner)


def test_the_limit_grows_with_work_and_falls_with_speed() -> None:
    model = model_of("bert")
    small = work_of(model, [10], updated=1000, table_rows=50)
    large = work_of(model, [10, 10], updated=1000, table_rows=50)
    slow, quick = Machine(1e9, 1e9), Machine(1e10, 1e10)
    assert small.seconds(slow) < large.seconds(slow)
    assert small.seconds(quick) == pytest.approx(small.seconds(slow) / 10)
    half = work_of(model, [10], updated=1000, table_rows=50, half=True)
    assert half.bytes > small.bytes


def test_a_machine_is_measured() -> None:
    found = measure_machine(model_of("bert"), 300, torch.float32)
    assert 1e6 < found.flops < 1e16
    assert 1e6 < found.bytes < 1e15
