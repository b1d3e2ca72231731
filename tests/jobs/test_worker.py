"""A process as a launcher or a scheduler starts it, with small commands in place of a training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.jobs import worker
from tunesmith.jobs.worker import FOLDER, LAUNCHER

COMMAND = """
import os, pathlib, sys, time
from tunesmith.jobs import worker
worker.begin()
assert worker.FOLDER not in os.environ
pathlib.Path(sys.argv[1]).touch()
time.sleep(float(sys.argv[2]))
sys.exit(worker.end(5))
"""


def started(folder: Path, launcher: int, seconds: float = 0.0) -> subprocess.Popen[bytes]:
    """The process of rank 0, in a job whose launcher has a process id."""
    job = folder / "job"
    job.mkdir()
    (job / LAUNCHER).write_text(str(launcher))
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder / "begun"), str(seconds)],
        env={**os.environ, FOLDER: str(job), "TORCHELASTIC_RUN_ID": "1", "LOCAL_RANK": "0"},
    )


def code_left(folder: Path) -> object:
    return json.loads((folder / "job" / "rank-0.json").read_text())["code"]


@needs("signals")
def test_it_leaves_its_exit_code(tmp_path: Path) -> None:
    assert started(tmp_path, os.getpid()).wait(30) == 5
    assert code_left(tmp_path) == 5


@needs("signals")
def test_a_signal_while_libraries_load_is_a_stop(tmp_path: Path) -> None:
    process = started(tmp_path, os.getpid(), 60.0)
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 75
    assert code_left(tmp_path) == 75


@needs("signals")
def test_it_does_not_begin_without_its_launcher(tmp_path: Path) -> None:
    assert started(tmp_path, 1 << 22).wait(30) == 75
    assert not (tmp_path / "begun").exists()
    assert not (tmp_path / "job").exists(), "no one else clears it away"


@needs("signals")
def test_a_signal_to_a_process_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a scheduler sends it: `train` ends with 75, also as process 1; others end as ever."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    handled: dict[int, object] = {}
    monkeypatch.setattr(signal, "getsignal", lambda _number: signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", handled.__setitem__)
    for others in ([], ["--help"], ["predict", "runs/a", "train"], ["--lang", "zh", "check"]):
        monkeypatch.setattr(sys, "argv", ["tunesmith", *others])
        worker.begin()
        assert handled == {}
    for trains in (["--json", "train", "x"], ["--lang", "zh", "train"], ["launch", "train", "x"]):
        handled.clear()
        monkeypatch.setattr(sys, "argv", ["tunesmith", *trains])
        worker.begin()
        assert {signal.SIGTERM, signal.SIGUSR1, signal.SIGINT} <= handled.keys()
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    for number in (signal.SIGTERM, signal.SIGINT):
        handled[number](number, None)  # type: ignore[operator]
    assert ended == [75, 130]
