"""The exit code of a job: each process leaves its own in a file, the launcher makes one of them.

A process that is killed leaves none; how it ended is what the launcher saw.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.errors import Interrupted, PeerError, Problem, TunesmithError
from tunesmith.jobs.stop_signals import SIGNALS

__all__ = ["AGAIN", "BY_KEYBOARD", "Ended", "job_code", "leave", "read", "remember"]

AGAIN = Interrupted.exit_code
"""Stopped on request, after saving: the same command continues."""
BY_KEYBOARD = 128 + signal.SIGINT

_KILLED = -getattr(signal, "SIGKILL", 0)
_STOPS = frozenset(int(number) for number in SIGNALS)
_problems: list[Problem] = []
_lost: list[PeerError] = []


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process of a job ended.

    Attributes:
        local_rank: its number on this machine.
        pid: its process id; None if it never began.
        code: its exit code; negative for a signal, None if it is not known.
        time: when it left the code; infinite for one that was killed.
        problems: the errors it ended with.
        lost_another: whether it only failed because another process failed or is gone.
        lost_silent: whether that process did not answer, and may run yet.
        speaks: whether it is the first of the whole job, which prints its errors itself.
    """

    local_rank: int
    pid: int | None = None
    code: int | None = None
    time: float = math.inf
    problems: tuple[Problem, ...] = ()
    lost_another: bool = False
    lost_silent: bool = False
    speaks: bool = False

    @property
    def exit_code(self) -> int:
        """The code as a shell shows it: of a killed process 128 and the number of the signal."""
        code = self.code or 0
        return code if code >= 0 else 128 - code


def remember(error: TunesmithError) -> None:
    """Keep the error that this process ends with, for `leave`."""
    _problems[:] = error.problems
    _lost[:] = [error] if isinstance(error, PeerError) else []


def leave(folder: Path, local_rank: int, code: int | None = None) -> None:
    """Leave the exit code of this process, or at its start (None) that it runs."""
    values = {
        "pid": os.getpid(),
        "code": code,
        "time": time.time(),
        "lost_another": bool(_lost),
        "lost_silent": any(error.is_silent for error in _lost),
        "speaks": os.environ.get("RANK", "0") == "0",
        "problems": [problem.as_json() for problem in _problems],
    }
    path = folder / f"rank-{local_rank}.json"
    part = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # the launcher is gone, and the folder with it
        part.write_text(json.dumps(values), encoding="utf-8", newline="\n")
        part.replace(path)


def read(folder: Path, seen: Mapping[int, int], count: int) -> list[Ended]:
    """Return how each process ended.

    Args:
        folder: where they left it.
        seen: exit codes that the launcher saw, by local rank.
        count: of processes on this machine.
    """
    return [_read_one(folder, rank, seen.get(rank)) for rank in range(count)]


def _read_one(folder: Path, rank: int, seen: int | None) -> Ended:
    try:
        left = json.loads((folder / f"rank-{rank}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Ended(rank, code=seen)
    if left["code"] is None:
        has_waited = seen == AGAIN  # in vain, so that it ended without coming to its end
        return Ended(rank, left["pid"], seen, lost_another=has_waited, lost_silent=has_waited)
    problems = tuple(map(Problem.from_json, left["problems"]))
    return Ended(
        rank,
        left["pid"],
        left["code"],
        left["time"],
        problems,
        left["lost_another"],
        left["lost_silent"],
        left["speaks"],
    )


def job_code(
    processes: Iterable[Ended], *, requested: int | None = None
) -> tuple[int, Ended | None]:
    """Return the exit code of a job, and the process that is the cause of a failure.

    0 if every process is done; `AGAIN` if each that is not was stopped; otherwise the code of
    the one that failed first. What fails because another process is gone, and what was
    killed to end the job, is no cause.

    Args:
        processes: of this machine.
        requested: the exit code of a stop, if the launcher received a signal; processes whose code
            is not known count as stopped then.
    """
    ended = list(processes)
    if any(one.lost_silent for one in ended):  # what was killed is what had not answered
        ended = [replace(one, code=None) if one.code == _KILLED else one for one in ended]
    failed = [one for one in ended if not _is_stop(one.code) and one.code not in (0, None)]
    if requested is not None:
        failed = [one for one in failed if not one.lost_another]
    if failed:
        first = min(failed, key=_order)
        return first.exit_code, first
    codes = {_as_stop(one.code, requested) for one in ended} - {0}
    if not codes:
        return 0, None
    return (AGAIN if AGAIN in codes or requested == AGAIN else BY_KEYBOARD), None


def _order(one: Ended) -> tuple[int, float, bool]:
    """Causes first: errors with a code, in order of time; killed processes; bugs; the rest.

    A process whose partner is gone may report what torch does then as a bug, or be
    aborted by torch.
    """
    is_bug = one.code in (1, TunesmithError.exit_code)
    kind = 3 if one.lost_another else 2 if is_bug else 1 if one.time == math.inf else 0
    return kind, one.time, one.code != _KILLED


def _is_stop(code: int | None) -> bool:
    return code in (AGAIN, BY_KEYBOARD) or (code is not None and -code in _STOPS)


def _as_stop(code: int | None, requested: int | None) -> int:
    if code is None:  # killed when its time was over, or the launcher could not see it end
        return AGAIN if requested is None else requested
    return {-signal.SIGINT: BY_KEYBOARD, BY_KEYBOARD: BY_KEYBOARD, 0: 0}.get(code, AGAIN)
