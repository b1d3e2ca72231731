"""Whole runs: rows to model folder, over static memory and without."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.conftest import ticket_rows
from tests.training.fast.graphs.test_engine import SETTINGS, examples
from tests.training.fast.models import batch_of, classify, model_of
from tests.training.fast.test_engine import still
from tunesmith.data.batches import Batch, Examples
from tunesmith.training import choose_engine as select
from tunesmith.training.choose_engine import (
    EngineSelection,
    TrainingRows,
    choose_engine,
    rehearse,
    with_parts,
)
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import ExactEngine
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.optimizer import make_optimizer

CPU = torch.device("cpu")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def chosen(
    notes: list[str], *, model: Any = None, copied: Examples | None = None, **more: Any
) -> EngineSelection:
    network = model or still("bert")
    rows = TrainingRows(
        np.arange(6), lambda places: batch_of([7, 5, 3, 6, 2, 4][: len(places)]),
        longest=32, token_ids=range(5, 100), copied=copied,
    )  # fmt: skip
    return choose_engine(
        network, classify, make_accelerator(device="cpu"),
        rows=rows, make_optimizer=lambda: make_optimizer(network, SETTINGS), max_grad_norm=1.0,
        half=False, note=notes.append, sync_every=7, **more,
    )  # fmt: skip


def test_on_a_cpu_it_is_the_ordinary_one_and_nothing_is_reported() -> None:
    notes: list[str] = []
    selection = chosen(notes, disabled=frozenset({"dropout"}))
    assert type(selection.engine) is FastEngine and notes == [] and not selection.is_padded
    facts = dict(selection.as_json())
    assert "off by" in str(facts.pop("reason"))
    assert facts == {
        "name": "fast", "layout": "first token, last layer cut", "disabled": ["dropout"],
    }  # fmt: skip


@pytest.mark.parametrize("because", ["", "it was asked for"])
def test_the_exact_one_is_reported_with_its_reason(because: str) -> None:
    notes: list[str] = []
    selection = chosen(notes, exact_because=because)
    assert type(selection.engine) is ExactEngine and selection.is_padded
    assert notes == ([f"the exact engine is used: {because}"] if because else [])
    assert selection.as_json() == {"name": "exact"}


def test_a_device_that_the_fast_one_lacks_gets_the_exact_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(select, "FAST_DEVICES", ("cuda",))
    assert type(chosen(notes).engine) is ExactEngine
    assert notes == ["the exact engine is used: the fast one does not know cpu"]


def test_a_model_that_cannot_run_packed_is_reported() -> None:
    notes: list[str] = []
    selection = chosen(notes, model=model_of("deberta-v2"))
    assert selection.is_padded and selection.as_json()["layout"] == "parts of equal length"
    assert len(notes) == 1 and "parts of nearly equal length" in notes[0]


@pytest.mark.parametrize("fits", [2, 0])
def test_the_sample_is_made_smaller_where_memory_does_not_suffice(
    fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def tight(_network: Any, _run: Any, batch: Batch, *_given: Any, **_named: Any) -> ProbeResult:
        tried.append(len(batch.examples))
        if len(batch.examples) > fits:
            raise torch.OutOfMemoryError("no memory")
        return ProbeResult("first token", by_length=False, reason="")

    monkeypatch.setattr(select, "probe", tight)
    if fits:
        assert type(chosen([]).engine) is FastEngine
    else:
        with pytest.raises(OneRowTooLarge, match="a single row of 7 tokens"):
            chosen([])
    assert tried == [6, 3, 1]


def test_why_attention_is_in_groups_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that are not there: the rehearsal finds out."""
    notes: list[str] = []
    probe_result = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    monkeypatch.setattr(select, "probe", lambda *_given, **_named: probe_result)
    chosen(notes)
    assert len(notes) == 1 and "in groups" in notes[0]


def over_static_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but called where it would be recorded."""
    monkeypatch.setattr(select, "against_graphs", lambda *_given, **_named: None)


@pytest.mark.parametrize(
    ("copied", "more", "has_data"),
    [
        (examples(), {}, True),
        (None, {}, False),
        (examples(), {"disabled": frozenset({"device_data"})}, False),
    ],
)
def test_the_device_has_the_rows_that_are_copied(
    copied: Examples | None,
    more: dict[str, Any],
    has_data: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over_static_memory(monkeypatch)
    selection = chosen([], copied=copied, **more)
    assert isinstance(selection.engine, GraphedEngine)
    assert selection.engine.sync_every == 7 and selection.engine.has_data is has_data
    assert selection.as_json()["device_data"] is has_data


def test_on_a_gpu_it_says_what_it_uses_and_what_could_be_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine is one of a CPU, where there is neither such a text nor such a list."""
    plain = chosen([], disabled=frozenset({"process"}))
    assert plain.on_gpu() == "" and "uses" not in plain.as_json()
    off = replace(plain, disabled=frozenset({"process", "varlen", "graphs", "device_data"}))
    selection = with_parts(off, half=False, disabled=plain.disabled)
    assert selection.as_json()["uses"] == [
        "packing", "last_layer", "dropout", "vocabulary", "clipping",
    ]  # fmt: skip
    assert selection.as_json()["could_enable"] == ["varlen", "graphs", "device_data"]
    assert selection.on_gpu().endswith(
        "vocabulary, clipping; not measured on a GPU, and off: varlen, graphs, device_data"
    )
    over_static_memory(monkeypatch)
    graphed = chosen([], copied=examples())
    assert graphed.probe_result is not None
    result = replace(graphed.probe_result, kernels=Kernels())
    enabled = with_parts(replace(graphed, probe_result=result), half=True, disabled=frozenset())
    assert enabled.uses is not None
    assert {"copies", "varlen", "graphs", "device_data"} < set(enabled.uses)
    assert enabled.could_enable == () and "off" not in enabled.on_gpu()


def run_of(model: Path, out: Path, *, device: str = "cpu", **settings: object) -> Any:
    _header, *rows = ticket_rows(60)
    arguments = [{"text": row[1], "label": row[2]} for row in rows]
    return ts.train(
        arguments,
        out=out,
        model=str(model),
        settings={
            "train.dropout": 0.0, "train.epochs": 2, "train.learning_rate": 1e-3,
            "train.log_every": 3, "train.weight_decay": 0.01, "train.device": device,
            "train.precision": "fp32", **settings,
        },
    )  # fmt: skip


def lines(run: Any) -> tuple[list[tuple[int, float, float]], list[int]]:
    events = list(run.events())
    steps = [(e["step"], e["loss"], e["grad_norm"]) for e in events if e["event"] == "step"]
    return steps, [e["step"] for e in events if e["event"] == "saved"]


@pytest.fixture
def spread_bert(tmp_path: Path, tiny_bert: Path) -> Path:
    """With weights that are not so small that gradients are nothing."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "initializer_range": 0.2}))
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"train.micro_batch_size": 3},
        {"train.disable": ["device_data", "vocabulary"]},
        {"train.save_every": "4 steps"},
    ],
    ids=["whole", "micro-batches", "batch by batch", "checkpoints"],
)
def test_a_run_over_static_memory_writes_the_same(
    settings: dict[str, object],
    tmp_path: Path,
    spread_bert: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = run_of(spread_bert, tmp_path / "plain", **settings)
    over_static_memory(monkeypatch)
    static = run_of(spread_bert, tmp_path / "static", **settings)
    how = json.loads((tmp_path / "static" / "plan.json").read_text())["engine"]
    assert how["graphs"] is True
    assert how["device_data"] is ("train.disable" not in settings)
    (one, saved), (two, again) = lines(plain), lines(static)
    assert len(one) > 3 and saved == again
    np.testing.assert_allclose(two, one, rtol=1e-3)
    for name, value in plain.scores.items():
        assert static.scores[name] == pytest.approx(value, rel=1e-3)


@ON_GPU
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_a_recorded_run_writes_what_one_that_is_called_writes(
    precision: str, tmp_path: Path, spread_bert: Path
) -> None:
    """With dropout: seeds give the same numbers, recorded or not."""
    settings: dict[str, object] = {
        "train.precision": precision, "train.dropout": 0.1, "train.enable": ["device_data"],
    }  # fmt: skip
    recorded = run_of(spread_bert, tmp_path / "recorded", device="cuda", **settings)
    notes = [e["code"] for e in recorded.events() if e["event"] == "warned"]
    assert notes == ["M156"]
    eager = run_of(
        spread_bert, tmp_path / "eager", device="cuda",
        **settings, **{"train.disable": ["graphs"], "train.dropout": 0.0},
    )  # fmt: skip
    still_ = run_of(
        spread_bert, tmp_path / "still", device="cuda", **{**settings, "train.dropout": 0.0}
    )
    np.testing.assert_allclose(
        lines(still_)[0], lines(eager)[0], rtol=1e-3 if precision == "fp32" else 0.1
    )
    again = run_of(spread_bert, tmp_path / "again", device="cuda", **settings)
    assert lines(again) == lines(recorded)


# rehearsal


def test_kernel_refusal_there_is_nothing_to_try() -> None:
    network: Any = model_of("bert")
    probe_result = probe(network, classify, batch_of(), CPU)
    assert probe_result.kernels is None and probe_result.kernel_refusal == ""
    assert rehearse(network, classify, batch_of(), CPU, probe_result=probe_result, half=False) == (
        probe_result, (),
    )  # fmt: skip
    reported = replace(probe_result, kernel_refusal="off by 1")
    assert rehearse(network, classify, batch_of(), CPU, probe_result=reported, half=False)[1] == (
        "off by 1",
    )


@pytest.mark.parametrize("half", [False, True])
def test_kernels_that_are_not_there_are_reported_and_the_model_is_as_before(half: bool) -> None:
    """On a CPU each call is refused, and groups compute."""
    network: Any = model_of("bert")
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    arguments = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    result, reasons = rehearse(
        network, classify, batch_of(), CPU, probe_result=arguments, half=half
    )
    assert result.kernels is not None and len(reasons) == 1
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert all(p.grad is None for p in network.parameters())
    assert not any("forward" in vars(module) for module in network.modules())


def test_a_gradient_that_is_not_finite_speaks_against_them() -> None:
    network: Any = model_of("bert")
    with torch.no_grad():
        network.classifier.weight.fill_(float("inf"))
    arguments = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    result, reasons = rehearse(
        network, classify, batch_of(), CPU, probe_result=arguments, half=False
    )
    assert result.kernels is None and reasons == ("the gradient is not finite",)
