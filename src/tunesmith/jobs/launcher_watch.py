"""What keeps a launcher from waiting for ever.

The agent of torch waits without an end for a process of this machine that is suspended, and inside
of torch for another machine that does not answer any more. A thread of the launcher looks at its
processes and ends what has waited too long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tunesmith.jobs.exit_codes import Ended

__all__ = ["LauncherWatch"]

_EVERY_SECONDS = 0.5
_START_SECONDS = 1200.0
"""How long machines may take to find each other; torch itself gives up after 900 at most."""
_SUSPENDED_SECONDS = 300.0
"""After four minutes its partners have given up."""
_STOP_SECONDS = 5.0
_END_SECONDS = 360.0
"""Torch waits 300 for the agents of the other machines when all of one have ended."""


class LauncherWatch:
    """A thread that looks at the processes of a launcher while it is entered."""

    def __init__(
        self,
        *,
        processes: Callable[[], Sequence[Ended]],
        end_suspended: Callable[[Ended], object],
        give_up: Callable[[], object],
        is_stopped: Callable[[], bool] = lambda: False,
        stop: Callable[[Ended], object] = lambda _one: None,
    ) -> None:
        """Say what is done.

        Args:
            processes: those of this machine, as far as they have begun.
            end_suspended: called with one that was suspended for too long.
            give_up: called when the launcher waits although none of its processes runs.
            is_stopped: whether a stop was requested.
            stop: called some seconds later with each process that runs: what tells the agent of
                torch is an exception, which a library may have caught.
        """
        self._processes, self._end_suspended = processes, end_suspended
        self._give_up, self._is_stopped, self._stop = give_up, is_stopped, stop
        self._over = threading.Event()

    def __enter__(self) -> LauncherWatch:
        threading.Thread(target=self._run, name="tunesmith-launcher", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()

    def _run(self) -> None:
        last = waits = requested = time.monotonic()
        suspended: dict[int, float] = {}
        has_begun = has_passed = False
        while not self._over.wait(_EVERY_SECONDS):
            now = time.monotonic()
            if now - last > 10 * _EVERY_SECONDS:  # this process itself was suspended
                waits, suspended = now, {}
            last = now
            begun = [one for one in self._processes() if one.pid is not None]
            states = {one.pid or 0: _state(one) for one in begun}
            has_begun = has_begun or bool(begun)
            for one in begun:
                pid = one.pid or 0
                if states[pid] != "T":
                    suspended.pop(pid, None)
                elif now - suspended.setdefault(pid, now) > _SUSPENDED_SECONDS:
                    self._end_suspended(one)
            if not self._is_stopped():
                requested = now
            elif not has_passed and now - requested > _STOP_SECONDS:
                has_passed = True
                for one in begun:
                    if states[one.pid or 0]:
                        self._stop(one)
            if any(states.values()):
                waits = now
            elif now - waits > (_END_SECONDS if has_begun else _START_SECONDS):
                self._give_up()
                return


def _state(one: Ended) -> str:
    """The state of a process as the system calls it; empty if it has ended."""
    if one.code is not None:
        return ""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{one.pid}/stat").read_text(encoding="utf-8", errors="replace")
        state = text.rpartition(")")[2].split()[0]
        return "" if state in "ZX" else state
    if Path("/proc/self/stat").exists():
        return ""
    with suppress(OSError):
        os.kill(one.pid or 0, 0)
        return "R"
    return ""
