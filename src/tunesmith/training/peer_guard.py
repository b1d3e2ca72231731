"""What ends a process that waits for its peers in vain.

The store of a job is held by process 0 or by its launcher. If that is suspended, or its machine is
gone, a question to the store blocks inside of torch, without any limit. The thread of this module
asks nothing, so that nothing blocks it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Guard"]


class Guard:
    """A thread that ends this process, unless it ends by itself."""

    def __init__(
        self,
        *,
        is_failed: Callable[[], bool],
        end_failed: Callable[[], object],
        end_silent: Callable[[], object],
        every: float,
        last_seconds: float,
        silent_seconds: float,
    ) -> None:
        """Start to watch this process.

        Args:
            is_failed: whether a failure of the job is known.
            end_failed: called when it has been known for `last_seconds`.
            end_silent: called when there was no sign of life for `silent_seconds`.
            every: seconds between two looks.
            last_seconds: how long a process may end by itself.
            silent_seconds: how long there may be no sign of life. An answer of the store is one,
                and so is progress of this process: a silent store is no harm to steps, and a
                suspended launcher may go on later.
        """
        self._is_failed, self._every = is_failed, every
        self._end_failed, self._last_seconds = end_failed, last_seconds
        self._end_silent, self._silent_seconds = end_silent, silent_seconds
        self._lived = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._run, name="tunesmith-guard", daemon=True).start()

    def note_life(self) -> None:
        """The store has answered, or this process does what it needs the others for."""
        self._lived = time.monotonic()

    def leave(self) -> None:
        """The process goes on without peers."""
        self._over.set()

    def _run(self) -> None:
        resumed = failed = last = time.monotonic()
        while not self._over.wait(self._every):
            now = time.monotonic()
            if now - last > 10 * self._every:  # this process itself was suspended
                resumed = failed = now
            last = now
            if not self._is_failed():
                failed = now
                if now - max(self._lived, resumed) > self._silent_seconds:
                    self._end_silent()
            elif now - failed > self._last_seconds:
                self._end_failed()
