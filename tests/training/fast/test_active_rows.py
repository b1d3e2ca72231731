"""Rows that no step has used: leaving them out changes no bit of weights and moments."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.training.fast.models import batch_of
from tests.training.fast.test_engine import fast_engine, still
from tests.training.stepping import update
from tunesmith.data.batches import Batch
from tunesmith.recipe import TrainSettings
from tunesmith.training.fast.engine import FastEngine

Act = Callable[[FastEngine], object]
"""What happens between the backward pass and the update of a step, or in place of both."""


def few(seed: int) -> Batch:
    """A batch of few tokens, so that most rows of the table stay unused."""
    batch = batch_of([4, 3], seed=seed)
    batch.inputs["input_ids"].clamp_(max=12 + 8 * seed)
    return batch


def made(decay: float, *, skips: bool) -> FastEngine:
    settings = TrainSettings(learning_rate=1e-2, weight_decay=decay, max_grad_norm=0.5)
    engine = fast_engine(still("bert"), settings)
    assert engine._fused_update is not None
    if not skips:
        engine._fused_update._rows = None
    engine.set_training(True)
    return engine


def step(engine: FastEngine, seed: int, then: Act | None = None, weight: float = 0.5) -> float:
    engine.accumulate(few(seed), weight, is_last=True)
    if then is not None:
        then(engine)
    return update(engine, 1e-2 / (1 + seed))


def marks(engine: FastEngine) -> np.ndarray:
    assert engine._fused_update is not None and engine._fused_update._rows is not None
    return engine._fused_update._rows._marks


def table_gradient(engine: FastEngine) -> torch.Tensor:
    gradient = engine.network.get_input_embeddings().weight.grad
    assert gradient is not None
    return gradient


def moment(engine: FastEngine) -> torch.Tensor:
    weight = engine.network.get_input_embeddings().weight
    mean: torch.Tensor = engine.optimizer.state[weight]["exp_avg"]
    return mean


def assert_same(one: FastEngine, other: FastEngine) -> None:
    states = [engine.state() for engine in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    weights = [dict(engine.network.named_parameters()) for engine in (one, other)]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_unused_rows_are_left_out_to_the_bit(decay: float) -> None:
    engines = made(decay, skips=True), made(decay, skips=False)
    for seed in (0, 3, 1, 0, 1, 2):
        norms = [step(engine, seed) for engine in engines]
        assert norms[0] == norms[1]
        assert_same(*engines)
    seen = set(marks(engines[0]).tolist())
    assert seen == {0, 1, 3}, "some rows never used, some earlier, some now"


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_after_a_resumption_rows_with_moments_count(decay: float) -> None:
    first = made(decay, skips=True)
    for seed in range(3):
        step(first, seed)
    tensors = {name: tensor.clone() for name, tensor in first.state().items()}
    weights = {name: w.detach().clone() for name, w in first.network.named_parameters()}
    resumed = [made(decay, skips=True), made(decay, skips=False)]
    for engine in resumed:
        with torch.no_grad():
            for name, weight in engine.network.named_parameters():
                weight.copy_(weights[name])
        assert engine.load_state(tensors) == []
    for seed in (5, 1):
        assert step(first, seed) == step(resumed[0], seed) == step(resumed[1], seed)
    assert_same(resumed[0], resumed[1])
    assert_same(resumed[0], first)
    assert 0 in marks(resumed[0])


def test_a_skipped_update_and_micro_batches() -> None:
    engines = made(0.1, skips=True), made(0.1, skips=False)
    for engine in engines:
        for seed in range(2):
            step(engine, seed)
        assert not math.isfinite(step(engine, 5, weight=math.inf))
        engine.accumulate(few(2), 0.5, is_last=False)
        step(engine, 3)
        step(engine, 0)
    assert_same(*engines)
    assert set(marks(engines[0]).tolist()) == {0, 1, 3}


def write_gradient(engine: FastEngine) -> None:
    table_gradient(engine).add_(0.01)


def write_moments(engine: FastEngine) -> None:
    moment(engine).add_(0.01)


def replace_moments(engine: FastEngine) -> None:
    weight = engine.network.get_input_embeddings().weight
    engine.optimizer.state[weight]["exp_avg"] = torch.full_like(moment(engine), 0.01)


def step_by_torch(engine: FastEngine) -> None:
    table_gradient(engine).fill_(0.01)
    engine._gradients.widen()
    engine.optimizer.grad_scale = None
    engine.optimizer.step()


def write_moments_of_the_plain_model(engine: FastEngine) -> None:
    engine.discard_gradients()
    mean = moment(engine)
    with engine.plain_model():
        mean.data.fill_(0.01)
    engine.accumulate(few(0), 0.5, is_last=True)


@pytest.mark.parametrize(
    "act",
    [
        write_gradient, write_moments, replace_moments, step_by_torch,
        write_moments_of_the_plain_model,
    ],
)  # fmt: skip
def test_what_others_write_counts(act: Act) -> None:
    engines = made(0.0, skips=True), made(0.0, skips=False)
    for engine in engines:
        for seed in range(3):
            step(engine, seed)
        step(engine, 0, act)
        for seed in (1, 0):
            step(engine, seed)
    assert_same(*engines)


def test_numbers_that_change_rows_of_zeros() -> None:
    """Without an epsilon zero is divided by zero, here as by torch."""
    engines = made(0.0, skips=True), made(0.0, skips=False)
    for engine in engines:
        for group in engine.optimizer.param_groups:
            group["eps"] = 0.0
        for seed in range(3):
            step(engine, seed)
        assert engine.network.get_input_embeddings().weight.isnan().any()
