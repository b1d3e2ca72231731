"""A run whose folder has a copy in a store: stopped, moved to another machine, finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.api.train import start
from tunesmith.runs.folder import RunFolder

SETTINGS: dict[str, object] = {
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.learning_rate": 1e-3,
    "train.save_every": "3 steps",
    "train.evaluate_every": "5 steps",
    "train.log_every": 1,
    "data.validation": "20%",
}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    yield f"file://{tmp_path}/store"


def run_to(
    step: int | None, out: Path, data: Path, model: Path, address: str, **sets: object
) -> list[str]:
    """Train up to a checkpoint, or to the end; returns the kinds of events."""
    settings = {**SETTINGS, "model": str(model), **sets}
    events = start(str(data), out=out, settings=settings, remote=address)
    kinds = []
    for event in events:
        kinds.append(type(event).__name__)
        if type(event).__name__ == "Saved" and event.step == step:
            events.close()
            break
    return kinds


def model_bytes(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def test_another_machine_continues_with_the_same_bits(
    tickets: Path, tiny_bert: Path, tmp_path: Path, address: str
) -> None:
    whole, first, second, third = (tmp_path / name / "run" for name in "abcd")
    for _event in start(str(tickets), out=whole, settings={**SETTINGS, "model": str(tiny_bert)}):
        pass
    assert "StepDone" in run_to(6, first, tickets, tiny_bert, address)
    shutil.rmtree(first)
    kinds = run_to(None, second, tickets, tiny_bert, address)
    steps = 12 - 6
    assert kinds.count("StepDone") == steps, "it goes on where the first machine stopped"
    assert model_bytes(second) == model_bytes(whole)
    assert "StepDone" not in run_to(None, third, tickets, tiny_bert, address)
    assert model_bytes(third) == model_bytes(whole)
    assert RunFolder(third).events() == RunFolder(second).events()
    assert (third / "report.html").read_bytes() == (second / "report.html").read_bytes()
    assert RunFolder(third).is_finished
