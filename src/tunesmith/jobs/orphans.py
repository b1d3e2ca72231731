"""A process ends when the launcher that started it is gone.

A launcher starts its processes in sessions of their own. If it is killed, nothing reaches them:
they would train on, holding the lock of the run folder. Here they are stopped as by SIGTERM, which
saves; one that has not ended when the time for that is over is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["GRACE", "end_with_parent", "grace_seconds", "is_launched", "slow_save"]

GRACE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
"""The variable with the seconds that torchrun gives its processes to end; torch reads it, too."""
_GRACE_OF_TORCHRUN = 30.0
_LOOK_EVERY_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1
_guarded: set[int] = set()


def is_launched() -> bool:
    """Whether torchrun or a launcher built on it, such as accelerate's, started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def grace_seconds() -> float:
    """Return how long a launcher waits after a signal before it kills its processes."""
    with suppress(ValueError):
        return float(os.environ.get(GRACE, ""))
    return _GRACE_OF_TORCHRUN


def slow_save(seconds: float) -> Problem | None:
    """Return a warning if a save takes so long that a stopped run may be killed during it."""
    if not is_launched() or seconds <= grace_seconds() / 2:
        return None
    message = _("saving took {seconds:.0f} s; a stopped run is killed after {grace:.0f} s")
    return Problem(
        "C153",
        message.format(seconds=seconds, grace=grace_seconds()),
        fix=_("Give more time: tunesmith launch --shutdown-timeout SECONDS."),
        severity=Severity.WARNING,
    )


def end_with_parent(parent: int | None = None) -> None:
    """End this process when its parent ends, however that ends.

    Args:
        parent: its process id; None for the parent of now. If it is gone already, this
            process is stopped at once.
    """
    if sys.platform == "win32" or os.getpid() in _guarded:
        return  # Windows does not tell that a parent is gone
    _guarded.add(os.getpid())
    parent = os.getppid() if parent is None else parent
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), name="end_with_parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds())
    os.kill(os.getpid(), signal.SIGKILL)
