"""Notices of code that has no event stream to report to, such as a file system without locks.

What is queued here is taken by the next session, which reports it as `Warned` events, or by the
command line when a command ends. What cannot wait is shown at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from tunesmith.errors import Problem

__all__ = ["listening", "notify_once", "show_now", "take"]

_queue: list[Problem] = []
_known: set[Hashable] = set()
_listeners: list[Callable[[Problem], None]] = []


def notify_once(key: Hashable, problem: Problem) -> None:
    """Queue a problem unless one with the same key was queued before in this process."""
    if key not in _known:
        _known.add(key)
        _queue.append(problem)


def take() -> list[Problem]:
    """The queued problems, which leave the queue."""
    taken = list(_queue)
    _queue.clear()
    return taken


@contextmanager
def listening(listener: Callable[[Problem], None]) -> Iterator[None]:
    """Pass what is shown at once to `listener` while entered."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def show_now(problem: Problem) -> None:
    """Show a problem at once: to the innermost listener, else through logging."""
    if _listeners:
        _listeners[-1](problem)
    else:
        logging.getLogger("tunesmith").warning("%s", problem)
