"""Sending states while training goes on: a thread, which never makes a step wait or fail.

A state that cannot be sent is tried again with growing pauses, until a newer one replaces it. What
is left at the end is waited for, and reported if it could not be sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tunesmith.errors import Place, Problem, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.remote.lease import Lease
from tunesmith.remote.store import Store
from tunesmith.remote.store_errors import reported
from tunesmith.remote.upload import State, Superseded

__all__ = ["Mirror"]

_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds before a state is tried again."""
_LAST_TRIES, _LAST_PAUSE = 3, 2.0
"""How often, and after how many seconds, at the end."""


class Mirror:
    """The thread and the newest state that it has to send."""

    def __init__(self, store: Store, lease: Lease, send: Callable[[State], object]) -> None:
        self._store, self._lease, self._send = store, lease, send
        self._changed = threading.Condition()
        self._pending: State | None = None
        self._sending: State | None = None
        self._problem: Problem | None = None
        self._warnings: list[Problem] = []
        self._is_closing = False
        self._lost: TunesmithError | None = None
        self._seconds = 0.0
        self._last_tries = _LAST_TRIES
        self._thread = threading.Thread(target=self._work, name="remote-mirror", daemon=True)
        self._thread.start()

    @property
    def location(self) -> str:
        """Where the copy is."""
        return str(self._store.location)

    def take(self, state: State) -> None:
        """Have a state sent, instead of one that is not begun yet.

        Raises:
            FolderInUseError: another process took the remote folder over (C164).
        """
        self.refuse_lost()
        with self._changed:
            self._pending = state
            self._changed.notify_all()

    def refuse_lost(self) -> None:
        """Refuse to go on where another process took the remote folder over.

        Raises:
            FolderInUseError: one did (C164).
        """
        if self._lost is not None:
            raise self._lost
        self._lease.refuse_lost()

    def in_use(self) -> frozenset[int]:
        """Return the steps whose checkpoints are needed until they are sent."""
        with self._changed:
            states = [state for state in (self._pending, self._sending) if state is not None]
        return frozenset().union(*(state.checkpoints for state in states))

    def take_warnings(self) -> list[Problem]:
        """Return what went wrong since the last call; a store that stays away is said once."""
        with self._changed:
            taken, self._warnings = self._warnings, []
        return taken

    @property
    def longest_seconds(self) -> float:
        """How long sending a state took at most."""
        return self._seconds

    def finish(self, seconds: float | None) -> Problem | None:
        """Wait until all is sent; return what is wrong if it is not.

        Args:
            seconds: how long at most; None for until it is sent or fails once more.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(0.2)
            if deadline is not None and time.monotonic() > deadline:
                break
        with self._changed:
            left = self._pending if self._pending is not None else self._sending
            if left is None:
                return None
            reason = self._problem or self._too_slow(seconds or 0.0)
            return _not_stored(left, reason)

    def _too_slow(self, seconds: float) -> Problem:
        message = _("there was no time: it is not done after {seconds:.0f} s")
        text = message.format(seconds=seconds)
        return Problem("C166", text, Place(self.location), fix=_in_the_folder())

    def _work(self) -> None:
        failures = 0
        while (state := self._next()) is not None:
            problem = self._tried(state)
            with self._changed:
                self._sending = None
                if problem is None:
                    failures, self._problem = 0, None
                    continue
                failures += 1
                if self._pending is None:
                    self._pending = state
                if self._problem is None:
                    self._warnings.append(_tried_again(problem))
                self._problem = problem
                if self._lost is not None:
                    return
                pause = _PAUSES[min(failures, len(_PAUSES)) - 1]
                self._changed.wait_for(lambda: self._is_closing, pause)
                if self._is_closing:
                    self._last_tries -= 1
                    if self._last_tries < 0:
                        return
            if self._is_closing:
                time.sleep(_LAST_PAUSE)

    def _next(self) -> State | None:
        """The next state to send; None at the end."""
        with self._changed:
            while self._pending is None and not self._is_closing:
                self._changed.wait()
            state, self._pending = self._pending, None
            self._sending = state
            return state

    def _tried(self, state: State) -> Problem | None:
        """Send a state; what went wrong, if anything did."""
        started = time.monotonic()
        try:
            with reported(self._store.location):
                try:
                    self._send(state)
                except Superseded as error:
                    return self._changed_meanwhile(state, str(error))
        except TunesmithError as error:
            if self._lease.lost_to is not None:
                self._lost = error
            return error.problems[0]
        self._seconds = max(self._seconds, time.monotonic() - started)
        return None

    def _changed_meanwhile(self, state: State, name: str) -> Problem | None:
        """What a file means that is not there any more: nothing if a newer state will come."""
        if not (state.is_finished or self._is_closing):
            return None
        message = _("{file} was changed or deleted while it was sent")
        text = message.format(file=name)
        return Problem("C166", text, Place(self.location), fix=_in_the_folder())


def _tried_again(problem: Problem) -> Problem:
    return replace(
        problem,
        code="C165",
        message=_("the newest state is not in the store: {reason}").format(reason=problem.message),
        fix=_("Training goes on, and it is tried again."),
        severity=Severity.WARNING,
    )


def _in_the_folder() -> str:
    return _(
        "It is in the local folder: the same command on this machine stores it, and another "
        "machine continues from an older state."
    )


def _not_stored(state: State, reason: Problem) -> Problem:
    message = _("the state of step {step} is not in the store: {reason}")
    return replace(
        reason,
        code="C166",
        message=message.format(step=state.step, reason=reason.message),
        fix=_in_the_folder(),
        severity=Severity.ERROR,
    )
