"""What a process of a job does before and after its command.

Before: it ends when the launcher that started it is gone, and a signal that arrives while libraries
load ends it with the code for "stopped". After: it leaves its exit code, if `tunesmith launch`
started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from tunesmith.jobs.exit_codes import AGAIN, BY_KEYBOARD, leave
from tunesmith.jobs.orphans import end_with_parent, is_launched
from tunesmith.jobs.stop_signals import SIGNALS

__all__ = ["FOLDER", "LAUNCHER", "begin", "end", "job_folder"]

FOLDER = "TUNESMITH_JOB"
"""The variable with the folder that exit codes are left in."""
LAUNCHER = "launcher"
"""The file there with the process id of the launcher."""

_TRAINING = ("train", "launch", "many")
_job: list[tuple[Path, int]] = []


def begin() -> None:
    """Prepare this process, if it trains; before anything is loaded."""
    folder = os.environ.pop(FOLDER, None)  # processes that this one starts are not of the job
    if not is_launched():
        if _trains():  # process 1 of a container would ignore what it does not handle
            _stop_early()
        return
    if folder is None:
        _stop_early()
        end_with_parent()
        return
    _job.append((Path(folder), int(os.environ["LOCAL_RANK"])))
    _stop_early()
    leave(*_job[0])
    launcher = _launcher()
    if launcher != os.getppid():
        os._exit(end(AGAIN))
    end_with_parent(launcher)


def _trains() -> bool:
    """Whether the command of this process is one that a scheduler may stop."""
    before = ""
    for word in sys.argv[1:]:
        if not word.startswith("-") and before != "--lang":
            return word in _TRAINING
        before = word
    return False


def end(code: int) -> int:
    """Leave the exit code of this process, and return it."""
    for folder, local_rank in _job:
        leave(folder, local_rank, code)
        if os.getppid() != _launcher():  # no one else clears it away
            shutil.rmtree(folder, ignore_errors=True)
    return code


def job_folder() -> Path | None:
    """Return the private folder of the job, if `tunesmith launch` has started this process."""
    return _job[0][0] if _job else None


def _launcher() -> int | None:
    """Return the process id of the launcher; None if it has cleared away its folder."""
    try:
        return int((_job[0][0] / LAUNCHER).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _stop_early() -> None:
    """Until the command listens to signals itself, each ends the process: nothing is lost."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _ended_early)


def _ended_early(number: int, frame: FrameType | None) -> None:
    os._exit(end(BY_KEYBOARD if number == signal.SIGINT else AGAIN))
