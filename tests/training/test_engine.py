from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from tests.runs.children import ended, start_pair
from tests.training.stepping import update
from tunesmith.data.batches import Batch
from tunesmith.tasks import Outputs
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import ExactEngine, ExactForward, own_memory, sum_over_ranks


def run(model: nn.Module, batch: Batch) -> Outputs:
    answers = model(batch.inputs["x"])
    return Outputs(answers.square().sum(), {"logits": answers})


def batch_of(x: torch.Tensor, *, is_dummy: bool = False) -> Batch:
    return Batch({"x": x}, None, len(x), 0, np.arange(len(x)), is_dummy)


def engine(max_grad_norm: float | None = None) -> ExactEngine:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    return ExactEngine(
        model,
        run,
        make_accelerator(device="cpu"),
        make_optimizer=lambda: torch.optim.AdamW(model.parameters(), lr=1.0, fused=True),
        max_grad_norm=max_grad_norm,
    )


def gradient(made: ExactEngine) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in made.network.parameters() if p.grad is not None])


@pytest.mark.parametrize("rate", [0.25, None])
def test_the_learning_rate_is_that_of_the_groups(rate: float | None) -> None:
    """Written for this step, or there since before."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    made = ExactEngine(
        model, run, make_accelerator(device="cpu"), make_optimizer=lambda: optimizer,
        max_grad_norm=None,
    )  # fmt: skip
    made.set_training(True)
    made.accumulate(batch_of(torch.ones(2, 3)), 0.5, is_last=True)
    before, moved = model.weight.detach().clone(), gradient(made)[: model.weight.numel()]
    update(made, rate)
    expected = before - (rate or 0.5) * moved.view_as(before)
    torch.testing.assert_close(model.weight.detach(), expected)


def test_gradients_of_several_batches_add_up() -> None:
    rows = torch.randn(6, 3)
    whole, cut = engine(), engine()
    for made in (whole, cut):
        made.set_training(False)
    whole.accumulate(batch_of(rows), 1 / 6, is_last=True)
    first = cut.accumulate(batch_of(rows[:2]), 1 / 6, is_last=False)
    second = cut.accumulate(batch_of(rows[2:]), 1 / 6, is_last=True)
    torch.testing.assert_close(gradient(whole), gradient(cut))
    assert not first.requires_grad
    loss = whole.outputs(batch_of(rows)).loss_sum
    assert loss is not None
    assert sum_over_ranks(cut.accelerator, first + second) == pytest.approx(loss.item())


def test_a_batch_that_does_not_count_changes_nothing() -> None:
    made = engine()
    loss = made.accumulate(batch_of(torch.randn(2, 3), is_dummy=True), 1.0, is_last=True)
    assert loss == 0 and gradient(made).abs().sum() == 0


def test_the_norm_is_that_before_clipping() -> None:
    made = engine(max_grad_norm=1e-3)
    made.set_training(False)
    made.accumulate(batch_of(torch.randn(5, 3)), 1.0, is_last=True)
    norm = float(gradient(made).norm())
    before = [p.clone() for p in made.network.parameters()]
    assert update(made, 0.01) == pytest.approx(norm, rel=1e-5)
    assert all(p.grad is None for p in made.network.parameters())
    steps = [
        (a - b).abs().max().item() for a, b in zip(before, made.network.parameters(), strict=True)
    ]
    assert 0 < max(steps) < 0.011  # Adam's first step is the learning rate


def test_a_gradient_that_is_not_finite_is_forgotten() -> None:
    made = engine()
    before = [p.clone() for p in made.network.parameters()]
    made.accumulate(batch_of(torch.full((2, 3), math.inf)), 1.0, is_last=True)
    assert not math.isfinite(update(made, 0.01))
    assert all(torch.equal(a, b) for a, b in zip(before, made.network.parameters(), strict=True))
    assert all(p.grad is None for p in made.network.parameters())
    assert made.state() == {}


def test_state_goes_out_and_comes_back() -> None:
    made, other = engine(), engine()
    made.accumulate(batch_of(torch.randn(5, 3)), 1.0, is_last=True)
    update(made, 0.01)
    with made.plain_model():
        tensors = made.state()
    assert set(tensors) == {
        f"{layer}.{kind}.{part}"
        for layer in ("0", "2")
        for kind in ("weight", "bias")
        for part in ("step", "exp_avg", "exp_avg_sq")
    }
    assert other.load_state({**tensors, "ghost.weight.exp_avg": torch.zeros(1)}) == ["ghost.weight"]
    again = other.state()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_a_forward_alone_needs_no_optimizer() -> None:
    model = nn.Linear(3, 2).eval()
    forward = ExactForward(model, run, make_accelerator(device="cpu"))
    rows = torch.randn(4, 3)
    torch.testing.assert_close(forward.outputs(batch_of(rows)).per_example["logits"], model(rows))


def test_a_gradient_can_be_forgotten() -> None:
    made = engine()
    made.accumulate(batch_of(torch.randn(3, 3)), 1.0, is_last=False)
    made.discard_gradients()
    assert all(p.grad is None for p in made.network.parameters())


def test_a_gradient_that_is_thrown_away_frees_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[str] = []
    monkeypatch.setattr(
        "tunesmith.training.engine.release_memory", lambda device: freed.append(device.type)
    )
    engine().discard_gradients()
    assert freed == ["cpu"]


def test_weights_with_memory_of_their_own_stay_where_they_are() -> None:
    network = nn.Linear(3, 2)
    before = [p.data_ptr() for p in network.parameters()]
    own_memory(network)
    assert [p.data_ptr() for p in network.parameters()] == before


def test_weights_cut_from_a_fused_one_get_memory_of_their_own(tmp_path: Path) -> None:
    """As transformers leaves query, key and value of some families behind when it loads them."""
    fused = torch.randn(6, 2)
    network = nn.ModuleList(nn.Linear(2, 2, bias=False) for _part in range(3))
    for layer, part in zip(network, fused.chunk(3), strict=True):
        layer.weight.data = part
    network.append(nn.Linear(2, 2, bias=False))
    network[3].weight = network[0].weight  # one weight in two places stays that
    before = [p.detach().clone() for p in network.parameters()]
    own_memory(network)
    assert network[3].weight is network[0].weight
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))
    save_model(network, str(tmp_path / "model.safetensors"))


def _step_of_a_worker(folder: Path) -> None:
    """One step of two micro-batches and an update; the second process has less to count."""
    rank = int(os.environ["RANK"])
    rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    made = engine(max_grad_norm=0.5)
    forward = ExactForward(nn.Linear(3, 2), run, make_accelerator(device="cpu"))
    assert type(forward._model) is nn.Linear  # a pass that waits for other processes could hang
    made.set_training(False)
    for i, part in enumerate((rows[rank : rank + 2], rows[rank + 4 : rank + 7])):
        is_dummy = rank == 1 and i == 1
        loss = made.accumulate(batch_of(part, is_dummy=is_dummy), 1 / 7, is_last=i == 1)
    save_file(
        {
            "gradient": gradient(made),
            "loss": torch.tensor(sum_over_ranks(made.accelerator, loss), dtype=torch.float64),
            "three": torch.tensor(sum_over_ranks(made.accelerator, 1.0 + rank)),
            "norm": torch.tensor(update(made, 0.01)),
            "weights": torch.cat([p.detach().flatten() for p in made.network.parameters()]),
        },
        folder / f"{rank}.safetensors",
    )


def test_two_processes_share_a_step(tmp_path: Path) -> None:
    """The gradient is the sum over all batches that count, on both; likewise losses and numbers."""
    assert ended(start_pair(_step_of_a_worker, tmp_path)) == [0, 0]
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    alone = engine(max_grad_norm=0.5)
    alone.set_training(False)
    parts = [rows[0:2], rows[4:7], rows[1:3]]
    losses = [
        alone.accumulate(batch_of(part), 1 / 7, is_last=i == len(parts) - 1)
        for i, part in enumerate(parts)
    ]
    expected = gradient(alone)
    for worker in (first, second):
        torch.testing.assert_close(worker["gradient"], expected)
        assert worker["loss"].item() == pytest.approx(losses[1].item(), rel=1e-6)
        assert worker["three"] == 3.0
        assert worker["norm"].item() == pytest.approx(expected.norm().item(), rel=1e-5)
    assert torch.equal(first["weights"], second["weights"])
    update(alone, 0.01)
    weights = torch.cat([p.detach().flatten() for p in alone.network.parameters()])
    torch.testing.assert_close(first["weights"], weights)


def test_an_evaluation_needs_no_other_process() -> None:
    """DDP exchanges buffers in a forward pass; a process that has stopped would never come."""
    seen: list[object] = []
    exact: Any = ExactEngine.__new__(ExactEngine)
    exact.network, exact._model = object(), object()
    exact.accelerator = SimpleNamespace(device="cpu")
    exact._run = lambda model, _batch: seen.append(model)
    exact.outputs(SimpleNamespace(to=lambda _device: None))
    assert seen == [exact.network]
