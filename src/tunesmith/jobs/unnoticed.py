"""Signals that Python does not notice, because its main thread is inside of a library.

Python runs handlers between two of its instructions. Processes that wait for each other inside of
torch may do so for minutes.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

__all__ = ["Unnoticed"]


class Unnoticed:
    """A second thread that learns of signals, from entering to leaving, in the main thread."""

    def __init__(
        self, numbers: Collection[int], *, seconds: float, act: Callable[[set[int]], object]
    ) -> None:
        """Say what is done.

        Args:
            numbers: the signals.
            seconds: in which the handler has to call `note`.
            act: called in the thread with what arrived if it does not.
        """
        self._numbers, self._seconds, self._act = set(numbers), seconds, act
        self._is_noticed = self._is_over = False

    def note(self) -> None:
        """The handler runs."""
        self._is_noticed = True

    def __enter__(self) -> Unnoticed:
        receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        threading.Thread(target=self._watch, args=(receiver,), daemon=True).start()
        self._before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over = True
        signal.set_wakeup_fd(self._before)
        self._sender.close()

    def _watch(self, receiver: socket.socket) -> None:
        with receiver, suppress(OSError):
            while arrived := receiver.recv(64):
                if not self._numbers.intersection(arrived):
                    continue
                deadline = time.monotonic() + self._seconds
                while time.monotonic() < deadline and not (self._is_noticed or self._is_over):
                    time.sleep(0.05)
                if not (self._is_noticed or self._is_over):
                    self._act(self._numbers.intersection(arrived))
