"""The guard with limits of fractions of a second; whole processes: tests/runs/test_silence.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tunesmith.training.peer_guard import Guard

SILENT = 0.2
LONG = 3600.0


class Watched:
    """What a guard watches, and what it did."""

    def __init__(self, *, silent_seconds: float = LONG, last_seconds: float = LONG) -> None:
        self.is_failed = False
        self.failed, self.silent = threading.Event(), threading.Event()
        self.guard = Guard(
            is_failed=lambda: self.is_failed,
            end_failed=self.failed.set,
            end_silent=self.silent.set,
            every=0.01,
            last_seconds=last_seconds,
            silent_seconds=silent_seconds,
        )


@pytest.fixture
def threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.usefixtures("threads")
def test_silence_ends_the_process() -> None:
    watched = Watched(silent_seconds=SILENT)
    assert watched.silent.wait(10)
    assert not watched.failed.is_set()
    watched.guard.leave()


@pytest.mark.usefixtures("threads")
def test_signs_of_life_keep_it() -> None:
    watched = Watched(silent_seconds=SILENT)
    for _time in range(20):
        watched.guard.note_life()
        assert not watched.silent.wait(SILENT / 10)
    watched.guard.leave()


@pytest.mark.usefixtures("threads")
def test_after_a_failure_it_may_end_by_itself_for_some_time() -> None:
    watched = Watched(silent_seconds=SILENT, last_seconds=2 * SILENT)
    watched.is_failed = True
    assert not watched.failed.wait(SILENT)
    assert watched.failed.wait(10)
    assert not watched.silent.is_set(), "why it ends is known"
    watched.guard.leave()


@pytest.mark.usefixtures("threads")
def test_one_that_left_is_not_watched() -> None:
    watched = Watched(silent_seconds=SILENT / 10, last_seconds=0.0)
    watched.guard.leave()
    watched.is_failed = True
    assert not watched.failed.wait(SILENT)
