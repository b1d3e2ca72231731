"""Two processes on this CPU: the same losses as one, each row evaluated exactly once.

Most pairs are forked from a server that has the libraries loaded; the launchers themselves start
one job each.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.capabilities import needs
from tests.runs.children import ended, in_child, start_pair, train
from tunesmith.runs.folder import RunFolder

LAUNCHERS = {
    "launch": ["-m", "tunesmith.launch", "--standalone", "--nproc-per-node", "2"],
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                 "-m", "tunesmith"],
    # on a CPU `accelerate launch --cpu` wants MPI; this is its launcher for several processes
    "accelerate": ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
                   "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
                   "--main_process_port", "0", "-m", "tunesmith"],
}  # fmt: skip
SETTINGS: dict[str, object] = {
    "train.log_every": 1,
    "train.epochs": 2,
    "train.learning_rate": 1e-3,
    "train.evaluate_every": "4 steps",
    "data.validation": "21%",  # thirteen rows: two processes cannot share them evenly
}


def one_process(data: Path, model: Path, out: Path, **sets: object) -> RunFolder:
    out.parent.mkdir(exist_ok=True)
    assert in_child(train, out, data, model, {**SETTINGS, **named(sets)}) == 0
    return RunFolder(out)


def two_processes(data: Path, model: Path, out: Path, **sets: object) -> RunFolder:
    out.parent.mkdir(exist_ok=True)
    assert ended(start_pair(train, out, data, model, {**SETTINGS, **named(sets)})) == [0, 0]
    return RunFolder(out)


def named(sets: dict[str, object]) -> dict[str, object]:
    return {f"train.{name}": value for name, value in sets.items()}


def launched(launcher: Sequence[str], data: Path, model: Path, out: Path) -> RunFolder:
    """As users start it: by a launcher, and a command with flags."""
    settings = [f"{key}={value}" for key, value in SETTINGS.items()]
    flags = [part for written in settings for part in ("--set", written)]
    done = subprocess.run(
        [sys.executable, *launcher, "train", str(data), "--model", str(model),
         "--out", str(out), "--json", "--set", "train.micro_batch_size=4", *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(line["event"] == "summary" for line in lines) == 1, "one process speaks for both"
    return RunFolder(out)


def losses(run: RunFolder) -> list[float]:
    return [event["loss"] for event in run.events() if event["event"] == "step"]


def evaluated(run: RunFolder) -> list[dict[str, Any]]:
    return [event["scores"] for event in run.events() if event["event"] == "evaluated"]


def check_equal(one: RunFolder, two: RunFolder) -> None:
    """Losses, norms, scores and predictions of two processes are those of one."""
    assert len(losses(one)) == 12
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-6)
    norms = [[e["grad_norm"] for e in run.events() if e["event"] == "step"] for run in (one, two)]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-4)
    assert len(evaluated(one)) == len(evaluated(two)) == 3
    for first, second in zip(evaluated(one), evaluated(two), strict=True):
        assert second == pytest.approx(first, rel=1e-5)
    tables = [
        pq.read_table(run.path / "predictions" / "validation.parquet").to_pylist()
        for run in (one, two)
    ]
    assert [row["row"] for row in tables[0]] == [row["row"] for row in tables[1]]
    assert len(tables[1]) == 13
    for first, second in zip(*tables, strict=True):
        assert second["score"] == pytest.approx(first["score"], abs=1e-5)
    assert two.plan_facts()["fingerprint"]["machine"]["processes"] == 2


@pytest.mark.parametrize(
    "launcher",
    [
        "launch",
        pytest.param("torchrun", marks=pytest.mark.slow),
        pytest.param("accelerate", marks=pytest.mark.slow),
    ],
)
def test_a_launcher_starts_one_job(
    launcher: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Dropout on: micro-batches are numbered over the whole step, so both draw the same."""
    one = one_process(tickets, tiny_bert, tmp_path / "one", micro_batch_size=4)
    check_equal(one, launched(LAUNCHERS[launcher], tickets, tiny_bert, tmp_path / "two"))


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_two_processes_give_the_losses_of_one(
    engine: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """With accumulation: gradients are exchanged once a step, losses are summed over both."""
    sets = {"engine": engine, "micro_batch_size": 2, "dropout": 0.0}
    one = one_process(tickets, tiny_bert, tmp_path / "one", **sets)
    check_equal(one, two_processes(tickets, tiny_bert, tmp_path / "two", **sets))


@pytest.mark.slow
def test_weights_that_get_no_gradient(tickets: Path, tmp_path: Path) -> None:
    """XLNet has a weight that classification never uses; DDP must not wait for it."""
    from transformers import XLNetConfig, XLNetModel

    from tests.conftest import make_tiny_bert

    folder = make_tiny_bert(tmp_path / "xlnet")
    config = XLNetConfig(vocab_size=200, d_model=16, n_layer=1, n_head=2, d_inner=16,
                         pad_token_id=0)  # fmt: skip
    XLNetModel(config).save_pretrained(folder)
    sets = {"max_steps": 3, "dropout": 0.0}
    one = one_process(tickets, folder, tmp_path / "one", **sets)
    two = two_processes(tickets, folder, tmp_path / "two", **sets)
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-6)


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_more_processes_than_micro_batches(
    engine: str, tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """Forty-seven rows by eight leave a last batch of seven, and one process with nothing of it."""
    sets = {"engine": engine, "micro_batch_size": 8, "dropout": 0.0}
    one = one_process(tickets, tiny_bert, tmp_path / "one", **sets)
    check_equal(one, two_processes(tickets, tiny_bert, tmp_path / "two", **sets))


@needs("signals")
def test_a_stop_is_agreed_on_and_the_same_command_continues(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    sets = {"dropout": 0.1, "epochs": 12}
    through = two_processes(tickets, tiny_bert, tmp_path / "through", **sets)
    out = tmp_path / "stopped"
    pair = start_pair(train, out, tickets, tiny_bert, {**SETTINGS, **named(sets)})
    log = out / "events.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    for child in pair:
        os.kill(child.pid or 0, signal.SIGTERM)
    assert ended(pair) == [75, 75]
    assert list((out / "checkpoints").glob("step-*"))
    assert not (out / "model").exists()
    before = losses(RunFolder(out))
    assert len(before) < len(losses(through))
    rest = two_processes(tickets, tiny_bert, out, **sets)
    assert losses(rest) == losses(through)
