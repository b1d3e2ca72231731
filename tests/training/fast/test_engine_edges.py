"""The fast engine where something is unusual: families, rows, threads, processes, faults."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.fast.models import FAMILIES, batch_of, classify, model_of
from tests.training.fast.test_engine import CPU, batches, exact_engine, fast_engine, still, train
from tests.training.stepping import update
from tunesmith.recipe import TrainSettings
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast.engine import FastEngine, FastForward
from tunesmith.training.fast.probe import probe


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_in_bfloat16(family: str) -> None:
    """Also those that rotate queries and keys in float32."""
    settings = TrainSettings(learning_rate=1e-3)
    losses = []
    for build, half in ((exact_engine, False), (fast_engine, True)):
        more = {"half": True} if half else {}
        losses.append(train(build(still(family), settings, **more), batches(3), settings))  # type: ignore[operator]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)


def test_a_model_that_compares_token_ids_sees_true_ones() -> None:
    """ESM leaves embeddings out where the mask is; a row of the compact table is not its id."""
    model = still("esm", token_dropout=True, mask_token_id=4)
    batch = batch_of()
    want = classify(model.eval(), batch).per_example["logits"]
    engine = fast_engine(model, TrainSettings())
    assert engine._vocabulary is not None and engine._vocabulary._place[9] == 5
    engine.set_training(False)
    torch.testing.assert_close(engine.outputs(batch).per_example["logits"], want)


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("sizes", [[5, 0, 7], [9, 0, 7]])
def test_a_row_without_tokens_is_computed_with_padding(family: str, sizes: list[int]) -> None:
    model = still(family)
    batch = batch_of(sizes)
    want = classify(model.eval(), batch).per_example["logits"]
    engine = fast_engine(model, TrainSettings())
    engine.set_training(False)
    torch.testing.assert_close(engine.outputs(batch).per_example["logits"], want)
    plain = batch_of([5, 3])  # and packs are packs again
    result = engine.outputs(plain).per_example["logits"]
    engine.close()
    torch.testing.assert_close(result, classify(model, plain).per_example["logits"])


def test_two_models_in_two_threads() -> None:
    def turns(seed: int) -> bool:
        model = still("bert")
        arguments = [batch_of([3 + seed, 9, 12 - seed], seed=i) for i in range(12)]
        probe_result = probe(model, classify, arguments[0], CPU)
        with torch.no_grad():
            want = [classify(model, batch).per_example["logits"] for batch in arguments]
            forward = FastForward(model, classify, CPU, probe_result=probe_result, half=False)
            result = [forward.outputs(batch).per_example["logits"] for batch in arguments]
        return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(want, result, strict=True))

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(turns, range(6)))


@pytest.mark.parametrize("fault", ["optimizer", "copies", "dropout"])
def test_what_fails_leaves_the_model_plain(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("bert")
    implementation = model.config._attn_implementation  # type: ignore[union-attr]
    probe_result = probe(model, classify, batch_of(), CPU)

    def fail(*_given: object, **_more: object) -> Any:
        raise MemoryError

    if fault != "optimizer":
        name = "HalfCopies" if fault == "copies" else "patch_dropout"
        monkeypatch.setattr(f"tunesmith.training.fast.engine.{name}", fail)
    with pytest.raises(MemoryError):
        FastEngine(
            model, classify, make_accelerator(device="cpu"),
            make_optimizer=fail if fault == "optimizer" else lambda: torch.optim.Adam([]),
            max_grad_norm=1.0, probe_result=probe_result, half=True,
            used_tokens=range(5, 100),
        )  # fmt: skip
    assert model.get_input_embeddings().weight.shape[0] == 100  # type: ignore[operator, union-attr]
    assert model.config._attn_implementation == implementation  # type: ignore[union-attr]
    assert not [module for module in model.modules() if "forward" in vars(module)]
    classify(model, batch_of())


def test_several_processes_leave_alone_what_has_no_gradient_in_any() -> None:
    """One process that believes it is one of two: sums over both are its own."""
    model = still("bert")
    model.idle = torch.nn.Linear(3, 3)
    engine = fast_engine(model, TrainSettings(weight_decay=0.1))
    engine.accelerator = SimpleNamespace(  # type: ignore[assignment]
        num_processes=2, device=torch.device("cpu"), reduce=lambda tensor, **_given: tensor
    )
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        before = model.idle.weight.detach().clone()
        engine.set_training(True)
        engine.accumulate(batch_of(), 0.2, is_last=True)
        assert model.idle.weight.grad is None
        update(engine, 1e-2)
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(model.idle.weight, before)
    assert not [name for name in engine.state() if name.startswith("idle")]
