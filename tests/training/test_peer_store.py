"""Waiting for processes that have not come: how long, and that it can be stopped."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.capabilities import needs
from tests.runs.children import FORKS, ended, start_each
from tunesmith.errors import PeerError, RecipeError
from tunesmith.training import peer_store


@pytest.mark.parametrize(
    ("variable", "seconds"),
    [(None, 900.0), ("TORCHELASTIC_RUN_ID", 300.0), ("SLURM_STEP_ID", 300.0)],
)
def test_what_starts_together_is_waited_for_less(
    variable: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    assert peer_store.join_seconds() == seconds


def test_a_store_that_no_one_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_store, "JOIN_SECONDS", 0.5)
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(RecipeError, match="C139"):
        peer_store.connect()
    monkeypatch.setenv("MASTER_PORT", "9")
    with pytest.raises(PeerError, match="C141"):
        peer_store.connect()


def wait_alone() -> None:
    """Rank 0 of two, and the other one never comes."""

    def stop(_number: int, _frame: object) -> None:
        os._exit(75)

    signal.signal(signal.SIGTERM, stop)
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGTERM)).start()
    peer_store.connect()


def never() -> None:
    """A process that was killed while it loaded."""


@needs("signals")
@pytest.mark.skipif(not FORKS, reason="loads libraries for seconds")
def test_a_signal_is_answered_while_others_are_awaited() -> None:
    started = time.monotonic()
    first, second = start_each(_role, (0,), (1,))
    assert ended([first, second], timeout=60) == [75, 0]
    assert time.monotonic() - started < 30


def _role(rank: int) -> None:
    (wait_alone, never)[rank]()
