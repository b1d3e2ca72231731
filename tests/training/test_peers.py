"""Peers in threads of one process, with a store in memory; processes: tests/runs/test_agreement."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch.distributed import HashStore, Store

from tunesmith.errors import IntegrityError, PeerError, RecipeError, TunesmithError
from tunesmith.training import peers

Step = Callable[[peers._Joined], Any]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[peers._Joined]]:
    store = HashStore()
    monkeypatch.setattr(peers, "_stores", [store, store])
    monkeypatch.setattr(peers, "_BEAT_SECONDS", 0.02)
    monkeypatch.setattr(peers, "_LINGER_SECONDS", 0.2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    both = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        both.append(peers._Joined(1))
    yield both
    for each in reversed(both):
        each.leave()


def at_once(pair: list[peers._Joined], *steps: Step) -> list[Any]:
    """What each returns or raises."""
    results: list[Any] = [None, None]

    def run(rank: int) -> None:
        try:
            results[rank] = steps[rank](pair[rank])
        except TunesmithError as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_alone_it_decides_alone() -> None:
    with peers.joined() as alone:
        assert alone is peers.current()
        assert alone.decide("x", 3, sum) == 3
        alone.meet()
        alone.request_stop()
        assert not alone.stop_is_requested
        assert alone.why(RuntimeError("gloo")) is None


def test_the_first_decides_from_the_values_of_all(pair: list[peers._Joined]) -> None:
    ask: list[Step] = [lambda p, rank=rank: p.decide("x", rank + 5, sum) for rank in range(2)]  # type: ignore[misc]
    assert at_once(pair, *ask) == [11, 11]
    assert at_once(pair, *ask) == [11, 11]


def test_an_error_of_the_decision_is_that_of_all(pair: list[peers._Joined]) -> None:
    def refuse(_values: object) -> None:
        raise IntegrityError.of("C140", "different")

    errors = at_once(pair, *[lambda p: p.decide("x", None, refuse)] * 2)
    assert [error.exit_code for error in errors] == [6, 6]
    assert [error.problems[0].code for error in errors] == ["C140", "C140"]


def test_a_failure_ends_the_wait_of_the_other(pair: list[peers._Joined]) -> None:
    def fail(each: peers._Joined) -> None:
        each.report(RecipeError.of("R101", "no recipe"))

    _nothing, error = at_once(pair, fail, lambda p: p.meet())
    assert isinstance(error, PeerError)
    assert error.exit_code == 2
    assert "R101 no recipe" in str(error)


def test_a_stop_of_one_is_known_to_the_other(pair: list[peers._Joined]) -> None:
    pair[1].request_stop()
    for _time in range(500):
        if pair[0].stop_is_requested:
            break
        threading.Event().wait(0.01)
    assert pair[0].stop_is_requested


def test_one_that_does_not_come_is_not_waited_for_forever(
    pair: list[peers._Joined], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "HANG_SECONDS", 0.1)
    with pytest.raises(PeerError, match="process 1 failed: it did not come") as caught:
        pair[0].meet()
    assert caught.value.exit_code == 75


def test_another_number_of_processes_is_no_job(pair: list[peers._Joined]) -> None:
    pair[1]._put("1/x/1", [3, 0])
    with pytest.raises(RecipeError, match="WORLD_SIZE=3"):
        pair[0].decide("x", 0, sum)


@pytest.fixture
def ended_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def facts(pid: int, boot: str) -> dict[str, object]:
    return {"host": "here", "boot": boot, "pid": pid, "started": None}


@pytest.mark.parametrize("boot", ["same", "another machine"])
def test_one_that_ended_is_missed(
    boot: str, pair: list[peers._Joined], ended_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same machine at once, elsewhere when it gives no sign of life."""
    monkeypatch.setattr(peers, "SILENT_SECONDS", 0.2)
    pair[1]._over.set()  # it beats no more
    pair[1]._thread.join()
    pair[0]._others = [facts(os.getpid(), "same"), facts(ended_pid, boot)]
    with pytest.raises(PeerError, match="process 1") as caught:
        pair[0].meet()
    assert caught.value.exit_code == 75
    said = str(caught.value)
    assert ("ended without a message" if boot == "same" else "no sign of life") in said


def test_a_failed_exchange_is_no_other_error(pair: list[peers._Joined]) -> None:
    assert pair[0].why(RuntimeError("shapes differ")) is None
    assert pair[0].why(ValueError("Connection closed by peer")) is None
    error = pair[0].why(RuntimeError("[gloo/pair.cc:1] Connection closed by peer"))
    assert error is not None
    assert error.exit_code == 75


def test_the_first_stays_until_the_others_have_left(
    pair: list[peers._Joined], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes with it, and another one may not have read the last answer yet."""
    monkeypatch.setattr(peers, "_LINGER_SECONDS", 30.0)
    first = threading.Thread(target=pair[0].leave)
    first.start()
    first.join(0.1)
    assert first.is_alive()
    pair[1].leave()
    first.join(10)
    assert not first.is_alive()


class Silent(Store):
    """A store whose machine is gone: it takes what it gets and answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = threading.Event()

    def set(self, key: str, value: str) -> None:
        """Nothing is answered, so that nothing is waited for."""

    def _no_answer(self, *_arguments: object) -> Any:
        self.is_over.wait(30)
        raise RuntimeError("gone")

    check = compare_set = get = wait = _no_answer


def test_a_silent_store_does_not_keep_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its failure counts although it cannot be recorded, and the end is that of the guard."""
    ends = threading.Event()
    monkeypatch.setattr(peers, "_BEAT_SECONDS", 0.02)
    monkeypatch.setattr(peers, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(peers._Joined, "_end_now", lambda _self: ends.set())
    store = Silent()
    monkeypatch.setattr(peers, "_stores", [store, store])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    each = peers._Joined(1)
    try:
        assert ends.wait(10)
        assert "no answer" in str(peers.error_of(each._failure or {}))
    finally:
        store.is_over.set()
        each.leave()
