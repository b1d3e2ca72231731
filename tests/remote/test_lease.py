"""One writer at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.remote.disloyal import Wrapped
from tunesmith.errors import FolderInUseError, Problem, ResourceError
from tunesmith.remote.lease import LEASE, Lease, Times
from tunesmith.remote.store import Store
from tunesmith.storage.lock import start_of

QUICK = Times(valid=0.5, renew=0.1, look=0.05)


def silent(_problem: Problem) -> None:
    pass


def change(store: Store, **facts: object) -> None:
    """Change what the lease says."""
    stored = store.read(LEASE)
    assert stored is not None
    store.write(LEASE, json.dumps({**json.loads(stored.content), **facts}).encode())


def test_owners_one_after_another_have_higher_fences(store: Store) -> None:
    for fence in (1, 2, 3):
        lease = Lease(store)
        lease.take(silent)
        assert lease.fence == fence
        lease.release()


def test_a_second_owner_is_refused_and_learns_who_is_there(store: Store) -> None:
    first = Lease(store, QUICK)
    first.take(silent)
    try:
        with pytest.raises(
            FolderInUseError, match=rf"C164.*process {os.getpid()} on .*valid until"
        ):
            Lease(store, QUICK).take(silent)
        first.refuse_lost()
    finally:
        first.release()


def test_a_lease_that_is_not_renewed_is_taken_over_and_its_owner_notices(store: Store) -> None:
    slow = Lease(store, Times(valid=0.5, renew=1.2, look=0.05))
    slow.take(silent)
    said: list[Problem] = []
    second = Lease(store, QUICK)
    started = time.monotonic()
    second.take(said.append)
    assert time.monotonic() - started > 0.4
    assert [problem.code for problem in said] == ["C164"]
    assert second.fence == 2
    deadline = time.monotonic() + 10
    while slow.lost_to is None and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(FolderInUseError, match=r"C164.*took the remote folder over"):
        slow.refuse_lost()
    slow.release()
    second.refuse_lost()
    second.release()


def test_that_of_a_process_of_this_machine_that_has_ended_is_taken_at_once(memory: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease = Lease(memory)
    lease.take(silent)
    change(memory, pid=child.pid, started=start_of(child.pid))
    with pytest.raises(AssertionError, match="waits"):
        Lease(memory).take(_refuse_to_wait)
    child.communicate(b"\n")
    Lease(memory).take(_refuse_to_wait)


def _refuse_to_wait(_problem: Problem) -> None:
    raise AssertionError("it waits")


@pytest.mark.parametrize(
    "facts",
    [
        lambda: {"host": "elsewhere"},
        lambda: {"boot": "another"},
        lambda: {"host": "elsewhere", "expires": time.time() - 60},
    ],
    ids=["host", "boot", "clock"],
)
def test_others_are_waited_for(facts: Callable[[], dict[str, object]], memory: Store) -> None:
    Lease(memory).take(silent)
    change(memory, pid=1 << 22, **facts())
    with pytest.raises(AssertionError, match="waits"):
        Lease(memory).take(_refuse_to_wait)


def test_one_that_expired_long_ago_is_taken_at_once(memory: Store) -> None:
    Lease(memory).take(silent)
    change(memory, host="elsewhere", expires=time.time() - 1000)
    Lease(memory).take(_refuse_to_wait)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]", b'{"owner": 1, "fence": "x"}'])
def test_a_damaged_lease_is_waited_for_and_replaced(content: bytes, memory: Store) -> None:
    memory.write("manifests/00000004-00000001.json", b"")
    memory.write(LEASE, content)
    lease = Lease(memory, QUICK)
    lease.take(silent)
    assert lease.fence == 5
    lease.release()


def test_a_deleted_lease_does_not_make_fences_fall(memory: Store) -> None:
    memory.write("objects/00000007/" + "0" * 64, b"")
    lease = Lease(memory)
    lease.take(silent)
    assert lease.fence == 8
    lease.release()


class Forgetful(Wrapped):
    """Writes, but the answer is lost, and the library's second try meets the condition."""

    def _create(self, key: str, content: bytes) -> str:
        super()._create(key, content)
        return super()._create(key, content)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        super()._replace(key, content, version)
        return super()._replace(key, content, version)


def test_a_lost_answer_is_no_other_owner(memory: Store) -> None:
    lease = Lease(Forgetful(memory), QUICK)
    lease.take(silent)
    time.sleep(0.3)
    lease.refuse_lost()
    lease.release()
    second = Lease(memory)
    second.take(_refuse_to_wait)
    second.release()


def test_while_the_store_is_away_the_lease_is_not_given_up(memory: Store) -> None:
    class Away(Wrapped):
        is_away = False

        def _replace(self, key: str, content: bytes, version: str) -> str:
            if self.is_away:
                raise ConnectionError("no route")
            return super()._replace(key, content, version)

    store = Away(memory)
    lease = Lease(store, QUICK)
    lease.take(silent)
    store.is_away = True
    time.sleep(0.4)
    lease.refuse_lost()
    store.is_away = False
    with pytest.raises(FolderInUseError):
        Lease(memory, QUICK).take(silent)
    lease.release()


def test_without_the_store_there_is_no_lease(memory: Store) -> None:
    class Gone(Wrapped):
        def _read(self, key: str) -> None:
            raise PermissionError("no")

    with pytest.raises(ResourceError, match="C162"):
        Lease(Gone(memory)).take(silent)
