"""Two processes on this CPU: the same losses as one, each row evaluated exactly once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"],
    # on a CPU `accelerate launch --cpu` wants MPI; this is its launcher for several processes
    "accelerate": ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
                   "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
                   "--main_process_port", "0", "-m"],
}  # fmt: skip
ALONE: list[str] = ["-m"]


def command(launcher: Sequence[str], data: Path, model: Path, out: Path, *sets: str) -> list[str]:
    settings = (
        "train.log_every=1",
        "train.epochs=2",
        "train.learning_rate=1e-3",
        "train.evaluate_every=4 steps",
        "data.validation=21%",  # thirteen rows: two processes cannot share them evenly
        *sets,
    )
    flags = [part for written in settings for part in ("--set", written)]
    return [sys.executable, *launcher, "tunesmith", "train", str(data), "--model", str(model),
            "--out", str(out), "--json", *flags]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run(launcher: Sequence[str], data: Path, model: Path, out: Path, *sets: str) -> list[dict]:  # type: ignore[type-arg]
    done = subprocess.run(
        command(launcher, data, model, out, *sets),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def losses(events: list[dict]) -> list[float]:  # type: ignore[type-arg]
    return [event["loss"] for event in events if event["event"] == "step"]


@pytest.mark.parametrize(
    "launcher", ["torchrun", pytest.param("accelerate", marks=pytest.mark.slow)]
)
def test_two_processes_give_the_losses_of_one(
    launcher: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Dropout on: micro-batches are numbered over the whole step, so both draw the same."""
    micro = "train.micro_batch_size=4"
    one = run(ALONE, tickets, tiny_bert, tmp_path / "one", micro)
    two = run(LAUNCHERS[launcher], tickets, tiny_bert, tmp_path / "two", micro)
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-6)
    assert len(losses(one)) == 12
    evaluated = [
        [event["scores"] for event in events if event["event"] == "evaluated"]
        for events in (one, two)
    ]
    for first, second in zip(*evaluated, strict=True):
        assert second == pytest.approx(first, rel=1e-5)
    tables = [
        pq.read_table(tmp_path / name / "predictions" / "validation.parquet").to_pylist()
        for name in ("one", "two")
    ]
    assert [row["row"] for row in tables[0]] == [row["row"] for row in tables[1]]
    assert len(tables[1]) == 13
    for first, second in zip(*tables, strict=True):
        assert second["score"] == pytest.approx(first["score"], abs=1e-5)
    plan = json.loads((tmp_path / "two" / "plan.json").read_text())
    assert plan["fingerprint"]["machine"]["processes"] == 2
    assert sum(event["event"] == "summary" for event in two) == 1


@pytest.mark.slow
def test_weights_that_get_no_gradient(tickets: Path, tmp_path: Path) -> None:
    """XLNet has a weight that classification never uses; DDP must not wait for it."""
    from transformers import XLNetConfig, XLNetModel

    from tests.conftest import make_tiny_bert

    folder = make_tiny_bert(tmp_path / "xlnet")
    config = XLNetConfig(vocab_size=200, d_model=16, n_layer=1, n_head=2, d_inner=16,
                         pad_token_id=0)  # fmt: skip
    XLNetModel(config).save_pretrained(folder)
    sets = ("train.max_steps=3", "train.dropout=0.0")
    one = run(ALONE, tickets, folder, tmp_path / "one", *sets)
    two = run(LAUNCHERS["torchrun"], tickets, folder, tmp_path / "two", *sets)
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-6)


def test_more_processes_than_micro_batches(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    """Forty-seven rows by eight leave a last batch of seven, and one process with nothing of it."""
    sets = ("train.micro_batch_size=8", "train.dropout=0.0")
    one = run(ALONE, tickets, tiny_bert, tmp_path / "one", *sets)
    two = run(LAUNCHERS["torchrun"], tickets, tiny_bert, tmp_path / "two", *sets)
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-6)


def test_a_stop_is_agreed_on_and_the_same_command_continues(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    sets = ("train.dropout=0.1", "train.epochs=30")
    through = run(LAUNCHERS["torchrun"], tickets, tiny_bert, tmp_path / "through", *sets)
    out = tmp_path / "stopped"
    child = subprocess.Popen(
        command(LAUNCHERS["torchrun"], tickets, tiny_bert, out, *sets),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = out / "events.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGTERM)
    child.wait(60)
    assert list((out / "checkpoints").glob("step-*"))
    assert not (out / "model").exists()
    rest = run(LAUNCHERS["torchrun"], tickets, tiny_bert, out, *sets)
    assert losses(rest)[-5:] == losses(through)[-5:]
