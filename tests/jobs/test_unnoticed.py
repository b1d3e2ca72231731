"""A signal while the main thread is inside of a library, as where processes wait for each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capabilities import needs

BLOCKED = """
import contextlib, ctypes, pathlib, sys
from tunesmith.runs import signals
signals._NOTICED_WITHIN_SECONDS = 0.2
with signals.StopRequest() as stop:
    with stop.deferred() if sys.argv[2] == "with steps" else contextlib.nullcontext():
        pathlib.Path(sys.argv[1]).touch()
        libc = ctypes.CDLL(None)
        mutex = ctypes.create_string_buffer(64)
        libc.pthread_mutex_lock(mutex)
        libc.pthread_mutex_lock(mutex)  # never returns, whatever signals arrive
"""


@needs("signals")
@pytest.mark.parametrize(
    ("where", "number", "code"),
    [("before", signal.SIGTERM, 75), ("before", signal.SIGINT, 130),
     ("with steps", signal.SIGTERM, None)],
)  # fmt: skip
def test_a_process_of_a_job_ends_unless_there_are_steps_to_save(
    where: str, number: int, code: int | None, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, str(tmp_path / "ready"), where],
        env={**os.environ, "TORCHELASTIC_RUN_ID": "1"},
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    child.send_signal(number)
    try:
        assert child.wait(1.5 if code is None else 10) == code
    except subprocess.TimeoutExpired:
        assert code is None, "it lives on"
    finally:
        child.kill()
        child.wait()
