"""Training on data that is read shard by shard: the same bits after a kill, whatever is cached."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.data.shards import write_shards
from tests.runs.children import ended, in_child, start_pair, train
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic

ROWS = 180
SETTINGS: dict[str, object] = {
    "data.streaming": True,
    "data.window": 96,  # of shards of three rows
    "data.validation": "10%",
    "train.epochs": 1.5,
    "train.batch_size": 6,
    "train.learning_rate": 1e-3,
    "train.save_every": "10 steps",
    "train.log_every": 1,
}
SMALL = "4 kB"
"""Of a token cache: less than the shards of one window."""


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "data", ROWS)


def train_in_little_room(out: Path, data: Path, model: Path, settings: dict[str, object]) -> None:
    os.environ["TUNESMITH_CACHE_SIZE"] = SMALL
    train(out, data, model, settings)


def train_until_saved(out: Path, data: Path, model: Path, settings: dict[str, object]) -> None:
    """Die by SIGKILL once the first checkpoint is whole."""
    from tunesmith.api.train import start
    from tunesmith.training.events import Saved

    os.environ["TUNESMITH_CACHE"] = str(out.parent / "cache")
    for event in start(str(data), out=out, settings={"model": str(model), **settings}):
        if isinstance(event, Saved):
            os.kill(os.getpid(), signal.SIGKILL)


def weights(run: Path) -> str:
    return atomic.sha256_of(run / "model" / "model.safetensors")


def losses(run: Path) -> list[float]:
    steps = {e["step"]: e["loss"] for e in RunFolder(run).events() if e["event"] == "step"}
    return list(steps.values())


def test_a_kill_and_a_small_cache_change_no_bit(
    shards: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "one" / "run", tmp_path / "two" / "run"
    for run in (whole, killed):
        run.parent.mkdir()
    assert in_child(train, whole, shards, tiny_bert, SETTINGS) == 0
    assert in_child(train_until_saved, killed, shards, tiny_bert, SETTINGS) == -signal.SIGKILL
    assert in_child(train_in_little_room, killed, shards, tiny_bert, SETTINGS) == 0
    assert weights(killed) == weights(whole)
    assert losses(killed) == losses(whole)
    sets = [path for path in (killed.parent / "cache" / "prepared").iterdir() if path.is_dir()]
    size = sum(file.stat().st_size for folder in sets for file in folder.iterdir())
    assert size < 10_000


def train_with_a_small_sample(
    out: Path, data: Path, model: Path, settings: dict[str, object]
) -> None:
    """Of each shard one row is checked before training."""
    from tunesmith.inputs import streaming

    streaming._SAMPLE_ROWS = 60
    train(out, data, model, settings)


def test_a_bad_row_stops_the_run_where_it_comes_and_nothing_is_lost(
    shards: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """The sample did not have it. Without the row the run continues from its checkpoint."""
    third, out = shards / "train-2.jsonl", tmp_path / "run"
    lines = third.read_text().splitlines()
    lines[37] = lines[37].replace('"order"', '"ordre"')
    third.write_text("\n".join(lines) + "\n")
    settings = {**SETTINGS, "train.save_every": "never"}
    assert in_child(train_with_a_small_sample, out, shards, tiny_bert, settings) == 3
    message = (tmp_path / "error.txt").read_text()
    assert "D206" in message
    assert "train-2.jsonl:38" in message
    (saved,) = (out / "checkpoints").iterdir()
    step = int(saved.name.removeprefix("step-"))
    assert step > 0
    settings["data.on_bad_row"] = "skip"
    assert in_child(train_with_a_small_sample, out, shards, tiny_bert, settings) == 0
    events = RunFolder(out).events()
    assert [e["step"] for e in events if e["event"] == "step"] == list(range(1, 41 + 1))
    warnings = {e["code"]: e["message"] for e in events if e["event"] == "warned"}
    assert "left out" in warnings["D206"]


@pytest.mark.slow
def test_two_processes_draw_the_rows_of_one(shards: Path, tiny_bert: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "run", tmp_path / "two" / "run"
    settings = {**SETTINGS, "train.micro_batch_size": 3}
    for run in (one, two):
        run.parent.mkdir()
    assert in_child(train, one, shards, tiny_bert, settings) == 0
    assert ended(start_pair(train_in_little_room, two, shards, tiny_bert, settings)) == [0, 0]
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
