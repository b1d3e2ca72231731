from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capabilities import needs
from tunesmith.jobs import launcher_signals
from tunesmith.jobs.launcher_signals import LauncherSignals, end_processes


@needs("signals")
@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_of_signals_is_passed_on_once(seed: int) -> None:
    draw = random.Random(seed)
    names = ["SIGTERM", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGXCPU"]
    numbers = [getattr(signal, draw.choice(names)) for _time in range(draw.randint(1, 12))]
    passed: list[int] = []
    at_once: list[bool] = []
    with LauncherSignals(pass_on=passed.append, end_at_once=at_once.append) as signals:
        for number in numbers:
            os.kill(os.getpid(), number)
    first = signal.SIGINT if numbers[0] == signal.SIGINT else signal.SIGTERM
    assert (passed, at_once) == ([first], [])
    assert signals.requested == (130 if set(numbers) == {signal.SIGINT} else 75)


@needs("signals")
def test_a_second_ctrl_c_at_a_terminal_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_signals, "_is_at_terminal", lambda: True)
    at_once: list[bool] = []
    with LauncherSignals(pass_on=lambda _n: None, end_at_once=at_once.append):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert not at_once, "one that arrived twice"
        time.sleep(0.35)
        os.kill(os.getpid(), signal.SIGINT)
        assert at_once == [False]


BLOCKED = """
import ctypes, os, pathlib, sys
from tunesmith.jobs import launcher_signals
launcher_signals._NOTICED_WITHIN_SECONDS = 0.2
signals = launcher_signals.LauncherSignals(
    pass_on=lambda number: None, end_at_once=lambda save: os._exit(signals.requested)
)
with signals:
    pathlib.Path(sys.argv[1]).touch()
    libc = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)  # never returns, whatever signals arrive
"""


@needs("signals")
def test_a_signal_works_while_the_main_thread_is_in_a_library(tmp_path: Path) -> None:
    """As it is while the machines of a job wait for each other."""
    child = subprocess.Popen([sys.executable, "-c", BLOCKED, str(tmp_path / "ready")])
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 75


@needs("signals")
def test_processes_have_time_to_end() -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: {}); print(flush=True); {}"
    willing = subprocess.Popen(
        [sys.executable, "-c", code.format("sys.exit(75)", "time.sleep(60)")],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    stubborn = subprocess.Popen(
        [sys.executable, "-c", code.format("0", "[time.sleep(1) for _ in range(60)]")],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    for child in (willing, stubborn):
        assert child.stdout is not None
        child.stdout.readline()
    end_processes([willing.pid, stubborn.pid], grace=0.5)
    for child in (willing, stubborn):
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)
        assert child.stdout is not None
        child.stdout.close()
        child.wait()
    end_processes([willing.pid], grace=0.5)
