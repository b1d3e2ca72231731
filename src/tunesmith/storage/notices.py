"""Notices of code without an event stream, such as one about a file system without locks.

Queued notices are reported by the next session as `Warned` events, or by the command line when a
command ends. Urgent ones are shown at once.
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
    """Remove the queued problems and return them."""
    taken = list(_queue)
    _queue.clear()
    return taken


@contextmanager
def listening(listener: Callable[[Problem], None]) -> Iterator[None]:
    """Pass problems that are shown at once to `listener` inside the block."""
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
