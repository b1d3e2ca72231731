"""Stop requests: a signal sets a flag that is read between steps.

SIGTERM, SIGUSR1, Ctrl-C, and SIGHUP, which comes when a terminal is closed, unless under `nohup`.
On Windows Ctrl-C and Ctrl-Break (SIGBREAK): what else ends a process there cannot be caught.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tunesmith.errors import Interrupted, Problem, Severity
from tunesmith.i18n import gettext as _

__all__ = ["StopRequest"]

_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
_HANGUP = getattr(signal, "SIGHUP", None)


class StopRequest:
    """Listens for signals while it is entered.

    Within `deferred` a signal only sets `was_made`, and the loop saves and stops. At any other
    time it raises `Interrupted` at once: nothing is lost that a rerun would not
    redo. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._is_deferred = False
        self._before: dict[int, Any] = {}

    @property
    def was_made(self) -> bool:
        """Whether a stop was requested."""
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == _HANGUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue  # under nohup the run outlives its terminal
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:  # the second time: at once, by the signal's own way of ending
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = number
        if not self._is_deferred:
            raise self.interruption(None)
