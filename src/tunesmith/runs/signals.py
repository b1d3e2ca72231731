"""Stop requests: a signal sets a flag that is read between steps.

SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGQUIT, Ctrl-C, and SIGHUP, which comes when a terminal is
closed, unless under `nohup`. On Windows Ctrl-C and Ctrl-Break (SIGBREAK): what else ends a process
there cannot be caught.

One stop often arrives as several signals: SLURM signals every process of a step, and a launcher
forwards what it got; `timeout` signals a process and then its group. So repetitions change nothing.
Only Ctrl-C by hand, a second time, ends a process at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tunesmith.errors import Interrupted, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.jobs.exit_codes import AGAIN, BY_KEYBOARD
from tunesmith.jobs.orphans import end_with_parent, is_launched
from tunesmith.jobs.stop_signals import HANGUP, SIGNALS
from tunesmith.jobs.unnoticed import Unnoticed
from tunesmith.jobs.worker import end
from tunesmith.training.device import num_processes

__all__ = ["StopNow", "StopRequest"]

_APART_SECONDS = 0.1
"""Two Ctrl-C of a hand are at least so far apart."""
_APART_UNDER_LAUNCHER_SECONDS = 5.0
_NOTICED_WITHIN_SECONDS = 10.0
"""Processes may wait for each other inside of torch for minutes; then nothing else is lost."""


class StopNow(BaseException):
    """Raised where a signal arrives; code that catches every `Exception` must let it pass.

    Loading compiled loops is such code: it would take the stop for a reason to do without them, and
    the run would go on with other bits.
    """


class StopRequest:
    """Listens for signals while it is entered.

    Within `deferred` a signal only sets `was_made`, and the loop saves and stops. At any other
    time it ends what is done at once, and raises `Interrupted`: nothing is lost that a rerun would
    not redo. A second Ctrl-C ends the process at once; other repetitions change nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._interrupted_at: float | None = None
        self._raised: StopNow | None = None
        self._is_deferred = False
        self._before: dict[int, Any] = {}
        self._unnoticed: Unnoticed | None = None

    @property
    def was_made(self) -> bool:
        """Whether a stop was requested."""
        return self.signal is not None

    @property
    def asks(self) -> bool:
        """Whether it is time for `save_is_requested`, which all processes call if one says so."""
        return False

    def save_is_requested(self) -> bool:
        """Whether to save and go on, on every process alike: signals only stop."""
        return False

    def __enter__(self) -> StopRequest:
        if is_launched():
            end_with_parent()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == HANGUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue  # under nohup the run outlives its terminal
                self._before[number] = signal.signal(number, self._handle)
            if is_launched() or num_processes() > 1:
                self._unnoticed = Unnoticed(
                    self._before, seconds=_NOTICED_WITHIN_SECONDS, act=self._end_unnoticed
                )
                self._unnoticed.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if self._unnoticed is not None:
            self._unnoticed.__exit__()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        is_stop = error is None or isinstance(error, Interrupted)
        if not is_stop and self._raised is not None and self._raised in _causes(error):
            raise self.interruption(None) from error

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While entered, a signal only sets the flag: the loop saves and stops."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def interruption(self, saved: str | None) -> Interrupted:
        """The error that ends the run, saying what was saved."""
        what = (
            _("stopped on request; {checkpoint} is saved").format(checkpoint=saved)
            if saved
            else _("stopped on request")
        )
        problem = Problem(
            "C112",
            what,
            fix=_("The same command continues."),
            severity=Severity.NOTE,
        )
        return Interrupted(problem, by_keyboard=self.signal == signal.SIGINT)

    def _end_unnoticed(self, numbers: set[int]) -> None:
        """End this process, unless there are steps to save."""
        if not self._is_deferred:
            os._exit(end(BY_KEYBOARD if numbers == {signal.SIGINT} else AGAIN))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._unnoticed is not None:
            self._unnoticed.note()
        if number == signal.SIGINT:
            before, self._interrupted_at = self._interrupted_at, time.monotonic()
            if before is not None and self._interrupted_at - before >= _seconds_apart():
                signal.signal(number, signal.SIG_DFL)  # at once, by the signal's own way of ending
                os.kill(os.getpid(), number)
                return
        is_first = self.signal is None
        if is_first or self.signal == signal.SIGINT:
            self.signal = number
        if is_first and not self._is_deferred:
            self._raised = StopNow()
            raise self._raised


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what it was raised from or during, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _seconds_apart() -> float:
    """How far apart two Ctrl-C are that a hand made."""
    forwards = is_launched() or "SLURM_PROCID" in os.environ  # or signals every process
    return _APART_UNDER_LAUNCHER_SECONDS if forwards else _APART_SECONDS
