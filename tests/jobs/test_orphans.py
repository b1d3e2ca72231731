"""Processes that outlive their parent: small ones, which load nothing of torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.jobs import orphans
from tunesmith.jobs.orphans import slow_save

CHILD = """
import os, pathlib, signal, sys, time
from tunesmith.jobs import orphans
if sys.argv[2] == "elsewhere":
    sys.platform = "other"
def stop(*_):
    pathlib.Path(sys.argv[1] + ".stopped").touch()
    if sys.argv[3] == "ends":
        os._exit(75)
signal.signal(signal.SIGTERM, stop)
orphans.end_with_parent()
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
while True:
    time.sleep(0.05)
"""
PARENT = (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]); time.sleep(60)"
)


@needs("signals")
@pytest.mark.parametrize("system", ["linux", "elsewhere"])
@pytest.mark.parametrize("child", ["ends", "does not end"])
def test_a_process_ends_with_its_parent(system: str, child: str, tmp_path: Path) -> None:
    started = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(started), system, child],
        env={**os.environ, orphans.GRACE: "0.3"},
    )
    deadline = time.monotonic() + 30
    while not (started.is_file() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    pid = int(started.read_text())
    parent.kill()
    parent.wait()
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{pid}/stat").is_file() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            break  # no one here waits for orphans
        time.sleep(0.02)
    else:
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("it lives on")
    assert (tmp_path / "pid.stopped").is_file(), "it was requested to stop first"


def test_a_save_that_may_not_fit_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert slow_save(1000) is None, "nothing waits for it"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.delenv(orphans.GRACE, raising=False)
    assert slow_save(14) is None
    assert "30 s" in str(slow_save(16))
    monkeypatch.setenv(orphans.GRACE, "120")
    assert slow_save(16) is None
    assert "120 s" in str(slow_save(61))
