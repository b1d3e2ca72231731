"""A launcher that would wait for ever; its processes are small ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.capabilities import needs
from tunesmith.jobs import launcher_watch
from tunesmith.jobs.exit_codes import Ended, job_code
from tunesmith.jobs.launcher_watch import LauncherWatch


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_watch, "_EVERY_SECONDS", 0.02)
    for name, seconds in (("_START", 0.6), ("_SUSPENDED", 0.3), ("_END", 0.3)):
        monkeypatch.setattr(launcher_watch, f"{name}_SECONDS", seconds)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield child
    with suppress(ProcessLookupError):
        child.kill()
    child.wait()


def watched(processes: list[Ended], seconds: float) -> tuple[list[int | None], bool]:
    """Which processes were ended as suspended, and whether the launcher gave up."""
    suspended: list[int | None] = []
    given_up = threading.Event()
    with LauncherWatch(
        processes=lambda: processes,
        end_suspended=lambda one: suspended.append(one.pid),
        give_up=given_up.set,
    ):
        given_up.wait(seconds)
    return suspended, given_up.is_set()


@needs("signals", "/proc")
def test_only_a_suspended_process_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    processes = [Ended(0, sleeper.pid)]
    assert watched(processes, 0.6) == ([], False)
    os.kill(sleeper.pid, signal.SIGSTOP)
    suspended, is_over = watched(processes, 0.8)
    assert sleeper.pid in suspended and not is_over
    os.kill(sleeper.pid, signal.SIGCONT)
    time.sleep(0.1)
    assert watched(processes, 0.6) == ([], False)


def test_a_stop_that_was_not_passed_on(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_watch, "_STOP_SECONDS", 0.2)
    stopped: list[int | None] = []
    with LauncherWatch(
        processes=lambda: [Ended(0, sleeper.pid), Ended(1)],
        end_suspended=lambda _one: None,
        give_up=lambda: None,
        is_stopped=lambda: True,
        stop=lambda one: stopped.append(one.pid),
    ):
        time.sleep(0.5)
    assert stopped == [sleeper.pid]


@needs("/proc")
def test_a_launcher_without_processes_gives_up() -> None:
    started = time.monotonic()
    assert watched([Ended(0), Ended(1)], 5.0) == ([], True)
    assert time.monotonic() - started > 0.5, "they have time to begin"
    assert watched([Ended(0, 1, code=0), Ended(1, 1, code=75)], 5.0) == ([], True)


def test_what_was_ended_for_it_may_run_again() -> None:
    killed = -getattr(signal, "SIGKILL", 9)
    one = Ended(0, 1, killed, lost_another=True, lost_silent=True)
    assert job_code([one]) == (75, None)
