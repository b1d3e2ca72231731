"""Two engines, one result: the same losses, weights and files by other means."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tests.training.fast.models import batch_of, classify, model_of
from tests.training.stepping import update
from tunesmith.data.batches import Batch, Examples, Padding
from tunesmith.data.encoded import Encoded, Ragged, hold_in_memory
from tunesmith.recipe import TrainSettings
from tunesmith.tasks import Outputs
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import Engine, ExactEngine
from tunesmith.training.fast.engine import FastEngine, FastForward
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.optimizer import make_optimizer
from tunesmith.training.predict import predict

CPU = torch.device("cpu")
STEPS = 30


def batches(count: int = STEPS) -> list[Batch]:
    random = np.random.default_rng(0)
    return [batch_of(random.integers(2, 20, 6).tolist(), seed=i) for i in range(count)]


def exact_engine(model: nn.Module, settings: TrainSettings) -> ExactEngine:
    return ExactEngine(
        model,
        classify,
        make_accelerator(device="cpu"),
        make_optimizer=lambda: make_optimizer(model, settings),
        max_grad_norm=settings.max_grad_norm,
    )


def fast_engine(
    model: nn.Module, settings: TrainSettings, *, half: bool = False, compact: bool = True
) -> FastEngine:
    is_for_tokens = "TokenClassification" in type(model).__name__
    return FastEngine(
        model,
        classify,
        make_accelerator(device="cpu"),
        make_optimizer=lambda: make_optimizer(model, settings),
        max_grad_norm=settings.max_grad_norm,
        probe_result=probe(model, classify, batch_of(per_token=is_for_tokens), CPU),
        half=half,
        used_tokens=range(5, 100) if compact else None,
    )


def train(engine: Engine, arguments: list[Batch], settings: TrainSettings) -> list[float]:
    engine.set_training(True)
    losses = []
    for step, batch in enumerate(arguments):
        torch.manual_seed(step)
        loss = engine.accumulate(batch, 1 / batch.num_targets, is_last=True)
        update(engine, settings.learning_rate * (1 - step / len(arguments)))
        losses.append(float(loss) / batch.num_targets)
    return losses


def still(family: str, **more: Any) -> nn.Module:
    """Without dropout."""
    off = {
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "dropout": 0.0,
        "attention_dropout": 0.0, "seq_classif_dropout": 0.0, "embd_pdrop": 0.0,
        "attn_pdrop": 0.0, "resid_pdrop": 0.0, "classifier_dropout": 0.0,
    }  # fmt: skip
    known = model_of(family).config.to_dict()  # type: ignore[union-attr, operator]
    return model_of(family, **{key: value for key, value in off.items() if key in known}, **more)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert", "mpnet", "gpt2"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_same_loss_curve_and_weights(family: str, decay: float) -> None:
    settings = TrainSettings(learning_rate=1e-3, weight_decay=decay, max_grad_norm=0.5)
    one, two = still(family), still(family)
    exact, fast = exact_engine(one, settings), fast_engine(two, settings)
    theirs, ours = train(exact, batches(), settings), train(fast, batches(), settings)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    fast.close()
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4, msg=name)


def test_a_hundred_steps_in_double_precision() -> None:
    """No rounding to hide behind: packs, compact table and folded clipping to 1e-9."""
    settings = TrainSettings(learning_rate=1e-3, weight_decay=0.01, max_grad_norm=0.5)
    losses = []
    for build in (exact_engine, fast_engine):
        model = still("bert").double()

        def run(network: Any, batch: Batch) -> Outputs:
            logits = network(**batch.inputs).logits
            loss = nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
            return Outputs(loss, {"logits": logits})

        engine: Any = build(model, settings)
        engine._run = run
        losses.append(train(engine, batches(100), settings))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)


def test_micro_batches_add_up() -> None:
    settings = TrainSettings(max_grad_norm=None)
    whole, cut = (fast_engine(still("bert"), settings) for _time in range(2))
    big, small = batch_of([5, 9, 3, 7]), [batch_of([5, 9, 3, 7]) for _part in range(2)]
    for i, part in enumerate(small):
        rows = slice(2 * i, 2 * i + 2)
        part.inputs["input_ids"].copy_(big.inputs["input_ids"])
        small[i] = Batch(
            {name: t[rows] for name, t in part.inputs.items()},
            big.labels[rows] if big.labels is not None else None,
            2, 0, np.arange(2),
        )  # fmt: skip
    whole.accumulate(big, 0.25, is_last=True)
    for i, part in enumerate(small):
        cut.accumulate(part, 0.25, is_last=i == 1)
    assert update(cut, 1e-3) == pytest.approx(update(whole, 1e-3), rel=1e-5)


def test_bfloat16_is_near_float32_and_masters_stay() -> None:
    settings = TrainSettings(learning_rate=1e-3)
    one, two = still("bert"), still("bert")
    theirs = train(exact_engine(one, settings), batches(), settings)
    fast = fast_engine(two, settings, half=True)
    ours = train(fast, batches(), settings)
    np.testing.assert_allclose(ours, theirs, rtol=0.05)
    assert ours != theirs
    assert fast._copies is not None
    for copy, master in zip(fast._copies._copies, fast._copies._masters, strict=True):
        assert torch.equal(copy, master.to(torch.bfloat16))
        assert master.dtype == torch.float32


def test_dropout_is_on_and_repeats() -> None:
    settings = TrainSettings(learning_rate=1e-3)
    runs = [train(fast_engine(model_of("bert"), settings), batches(8), settings) for _i in range(2)]
    quiet = train(fast_engine(still("bert"), settings), batches(8), settings)
    assert runs[0] == runs[1] != quiet


def test_with_dropout_both_engines_learn_the_same_on_average() -> None:
    """The streams differ, so the means of many short runs are compared."""
    settings = TrainSettings(learning_rate=1e-3)
    means = []
    for build in (exact_engine, fast_engine):
        ends = []
        for seed in range(12):
            engine: Any = build(model_of("bert"), settings)
            engine.set_training(True)
            arguments = batches(12)
            for step, batch in enumerate(arguments):
                torch.manual_seed(1000 * seed + step)
                engine.accumulate(batch, 1 / batch.num_targets, is_last=True)
                update(engine, 1e-3)
            engine.set_training(False)
            with torch.no_grad():
                ends.append(float(engine.outputs(batch_of()).loss_sum))
            engine.close()
        means.append((np.mean(ends), np.std(ends) / math.sqrt(len(ends))))
    (one, error), (two, other) = means
    assert abs(one - two) < 4 * math.hypot(error, other)


@pytest.mark.parametrize("build", [exact_engine, fast_engine])
@pytest.mark.parametrize("other", [exact_engine, fast_engine])
def test_a_run_goes_on_in_either_engine(
    build: Callable[..., Any], other: Callable[..., Any]
) -> None:
    """Weights and optimizer state of one engine, plain, are those of the other."""
    settings = TrainSettings(learning_rate=1e-3, weight_decay=0.1)
    straight = build(still("bert"), settings)
    arguments = batches(10)
    train(straight, arguments[:5], settings)
    with straight.plain_model():
        weights = {k: v.clone() for k, v in straight.network.state_dict().items()}
        state = straight.state()
    resumed = other(still("bert"), settings)
    with resumed.plain_model():
        resumed.network.load_state_dict(weights)
        assert resumed.load_state(state) == []
        again = resumed.state()
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)
    one, two = train(straight, arguments[5:], settings), train(resumed, arguments[5:], settings)
    if build is other:
        assert one == two
    np.testing.assert_allclose(one, two, rtol=1e-4)


def test_heads_for_every_token_go_on_in_the_other_engine() -> None:
    settings = TrainSettings(learning_rate=1e-3, weight_decay=0.1)
    head, off = "AutoModelForTokenClassification", {
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    random = np.random.default_rng(0)
    lengths = [random.integers(2, 20, 6).tolist() for _step in range(10)]
    arguments = [batch_of(each, seed=i, per_token=True) for i, each in enumerate(lengths)]
    engines: list[Any] = [
        make(model_of("bert", head, **off), settings)
        for make in (exact_engine, fast_engine, exact_engine)
    ]
    losses = [train(engine, arguments[:5], settings) for engine in engines[:2]]
    assert engines[1].probe_result.exit == "every token"
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    with engines[1].plain_model(), engines[2].plain_model():
        engines[2].network.load_state_dict(engines[1].network.state_dict())
        assert engines[2].load_state(engines[1].state()) == []
    ends = [train(engine, arguments[5:], settings) for engine in engines]
    for other in ends[1:]:
        np.testing.assert_allclose(other, ends[0], rtol=1e-4)


def test_plain_it_is_the_plain_model(tmp_path: Path) -> None:
    model = still("bert")
    plain = {name: tuple(p.shape) for name, p in model.named_parameters()}
    engine = fast_engine(model, TrainSettings())
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} != plain
    train(engine, batches(2), TrainSettings(learning_rate=1e-3))
    with engine.plain_model():
        assert {name: tuple(p.shape) for name, p in model.named_parameters()} == plain
        model.save_pretrained(tmp_path)  # type: ignore[operator]
        assert not any("forward" in vars(module) for module in model.modules())
        logits = classify(model, batch_of()).per_example["logits"]
    engine.set_training(False)
    torch.testing.assert_close(engine.outputs(batch_of()).per_example["logits"], logits)
    from transformers import AutoModelForSequenceClassification

    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(classify(loaded, batch_of()).per_example["logits"], logits)
    engine.close()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == plain


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    engine = fast_engine(still("bert"), TrainSettings())
    before = [p.clone() for p in engine.network.parameters()]
    engine.accumulate(batch_of(), math.inf, is_last=True)
    assert not math.isfinite(update(engine, 1e-3))
    assert all(torch.equal(a, b) for a, b in zip(before, engine.network.parameters(), strict=True))
    assert engine.state() == {}


def test_without_compaction_and_without_packs() -> None:
    settings = TrainSettings(learning_rate=1e-3)
    arguments = batches(6)
    plain = train(exact_engine(still("bert"), settings), arguments, settings)
    whole = train(fast_engine(still("bert"), settings, compact=False), arguments, settings)
    np.testing.assert_allclose(whole, plain, rtol=1e-5)
    model = still("bert")
    padded = FastEngine(
        model, classify, make_accelerator(device="cpu"),
        make_optimizer=lambda: make_optimizer(model, settings), max_grad_norm=1.0,
        probe_result=ProbeResult(None, by_length=False, reason=""), half=False,
    )  # fmt: skip
    np.testing.assert_allclose(train(padded, arguments, settings), plain, rtol=1e-5)


def test_predictions_are_those_of_the_exact_model() -> None:
    class Task:
        forward = staticmethod(classify)
        generates = False

        @staticmethod
        def corrupt(batch: Batch, *, seed: int) -> Batch:
            return batch

    random = np.random.default_rng(1)
    lengths = random.integers(2, 40, 30)
    flat = random.integers(5, 100, lengths.sum())
    examples = Examples(
        hold_in_memory(
            Encoded(
                {"input_ids": Ragged(flat.astype(np.int32), lengths)},
                {"labels": np.arange(30) % 2},
                np.arange(30),
                lengths,
            )
        )
    )
    padding = Padding({"input_ids": 1})
    result = []
    for make in (
        lambda: exact_engine(still("bert"), TrainSettings()),
        lambda: FastForward(
            still("bert"), classify, CPU,
            probe_result=ProbeResult("first token", by_length=False, reason=""), half=False,
        ),
    ):  # fmt: skip
        done = predict(
            make(),
            Task(),
            examples,
            padding,
            accelerator=make_accelerator(device="cpu"),  # type: ignore[arg-type]
        )
        result.append(done.predictions["logits"])
    np.testing.assert_allclose(result[0], result[1], atol=1e-5)


RARE: dict[str, object] = {
    "train.sampling": "balanced", "options.class_weights": [1, 3], "options.focal_gamma": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    "task",
    ["text-classification", "text-classification, rare", "masked-lm", "masked-lm, untied"],
)
def test_a_run_in_each_engine_gives_the_same_scores(
    task: str, tmp_path: Path, tiny_bert: Path
) -> None:
    """From rows to a model folder: dropout off, the losses agree line by line."""
    from tests.conftest import ticket_rows

    header, *rows = ticket_rows(60)
    arguments = [{"text": row[1], "label": row[2]} for row in rows]
    assert header
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    task, _comma, how = task.partition(", ")
    (folder / "config.json").write_text(
        json.dumps({**config, "tie_word_embeddings": how != "untied", "initializer_range": 0.2})
    )
    result = []
    for engine in ("fast", "exact"):
        run = ts.train(
            arguments,
            out=tmp_path / engine,
            model=str(folder),
            settings={
                "task": task, "train.engine": engine, "train.dropout": 0.0, "train.epochs": 2,
                "train.learning_rate": 1e-3, "train.log_every": 1, "train.weight_decay": 0.01,
                **(RARE if how == "rare" else {}),
            },
        )  # fmt: skip
        losses = [e["loss"] for e in run.events() if e["event"] == "step"]
        result.append((losses, run.scores))
    np.testing.assert_allclose(result[0][0], result[1][0], rtol=2e-4)
    for name, value in result[1][1].items():
        assert result[0][1][name] == pytest.approx(value, rel=1e-3)
