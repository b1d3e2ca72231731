"""Whole runs: rows to model folder, over static memory and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from tests.conftest import ticket_rows
from tests.training.fast.graphs.test_engine import SETTINGS, examples
from tests.training.fast.models import batch_of, classify
from tests.training.fast.test_engine import still
from tunesmith.training.device import make_accelerator
from tunesmith.training.fast import select
from tunesmith.training.fast.engine import FastEngine
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.fast.probe import ProbeResult
from tunesmith.training.fast.ragged_attention import Kernels
from tunesmith.training.fast.select import engine_for
from tunesmith.training.optimizer import make_optimizer

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def chosen(verdict: ProbeResult, notes: list[str], **more: Any) -> FastEngine:
    model = still("bert")
    given: dict[str, Any] = {
        "verdict": verdict, "half": False, "without": frozenset(), "probed": batch_of(),
        "examples": examples(), "draws": False, "sync_every": 7, "note": notes.append,
        "make_optimizer": lambda: make_optimizer(model, SETTINGS), "max_grad_norm": 1.0,
    }  # fmt: skip
    return engine_for(model, classify, make_accelerator(device="cpu"), **{**given, **more})


def test_on_a_cpu_it_is_the_ordinary_one_and_nothing_is_told() -> None:
    notes: list[str] = []
    engine = chosen(ProbeResult("first token", by_length=False, reason=""), notes)
    assert type(engine) is FastEngine and notes == []


def test_why_attention_is_in_groups_is_told_once() -> None:
    """Kernels that are not there: the rehearsal finds out."""
    notes: list[str] = []
    verdict = ProbeResult("first token", by_length=False, reason="", kernels=Kernels())
    chosen(verdict, notes)
    assert len(notes) == 1 and "in groups" in notes[0]


def over_static_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but called where it would be recorded."""
    monkeypatch.setattr(select, "against_graphs", lambda *_given, **_named: None)


@pytest.mark.parametrize(
    ("more", "has_data"),
    [
        ({}, True),
        ({"draws": True}, False),
        ({"without": frozenset({"device_data"})}, False),
    ],
)
def test_the_device_keeps_the_rows_unless_something_speaks_against_it(
    more: dict[str, Any], has_data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_static_memory(monkeypatch)
    engine = chosen(ProbeResult("first token", by_length=False, reason=""), [], **more)
    assert isinstance(engine, GraphedEngine)
    assert engine.sync_every == 7 and engine.has_data is has_data


def run_of(model: Path, out: Path, *, device: str = "cpu", **settings: object) -> Any:
    _header, *rows = ticket_rows(60)
    given = [{"text": row[1], "label": row[2]} for row in rows]
    return ts.train(
        given,
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
    settings: dict[str, object] = {"train.precision": precision, "train.dropout": 0.1}
    recorded = run_of(spread_bert, tmp_path / "recorded", device="cuda", **settings)
    notes = [e for e in recorded.events() if e["event"] == "warned"]
    assert notes == []
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
