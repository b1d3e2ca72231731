"""The batch script of the SLURM example, run by bash with local stand-ins for SLURM's commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.examples import EXAMPLES, copied
from tunesmith.runs.folder import RunFolder

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

SCRIPT = EXAMPLES / "slurm" / "train.sbatch"
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = '#!/bin/bash\necho "$@" >> "$REQUESTS"\n'
TORCHRUN = """#!/bin/bash
echo "$@" > arguments
trap 'sleep 0.2; exit 1' TERM
touch started
for _ in {1..100}; do [[ -z $WAITS ]] && break; sleep 0.05; done
exit "$CODE"
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copied example; commands of SLURM are on the path."""
    commands = tmp_path / "bin"
    commands.mkdir()
    add(commands, "srun", SRUN)
    add(commands, "scontrol", SCONTROL)
    monkeypatch.setenv("PATH", f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("REQUESTS", str(tmp_path / "requests"))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return copied(EXAMPLES / "slurm", tmp_path / "examples")


def add(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)


def submit(job: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start the batch script as SLURM does, in a process group of its own."""
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        ["bash", "train.sbatch"], cwd=job, env=environment, start_new_session=True
    )


def requests(job: Path) -> list[str]:
    path = job.parents[1] / "requests"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(path: Path, text: str = "", seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


@pytest.fixture
def launcher(job: Path) -> Path:
    """A `torchrun` that ends with $CODE, or with 1 after SIGTERM."""
    add(job.parents[1] / "bin", "torchrun", TORCHRUN)
    return job


@pytest.mark.parametrize(
    ("code", "ends_with", "is_requeued"),
    [(0, 0, False), (1, 1, False), (75, 0, True), (130, 130, False)],
)
def test_exit_codes(launcher: Path, code: int, ends_with: int, is_requeued: bool) -> None:
    assert submit(launcher, CODE=str(code), WAITS="").wait(30) == ends_with
    assert requests(launcher) == ["requeue 17"] * is_requeued
    words = (launcher / "arguments").read_text().split()
    assert words[-5:] == ["tunesmith", "train", "recipe.yaml", "--out", "runs/ratings"]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_signal_queues_the_job_again(launcher: Path, name: str) -> None:
    """The script waits until the launcher has ended, and does not pass on its exit code 1."""
    batch = submit(launcher, CODE="0", WAITS="yes")
    wait_for(launcher / "started")
    batch.send_signal(getattr(signal, name))
    assert batch.wait(30) == 0
    assert requests(launcher) == ["requeue 17"]


def test_a_run_that_ends_in_spite_of_the_signal_is_done(launcher: Path) -> None:
    """As one that was finishing when the signal came."""
    add(launcher.parents[1] / "bin", "torchrun", TORCHRUN.replace("exit 1", "exit 0"))
    batch = submit(launcher, CODE="0", WAITS="yes")
    wait_for(launcher / "started")
    batch.send_signal(signal.SIGUSR1)
    assert batch.wait(30) == 0
    assert requests(launcher) == []


def test_the_signal_comes_before_the_limit_and_time_is_left_to_save() -> None:
    text = SCRIPT.read_text()
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    before = int(text.split("--signal=B:USR1@")[1].split()[0])
    assert int(text.split("TORCH_ELASTIC_SHUTDOWN_TIMEOUT=")[1].split()[0]) < before
    assert "#SBATCH --requeue\n" in text and "#SBATCH --open-mode=append\n" in text


@pytest.mark.slow
def test_a_requeued_run_equals_an_uninterrupted_one(job: Path) -> None:
    """With torchrun and two processes, and the signal of the time limit."""
    settings = {"PROCESSES": "2", "TUNESMITH_TRAIN__LOG_EVERY": "1", "TUNESMITH_TRAIN__EPOCHS": "1"}
    assert submit(job, RUN="runs/through", **settings).wait(250) == 0
    batch = submit(job, **settings)
    wait_for(job / "runs" / "ratings" / "events.jsonl", '"step": 2')
    batch.send_signal(signal.SIGUSR1)
    assert batch.wait(120) == 0
    assert requests(job) == ["requeue 17"]
    stopped = RunFolder(job / "runs" / "ratings")
    assert not stopped.facts() and list((stopped.path / "checkpoints").glob("step-*"))

    assert submit(job, **settings).wait(250) == 0
    assert requests(job) == ["requeue 17"]
    through = RunFolder(job / "runs" / "through")
    losses = [
        [event["loss"] for event in run.events() if event["event"] == "step"]
        for run in (through, stopped)
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 38
    weights = [(run.model / "model.safetensors").read_bytes() for run in (through, stopped)]
    assert weights[0] == weights[1]
