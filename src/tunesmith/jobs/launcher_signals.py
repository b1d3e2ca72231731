"""What a signal to the launcher does.

The first one, whichever it is, asks every process to save and stop, and is passed on as SIGTERM or,
for Ctrl-C, as SIGINT. Repetitions change nothing. A second Ctrl-C in a terminal ends all at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

from tunesmith.jobs.exit_codes import AGAIN, BY_KEYBOARD
from tunesmith.jobs.stop_signals import HANGUP, SIGNALS
from tunesmith.jobs.unnoticed import Unnoticed

__all__ = ["LauncherSignals", "end_processes"]

_APART_SECONDS = 5.0
"""Two Ctrl-C that no one made at a terminal are one within this time."""
_APART_AT_TERMINAL_SECONDS = 0.3
_NOTICED_WITHIN_SECONDS = 5.0
"""Python runs handlers between two of its instructions; calls into torch may last for minutes."""


class LauncherSignals:
    """Listens for signals while it is entered.

    Attributes:
        requested: the exit code of the stop that was requested; None until then.
    """

    def __init__(
        self, *, pass_on: Callable[[int], None], end_at_once: Callable[[bool], None]
    ) -> None:
        """Say what is done.

        Args:
            pass_on: called in the main thread with the first signal, SIGTERM or SIGINT; it may
                raise, which interrupts what the launcher does.
            end_at_once: called with False, not to save, from the main thread after a second Ctrl-C;
                with True from another thread if the main thread does not notice a signal.
        """
        self.requested: int | None = None
        self._pass_on = pass_on
        self._end_at_once = end_at_once
        self._is_over = False
        self._interrupted_at: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> LauncherSignals:
        self._unnoticed = Unnoticed(
            SIGNALS, seconds=_NOTICED_WITHIN_SECONDS, act=self._end_unnoticed
        )
        self._unnoticed.__enter__()
        for number in SIGNALS:
            if number == HANGUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # under nohup the job outlives its terminal
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over = True
        self._unnoticed.__exit__()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._unnoticed.note()
        if self._is_over:
            return
        is_first = self.requested is None
        if number == signal.SIGINT:
            before, self._interrupted_at = self._interrupted_at, time.monotonic()
            apart = _APART_AT_TERMINAL_SECONDS if _is_at_terminal() else _APART_SECONDS
            if before is not None and self._interrupted_at - before >= apart:
                self._end_at_once(False)
                return
            self.requested = self.requested or BY_KEYBOARD
        else:
            self.requested = AGAIN
        if is_first:
            is_keyboard = self.requested == BY_KEYBOARD
            self._pass_on(signal.SIGINT if is_keyboard else signal.SIGTERM)

    def _end_unnoticed(self, numbers: set[int]) -> None:
        """End the job if the main thread does not handle a signal in time."""
        if not numbers.intersection(self._before):
            return
        self.requested = BY_KEYBOARD if numbers == {signal.SIGINT} else AGAIN
        self._end_at_once(True)


def _is_at_terminal() -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return sys.stdin.isatty()
    return False


def end_processes(pids: Iterable[int], *, grace: float, wait: bool = True) -> None:
    """Stop processes that this one started, and kill those that have not ended in time.

    Args:
        pids: their ids, each the first of its process group.
        grace: how many seconds they have; 0 to kill them now.
        wait: until they have ended; not if someone else does.
    """
    if not wait:
        for pid in pids:
            _signal(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return
    running = [pid for pid in pids if _runs(pid)]
    if grace:
        for pid in running:
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while running and time.monotonic() < deadline:
            time.sleep(0.05)
            running = [pid for pid in running if _runs(pid)]
    for pid in running:
        _signal(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    while any(_runs(pid) for pid in running):
        time.sleep(0.01)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _runs(pid: int) -> bool:
    """Whether a process of this one's own runs; one that has ended is cleared away."""
    if not hasattr(os, "WNOHANG"):
        return False  # Windows ends the processes of a launcher by itself
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False
