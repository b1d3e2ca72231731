from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.training.fast.models import FAMILIES, SIZES, batch_of, classify, model_of
from tunesmith.analysis.bench import roofline
from tunesmith.analysis.bench.roofline import (
    Machine,
    Products,
    measure_machine,
    others_since,
    processor_speed,
    products_of,
    work_of,
)
from tunesmith.training.fast.neighbors import read


def counted(model: torch.nn.Module) -> Products:
    result = products_of(model, classify, batch_of([5, 9]))
    assert result is not None
    return result


@pytest.mark.parametrize("family", ["bert", "albert", "distilbert", "electra", "gpt2", "roberta"])
@pytest.mark.parametrize("layers", [2, 4])
def test_products_are_those_that_torch_counts(family: str, layers: int) -> None:
    """Rows of one length, so that nothing is padded: forward and backward, counted by torch."""
    depth = {"distilbert": "n_layers", "gpt2": "n_layer"}.get(family, "num_hidden_layers")
    # torch counts no product of its own attention on a CPU
    model = model_of(family, attn_implementation="eager", **{depth: layers})
    batch = batch_of([16] * 4)
    counter = FlopCounterMode(display=False)
    with counter:
        loss = classify(model, batch).loss_sum
        assert loss is not None
        loss.backward()
    work = work_of(model, counted(model), [16] * 4, updated=0, table_rows=0)
    # the model's first layer needs no gradient of its input, which the formula does not know
    assert work.flops == pytest.approx(counter.get_total_flops(), rel=0.1)


def test_cutting_the_last_layer_saves_what_is_behind_its_attention() -> None:
    model = model_of("bert")
    products = counted(model)
    whole = work_of(model, products, [10, 20], updated=0, table_rows=0)
    cut = work_of(model, products, [10, 20], updated=0, table_rows=0, cuts_last_layer=True)
    width, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    assert whole.flops - cut.flops == 6 * (30 - 2) * (width * width + 2 * width * inner)


def test_what_is_called_for_other_reasons_has_no_limit() -> None:
    """DeBERTa multiplies its distances, of which there are as many for any batch."""
    assert products_of(model_of("deberta-v2"), classify, batch_of([5, 9])) is None


def test_weights_outside_linear_layers_have_no_limit() -> None:
    model = model_of("bert")
    model.own = torch.nn.Parameter(torch.zeros(3, 3))
    assert products_of(model, classify, batch_of([5, 9])) is None


def test_one_token_is_not_distinguished_from_one_row() -> None:
    assert products_of(model_of("bert"), classify, batch_of([1, 1])) is None


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_model_as_it_was(training: bool) -> None:
    model = model_of("bert").train(training)
    counted(model)
    assert model.training is training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_counted_or_has_no_limit(family: str) -> None:
    result = products_of(model_of(family), classify, batch_of([5, 9]))
    linear = [m for m in model_of(family).base_model.modules() if isinstance(m, roofline._LINEAR)]
    assert result is None or result.of_token > sum(m.weight.numel() for m in linear) / 2


def test_updates_are_counted_as_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes one second by the measured rate is one second of the limit."""
    model = model_of("bert")
    monkeypatch.setattr(roofline, "_best", lambda _call, _device: 1.0)
    machine = measure_machine(model, 300, torch.float32)
    update = work_of(model, Products(0, 0), [], updated=4_000_000, table_rows=0)
    assert update.seconds(machine) == pytest.approx(1.0)


@pytest.mark.parametrize(("family", "shape"), [("bert", (32, 48)), ("gpt2", (32, 128))])
def test_the_rate_is_that_of_the_widest_layer(
    family: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roofline, "_best", lambda _call, _device: 1.0)
    machine = measure_machine(model_of(family), 300, torch.float32)
    assert machine.flops == 2 * 300 * shape[0] * shape[1]


def test_the_limit_grows_with_work_and_falls_with_speed() -> None:
    model = model_of("bert")
    products = counted(model)
    small = work_of(model, products, [10], updated=1000, table_rows=50)
    large = work_of(model, products, [10, 10], updated=1000, table_rows=50)
    slow, quick = Machine(1e9, 1e9), Machine(1e10, 1e10)
    assert small.seconds(slow) < large.seconds(slow)
    assert small.seconds(quick) == pytest.approx(small.seconds(slow) / 10)
    half = work_of(model, products, [10], updated=1000, table_rows=50, half=True)
    assert half.bytes > small.bytes


@pytest.mark.parametrize(("others", "tries"), [([0.1], 1), ([0.9, 0.1], 2), ([0.9] * 9, 3)])
def test_the_best_rates_of_a_busy_machine_count(
    others: list[float], tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([2.0, 2.0, 1.0, 4.0, 8.0, 8.0])
    monkeypatch.setattr(roofline, "_best", lambda _call, _device: next(seconds))
    monkeypatch.setattr(roofline, "others_since", lambda _before: others.pop(0))
    machine = measure_machine(model_of("bert"), 300, torch.float32)
    assert machine.flops == 2 * 300 * 32 * 48 / (2.0 if tries == 1 else 1.0)
    assert machine.bytes == roofline._UPDATE_BYTES * 4_000_000 / 2.0
    assert len(list(seconds)) == 6 - 2 * tries


def test_a_machine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "others_since", lambda _before: 0.0)
    result = measure_machine(model_of("bert"), 300, torch.float32)
    assert 1e6 < result.flops < 1e16
    assert 1e6 < result.bytes < 1e15


def test_processor_and_load_are_measured() -> None:
    assert 1 < processor_speed(0.002) < 1e9
    assert others_since(None) == 0.0 and others_since(read(None)) >= 0.0
