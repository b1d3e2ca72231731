from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.training.cpus import Quota
from tunesmith.training.fast import waiting
from tunesmith.training.fast.neighbors import Policy, Reading
from tunesmith.training.fast.openmp import libgomp
from tunesmith.training.fast.waiting import Watch

NEEDS_LIBGOMP = pytest.mark.skipif(
    libgomp() is None, reason="needs a torch whose threads are those of libgomp"
)
NAMES = {"tunesmith-watch", "tunesmith-team"}


@pytest.fixture(autouse=True)
def _two_of_two(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in waiting._SET_BY_USERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(waiting, "usable_cpus", lambda: 2)
    yield
    assert not ours(), "no thread is left behind"


def ours() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & NAMES


def aside(work: Callable[[], Any]) -> Any:
    """Run in a thread, whose team of threads ends with it."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


class Recorded:
    """Readings of a machine whose neighbor takes so many of its two CPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.others = self.stopped = 0.0
        self._now = Reading(0.0, 0.0, 0.0, 0.0)
        monkeypatch.setattr(waiting, "read", self.read)
        monkeypatch.setattr(waiting, "_LOOK_EVERY_SECONDS", 0.001)

    def read(self, _quota: Quota | None) -> Reading:
        last = self._now
        self._now = Reading(
            last.at + 0.5, last.used + 0.5 + self.others / 2, 0.0, last.own + 0.5,
            last.stopped + self.stopped,
        )  # fmt: skip
        return self._now


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@NEEDS_LIBGOMP
def test_threads_wait_as_the_load_suggests(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, watch = Recorded(monkeypatch), Watch()
    watch.enter()
    assert watch.news() == (
        "2 threads, 2 CPUs; they spin while they wait: other processes use 0.0 CPUs"
    )
    assert watch.news() == "" and ours() == {"tunesmith-watch"}
    recorded.others = 0.9
    until(lambda: ours() == NAMES)
    until(lambda: watch._policy.others > 0.899)
    assert watch.news() == ("2 threads, 2 CPUs; they wait passively: other processes use 0.9 CPUs")
    assert watch.news() == ""
    recorded.others = 0.0
    until(lambda: ours() == {"tunesmith-watch"})
    assert "they spin" in watch.news()
    recorded.others = 2.0
    until(lambda: ours() == NAMES)
    watch.leave()
    assert watch.news() == ""


@NEEDS_LIBGOMP
def test_the_last_to_leave_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded(monkeypatch)
    monkeypatch.setattr(waiting, "_WATCH", Watch())  # earlier tests left what they had seen
    with waiting.watched(True), waiting.watched(False):
        with waiting.watched(True):
            pass
        assert ours() == {"tunesmith-watch"}
        assert waiting.news()
    assert not ours() and waiting.news() == ""
    with pytest.raises(RuntimeError, match="boom"), waiting.watched(True):
        raise RuntimeError("boom")


@NEEDS_LIBGOMP
def test_what_others_do_in_a_pause_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, watch = Recorded(monkeypatch), Watch()
    watch.enter()
    watch.pause()
    recorded.others = 2.0
    for _look in range(20):
        recorded.read(None)
    time.sleep(0.02)
    recorded.others = 0.0
    watch.resume()
    time.sleep(0.02)
    assert ours() == {"tunesmith-watch"} and watch._policy.others == 0.0
    watch.leave()


@NEEDS_LIBGOMP
def test_a_training_has_the_same_bits_however_its_threads_wait() -> None:
    watch = Watch()

    def train(*, switches: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Linear(256, 512), torch.nn.GELU(), torch.nn.LayerNorm(512),
            torch.nn.Dropout(0.1), torch.nn.Linear(512, 4),
        )  # fmt: skip
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        for step in range(8):
            if switches:
                watch._policy = Policy(2, 2)
                watch._wait_passively(step % 4 < 2)
                assert ours() == ({"tunesmith-team"} if step % 4 < 2 else set())
            loss = network(torch.randn(300, 256)).logsumexp(-1).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        watch._wait_passively(False)
        return list(network.parameters())

    plain, switched = aside(lambda: train(switches=False)), aside(lambda: train(switches=True))
    for one, other in zip(plain, switched, strict=True):
        assert torch.equal(one, other)


@NEEDS_LIBGOMP
def test_threads_that_wait_passively_take_no_processor_time() -> None:
    watch, data = Watch(), torch.zeros(1 << 18)
    watch._policy = Policy(2, 2)

    def spent() -> float:
        before = time.process_time()
        for _gap in range(10):
            data.add_(1)
            time.sleep(0.004)
        return time.process_time() - before

    def measure() -> tuple[float, float, float]:
        data.add_(1)
        spinning = spent()
        watch._wait_passively(True)
        passive = spent()
        watch._wait_passively(False)
        return spinning, passive, spent()

    for _try in range(10):  # on a busy machine, spinning takes little time, too
        spinning, passive, again = aside(measure)
        if passive < min(spinning, again):
            return
    raise AssertionError("threads waited the same way each time")


@pytest.mark.parametrize("name", waiting._SET_BY_USERS)
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "passive" if name == "OMP_WAIT_POLICY" else "100")
    watch = Watch()
    watch.enter()
    assert not ours() and watch.news() == ""
    assert watch.describe() == f"2 threads, 2 CPUs; they wait as {name} says"
    watch.leave()


def test_one_thread_has_nothing_to_wait_for() -> None:
    torch.set_num_threads(1)
    watch = Watch()
    watch.enter()
    assert not ours()
    assert watch.describe() == "1 thread, 2 CPUs"
    watch.leave()


def test_without_libgomp_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "libgomp", lambda: None)
    watch = Watch()
    watch.enter()
    assert not ours()
    assert watch.describe() == "2 threads, 2 CPUs"
    watch.leave()


@NEEDS_LIBGOMP
def test_a_quota_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(waiting, "cpu_quota", lambda: Quota(2.5, tmp_path))
    recorded = Recorded(monkeypatch)
    watch = Watch()
    recorded.stopped = 0.8
    watch.enter()
    until(lambda: ours() == NAMES)
    until(lambda: watch._policy.stopped > 0.799)
    assert watch.describe() == (
        "2 threads, 2 CPUs, limited to 2.5 by a quota; they wait passively: the quota stops them "
        "for 80% of the time"
    )
    watch.leave()


@NEEDS_LIBGOMP
def test_a_system_that_refuses_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """libgomp would end the process, so that is tried before."""
    library = libgomp()
    assert library is not None
    start, left = threading.Thread.start, [1]

    def refuse(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert waiting._Team.start(library, 2) is None
    assert waiting._Team.start(library, waiting._LARGEST_TEAM + 1) is None
    watch = Watch()
    watch.enter()
    assert not ours()
    watch.leave()


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_a_forked_process_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded(monkeypatch)
    watch = Watch()
    watch.enter()
    parent, watch._process = watch._process, -1  # as the child finds it
    thread, over = watch._thread, watch._over
    watch.enter()
    assert watch._entered == 1 and watch._process == parent
    watch.leave()
    over.set()
    if thread is not None:
        thread.join()
