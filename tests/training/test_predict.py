from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from tests.conftest import WORDS
from tests.runs.children import ended, start_pair
from tunesmith.data.batches import Batch, Examples, Padding
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.open import from_python
from tunesmith.errors import Interrupted, Problem
from tunesmith.models import load_tokenizer, locate
from tunesmith.recipe import DataSettings
from tunesmith.tasks import Outputs, Task, task_named
from tunesmith.training import predict as predict_module
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import ExactForward
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.predict import Evaluation, predict


def setup(
    folder: Path, count: int, *, labeled: bool = True
) -> tuple[nn.Module, Task, Examples, Padding]:
    random = np.random.default_rng(2)
    rows = [
        {"text": " ".join(random.choice(WORDS, random.integers(1, 30))), "label": "ab"[i % 2]}
        for i in range(count)
    ]
    task = task_named("text-classification").make(
        Roles("text", None, "label"), DataSettings(train="x", labels=("a", "b")), [], {}
    )
    files = locate(str(folder))
    tokenizer = load_tokenizer(files)
    listed = [row for chunk in from_python(rows)["train"].chunks() for row in chunk]
    encoded = task.encode(listed, tokenizer, 64, labeled=labeled)
    model = task.build(files, seed=0, dropout=None).model
    return model, task, Examples(hold_in_memory(encoded)), Padding.of(tokenizer)


def with_tokens(task: Task) -> Callable[[nn.Module, Batch], Outputs]:
    """The pass of a task that also collects the tokens of each example, from last to first."""

    def forward(model: nn.Module, batch: Batch) -> Outputs:
        outputs = task.forward(model, batch)
        ids, mask = (batch.inputs[name].flip(0) for name in ("input_ids", "attention_mask"))
        example = (len(ids) - 1 - torch.arange(len(ids)))[:, None].expand_as(ids)[mask == 1]
        return replace(outputs, ragged={"tokens": (example, ids[mask == 1])})

    return forward


def with_generation(task: Task) -> Task:
    """The task, answering each text with its tokens backwards."""

    def generate(_model: nn.Module, batch: Batch) -> Outputs:
        mask = batch.inputs["attention_mask"].flip(1) == 1
        example = torch.arange(len(mask))[:, None].expand_as(mask)[mask]
        return Outputs(None, {}, {"generated": (example, batch.inputs["input_ids"].flip(1)[mask])})

    object.__setattr__(task, "generates", True)
    object.__setattr__(task, "generate", generate)
    return task


def run(
    folder: Path,
    *,
    batch_size: int | None,
    labeled: bool = True,
    memory_for: int | None = None,
    **more: Any,
) -> Evaluation:
    model, task, examples, padding = setup(folder, 23, labeled=labeled)

    def full(_module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> None:
        if memory_for is not None and len(tensors[0]) > memory_for:
            raise torch.OutOfMemoryError("no memory for so many rows")

    model.classifier.register_forward_pre_hook(full)  # type: ignore[union-attr, operator]
    accelerator = make_accelerator(device="cpu")
    return predict(
        ExactForward(model, with_tokens(task), accelerator),
        with_generation(task),
        examples,
        padding,
        batch_size=batch_size,
        accelerator=accelerator,
        **more,
    )


def tokens_of(actual: Evaluation) -> list[list[int]]:
    return [ids.tolist() for ids in actual.predictions["tokens"].split()]


def all_tokens(examples: Examples) -> list[NDArray[Any]]:
    return [examples.prepared.sequence("input_ids", i) for i in range(len(examples))]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_answers_are_in_the_order_of_the_rows(batch_size: int, tiny_bert: Path) -> None:
    """Whatever the batches: each example alone gives the same logits."""
    _model, _task, examples, _padding = setup(tiny_bert, 23)
    actual = run(tiny_bert, batch_size=batch_size)
    alone = run(tiny_bert, batch_size=1)
    np.testing.assert_allclose(actual.predictions["logits"], alone.predictions["logits"], atol=1e-5)
    assert actual.loss == pytest.approx(alone.loss, rel=1e-5)
    assert tokens_of(actual) == [ids.tolist() for ids in all_tokens(examples)]
    assert actual.predictions["tokens"].flat.dtype == np.int64
    generated = [ids.tolist()[::-1] for ids in actual.predictions["generated"].split()]
    assert generated == tokens_of(actual)
    logits = torch.from_numpy(actual.predictions["logits"])
    labels = torch.from_numpy(examples.labels)
    assert actual.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())


def test_without_labels_there_is_no_loss(tiny_bert: Path) -> None:
    actual = run(tiny_bert, batch_size=8, labeled=False)
    assert actual.loss is None
    assert actual.predictions["logits"].shape == (23, 2)


@pytest.mark.parametrize(("batch_size", "halvings"), [(8, 2), (23, 3), (2, 0), (None, 4)])
def test_what_does_not_fit_goes_through_in_parts(
    batch_size: int | None, halvings: int, tiny_bert: Path
) -> None:
    """Each example once, in its place, whatever was cut when."""
    roomy = run(tiny_bert, batch_size=batch_size)
    tight = run(tiny_bert, batch_size=batch_size, memory_for=3)
    assert (roomy.halvings, tight.halvings) == (0, tight.halvings)
    assert tight.halvings == halvings or batch_size is None
    np.testing.assert_allclose(tight.predictions["logits"], roomy.predictions["logits"], atol=1e-5)
    assert tight.loss == pytest.approx(roomy.loss, rel=1e-5)
    assert tight.num_targets == 23
    assert tokens_of(tight) == tokens_of(roomy)
    again = run(tiny_bert, batch_size=batch_size, memory_for=3, halvings=tight.halvings)
    assert again.halvings == tight.halvings


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("memory_for", [None, 1])
def test_several_batches_at_once(
    memory_for: int | None, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers in the same places; the process has as many threads as before."""
    threads = set()
    attempt = predict_module._attempt

    def counted(*arguments: Any) -> Outputs | None:
        threads.add(threading.current_thread().name)
        return attempt(*arguments)

    monkeypatch.setattr(predict_module, "_attempt", counted)
    one = run(tiny_bert, batch_size=2)
    assert threads == {"MainThread"}
    several = run(tiny_bert, batch_size=2, memory_for=memory_for, several=True)
    assert threads == {"MainThread", "tunesmith-stream_0", "tunesmith-stream_1"}
    assert several.halvings == (memory_for == 1)
    np.testing.assert_allclose(several.predictions["logits"], one.predictions["logits"], atol=1e-5)
    assert several.loss == pytest.approx(one.loss, rel=1e-5)
    assert tokens_of(several) == tokens_of(one)


@pytest.mark.usefixtures("two_threads")
def test_what_fails_in_a_stream_ends_all(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OneRowTooLarge, match="M111"):
        run(tiny_bert, batch_size=2, memory_for=0, several=True)

    def fail(*_arguments: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(predict_module, "_attempt", fail)
    with pytest.raises(ValueError, match="broken"):
        run(tiny_bert, batch_size=2, several=True)
    assert not [each for each in threading.enumerate() if "stream" in each.name]


def test_an_example_that_does_not_fit_alone_is_named(tiny_bert: Path) -> None:
    _model, _task, examples, _padding = setup(tiny_bert, 23)
    with pytest.raises(OneRowTooLarge, match="M111") as caught:
        run(tiny_bert, batch_size=8, memory_for=0)
    assert caught.value.example == examples.lengths.argmax()  # the longest go first


def test_it_can_be_stopped_between_batches(tiny_bert: Path) -> None:
    calls = []

    def between() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted(Problem("C112", "stop"))

    with pytest.raises(Interrupted):
        run(tiny_bert, batch_size=4, between=between)
    assert len(calls) == 3


def test_the_model_is_left_in_evaluation_mode_without_gradients(tiny_bert: Path) -> None:
    model, task, examples, padding = setup(tiny_bert, 5)
    model.train()
    accelerator = make_accelerator(device="cpu")
    predict(
        ExactForward(model, task.forward, accelerator),
        task,
        examples,
        padding,
        batch_size=2,
        accelerator=accelerator,
    )
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def _evaluate_as_worker(model: Path, target: Path) -> None:
    """Three evaluations: batches for both, a batch for one only, and memory for three rows."""
    arrays = {}
    for name, settings in SHARED.items():
        result = run(model, **settings)  # type: ignore[arg-type]
        facts = [result.loss, result.num_targets, result.halvings]
        arrays |= {name: result.predictions["logits"], f"{name} facts": np.array(facts, float)}
        tokens = result.predictions["tokens"]
        backwards = [ids.tolist()[::-1] for ids in result.predictions["generated"].split()]
        assert backwards == tokens_of(result)
        arrays |= {f"{name} tokens": tokens.flat, f"{name} lengths": tokens.lengths}
    save_file(arrays, target / f"{os.environ['RANK']}.safetensors")


SHARED: dict[str, dict[str, int | None]] = {
    "both": {"batch_size": 2},
    "one idle": {"batch_size": 64},
    "tight": {"batch_size": 8, "memory_for": 3},
}


def test_processes_share_an_evaluation(tiny_bert: Path, tmp_path: Path) -> None:
    """Both have every answer once, in the order of the rows, and cut alike the next time."""
    assert ended(start_pair(_evaluate_as_worker, tiny_bert, tmp_path)) == [0, 0]
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    for name, settings in SHARED.items():
        alone = run(tiny_bert, **settings)  # type: ignore[arg-type]
        np.testing.assert_allclose(first[name], alone.predictions["logits"], atol=1e-5)
        assert np.array_equal(first[name], second[name])
        tokens = alone.predictions["tokens"]
        for each in (first, second):
            assert np.array_equal(each[f"{name} tokens"], tokens.flat)
            assert np.array_equal(each[f"{name} lengths"], tokens.lengths)
        for facts in (first[f"{name} facts"], second[f"{name} facts"]):
            expected = [alone.loss, 23, alone.halvings]
            assert facts.tolist() == pytest.approx(expected, rel=1e-5)
