"""The thread that sends states: newest first, again after failures, never in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.errors import FolderInUseError, ResourceError
from tunesmith.remote import mirror as module
from tunesmith.remote.lease import Lease
from tunesmith.remote.mirror import Mirror
from tunesmith.remote.store import Store
from tunesmith.remote.upload import State, Superseded


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))
    monkeypatch.setattr(module, "_LAST_PAUSE", 0.01)


@pytest.fixture
def lease(memory: Store) -> Iterator[Lease]:
    lease = Lease(memory)
    lease.take(lambda _problem: None)
    yield lease
    lease.release()


def state(step: int) -> State:
    return State(step, False, {}, (), Path("log"), 0, checkpoints=frozenset({step}))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_states_are_sent_and_of_those_that_wait_only_the_newest(
    memory: Store, lease: Lease
) -> None:
    sent, may_go_on = [], threading.Event()

    def send(state: State) -> None:
        may_go_on.wait()
        sent.append(state.step)

    mirror = Mirror(memory, lease, send)
    mirror.take(state(1))
    until(lambda: mirror.in_use() == {1} and mirror._sending is not None)
    for step in (2, 3, 4):
        mirror.take(state(step))
    assert mirror.in_use() == {1, 4}, "what is being sent, and what is next"
    may_go_on.set()
    assert mirror.finish(None) is None
    assert sent == [1, 4]
    assert mirror.in_use() == frozenset()
    assert mirror.take_warnings() == []


def test_a_store_that_is_away_is_said_once_and_tried_until_it_is_back(
    memory: Store, lease: Lease
) -> None:
    tries, sent = 0, []

    def send(state: State) -> None:
        nonlocal tries
        tries += 1
        if tries < 8:
            raise ConnectionError("no route")
        sent.append(state.step)

    mirror = Mirror(memory, lease, send)
    mirror.take(state(1))
    until(lambda: tries > 3)
    mirror.take(state(2))
    until(lambda: sent == [2])
    assert [problem.code for problem in mirror.take_warnings()] == ["C165"]
    assert mirror.finish(None) is None


def test_what_is_not_stored_at_the_end_is_an_error(memory: Store, lease: Lease) -> None:
    def send(_state: State) -> None:
        raise PermissionError("no")

    mirror = Mirror(memory, lease, send)
    mirror.take(state(7))
    problem = mirror.finish(None)
    assert problem is not None and problem.code == "C166"
    assert "step 7" in problem.message and "refuses access" in problem.message


def test_at_a_stop_there_is_a_limit(memory: Store, lease: Lease) -> None:
    may_go_on = threading.Event()
    mirror = Mirror(memory, lease, lambda _state: may_go_on.wait())
    mirror.take(state(7))
    until(lambda: mirror._sending is not None)
    started = time.monotonic()
    problem = mirror.finish(0.3)
    assert time.monotonic() - started < 5
    assert problem is not None and problem.code == "C166" and "no time" in problem.message
    may_go_on.set()
    mirror._thread.join()


def test_what_was_deleted_meanwhile_is_left_out(memory: Store, lease: Lease) -> None:
    def send(_state: State) -> None:
        raise Superseded("file")

    mirror = Mirror(memory, lease, send)
    mirror.take(state(1))
    until(lambda: not mirror.in_use())
    assert mirror.finish(None) is None
    assert mirror.take_warnings() == []


def test_what_was_deleted_and_nothing_replaces_is_an_error(memory: Store, lease: Lease) -> None:
    def send(_state: State) -> None:
        raise Superseded("model/config.json")

    mirror = Mirror(memory, lease, send)
    mirror.take(State(9, True, {}, (), Path("log"), 0))
    problem = mirror.finish(None)
    assert problem is not None and "model/config.json" in problem.message


def test_who_lost_the_lease_stops(memory: Store, lease: Lease) -> None:
    def send(_state: State) -> None:
        lease.lost_to = "another"
        lease.refuse_lost()

    mirror = Mirror(memory, lease, send)
    mirror.take(state(1))
    until(lambda: not mirror._thread.is_alive())
    with pytest.raises(FolderInUseError, match="C164"):
        mirror.take(state(2))
    assert mirror.finish(None) is not None


def test_a_bug_in_sending_is_reported_and_ends_nothing(memory: Store, lease: Lease) -> None:
    def send(_state: State) -> None:
        raise ZeroDivisionError

    mirror = Mirror(memory, lease, send)
    mirror.take(state(1))
    until(mirror.take_warnings)
    assert mirror._thread.is_alive()
    assert mirror.finish(None) is not None


def test_errors_are_those_of_the_package(memory: Store, lease: Lease) -> None:
    with pytest.raises(ResourceError, match="C162"):
        memory.download("key", Path("/nonexistent/folder/file")) or memory.upload(
            "key", Path("/nonexistent/file")
        )
