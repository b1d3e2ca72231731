from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunesmith.training.cpus import Quota
from tunesmith.training.fast import neighbors
from tunesmith.training.fast.neighbors import Policy, Reading, Window, read

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/stat")

QUIET = Window(0.5, 1.98, 0.02)
NEXT_TO_ONE = Window(0.5, 1.25, 0.74)
"""Recorded while two threads spin on two CPUs next to `while True: pass`."""
NEXT_TO_ONE_PASSIVE = Window(0.5, 0.99, 1.0)
NEXT_TO_NICE = Window(0.5, 1.9, 0.09, niced=0.09)
NEXT_TO_NICE_PASSIVE = Window(0.5, 1.25, 0.74, niced=0.72)


def windows_until(policy: Policy, window: Window, *, passive: bool, most: int = 1000) -> int:
    """How many such windows it takes until threads wait that way."""
    for count in range(1, most + 1):
        if policy.take(window) is passive:
            return count
    raise AssertionError("never")


def stays(policy: Policy, window: Window, count: int) -> bool:
    before = policy.passive
    return all(policy.take(window) is before for _window in range(count))


def test_a_quiet_machine_changes_nothing() -> None:
    assert stays(Policy(2, 2), QUIET, 1000)


def test_a_neighbor_is_noticed_within_two_seconds_and_its_end_within_five() -> None:
    policy = Policy(2, 2)
    assert windows_until(policy, NEXT_TO_ONE, passive=True) <= 4
    assert stays(policy, NEXT_TO_ONE_PASSIVE, 1000)
    assert round(policy.others, 2) == 1.0
    assert 4 <= windows_until(policy, QUIET, passive=False) <= 10


def test_half_a_second_of_something_else_changes_nothing() -> None:
    policy = Policy(2, 2)
    for _burst in range(100):
        assert not policy.take(NEXT_TO_ONE)
        assert stays(policy, QUIET, 6)


def test_cpus_that_no_thread_needs_are_left_to_others() -> None:
    assert stays(Policy(8, 16), Window(0.5, 7.9, 8.0), 100)
    assert windows_until(Policy(8, 16), Window(0.5, 7, 9.0), passive=True) < 10
    more_threads_than_cpus = Policy(8, 2)
    assert stays(more_threads_than_cpus, QUIET, 100)


def test_a_process_that_waits_for_others_does_not_count_them() -> None:
    """As the contenders of a benchmark do between their turns."""
    assert stays(Policy(2, 2), Window(0.5, 0.001, 2.0), 1000)


def test_spinning_is_tried_again_later_each_time_it_did_not_go_well() -> None:
    """A process of low priority takes what passive waiting leaves, and little of the rest."""
    policy = Policy(2, 2, passive=True)
    assert windows_until(policy, NEXT_TO_NICE_PASSIVE, passive=False) == 1
    assert stays(policy, NEXT_TO_NICE, 1000), "it is no reason to wait passively"
    tries = []
    for _try in range(8):
        windows_until(policy, NEXT_TO_ONE, passive=True)
        tries.append(windows_until(policy, NEXT_TO_NICE_PASSIVE, passive=False))
    assert tries == sorted(tries)
    assert tries[0] <= 10 and tries[-1] == 240, "two minutes at last"
    assert stays(policy, QUIET, 50)
    windows_until(policy, NEXT_TO_ONE, passive=True)
    assert windows_until(policy, QUIET, passive=False) <= 10, "it went well for a while"


def test_a_quota_that_stops_the_threads() -> None:
    policy = Policy(2, 64)
    assert stays(policy, Window(0.5, 2.0, 3.0, stopped=0.3), 100)
    windows_until(policy, Window(0.5, 1.0, 3.0, stopped=0.6), passive=True)
    assert policy.stopped > 0.4


def test_what_happened_between_two_readings() -> None:
    before = Reading(at=10.0, used=100.0, niced=5.0, own=50.0, stopped=1.0)
    now = Reading(at=12.0, used=104.0, niced=5.5, own=52.5, stopped=1.4)
    window = Window.between(before, now, threads=2)
    assert (window.seconds, window.own, window.others) == (2.0, 1.25, 0.75)
    assert window.niced == 0.25 and window.stopped == pytest.approx(0.1)


@pytest.mark.parametrize("now", [
    Reading(at=10.0, used=100.0, niced=0.0, own=50.0),  # no time has passed
    Reading(at=11.0, used=101.0, niced=9.0, own=52.0),  # own time is counted more finely
    Reading(at=11.0, used=99.0, niced=0.0, own=49.0),  # a CPU was switched off
])  # fmt: skip
def test_nothing_is_negative(now: Reading) -> None:
    window = Window.between(Reading(10.0, 100.0, 5.0, 50.0, stopped=3.0), now, threads=2)
    numbers = (window.own, window.others, window.niced, window.stopped)
    assert numbers == (window.own, 0.0, 0.0, 0.0) and window.own >= 0


def test_the_times_of_some_cpus() -> None:
    lines = [
        "cpu  999 999 999 999 999 999 999 999 999 999\n",
        "cpu0 100 20 30 1000 500 4 5 6 70 8\n",
        "cpu1 1 2 3 4 5 6 7 8 9 10\n",
        "cpu10 1000000 0 0 0 0 0 0 0 0 0\n",
        "intr 1 2 3\n",
        "cpu2 9 9 9 9\n",
    ]
    second = neighbors.os.sysconf("SC_CLK_TCK") if hasattr(neighbors.os, "sysconf") else 100
    used, niced = neighbors._times(lines, [0, 1])
    assert used * second == pytest.approx(165 + 27)
    assert niced * second == pytest.approx(22)
    assert neighbors._times(["cpu0 1 2 3 4\n"], [0])[0] * second == pytest.approx(6)
    for nonsense in (["cpu0 a\n"], ["cpu1 1 2 3 4\n"], []):
        with pytest.raises(ValueError):
            neighbors._times(nonsense, [0])


@ON_LINUX
def test_reading_this_machine(tmp_path: Path) -> None:
    before = read(None)
    assert before is not None
    stop = time.process_time() + 0.05
    while time.process_time() < stop:
        pass
    now = read(Quota(1, tmp_path))
    assert now is not None and now.used >= before.used and now.stopped == 0
    assert 0.05 <= now.own - before.own < 5
    assert read(None, stat=tmp_path / "absent") is None
    (tmp_path / "stat").write_text("nonsense\n", encoding="utf-8", newline="\n")
    assert read(None, stat=tmp_path / "stat") is None


@ON_LINUX
def test_children_are_no_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    before = neighbors._own_seconds()
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    monkeypatch.setattr(neighbors.multiprocessing, "active_children", lambda: [child])
    try:
        deadline = time.monotonic() + 60
        while neighbors._own_seconds() - before < 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    monkeypatch.setattr(neighbors.multiprocessing, "active_children", lambda: [child] * 2)
    assert neighbors._own_seconds() - before >= 0.1, "ended children count, too"


@ON_LINUX
@pytest.mark.parametrize(("own", "niced"), [(0, 3.0), (-5, 3.0), (5, 0.0), (19, 0.0)])
def test_priority_is_that_of_others_compared_with_ours(
    own: int, niced: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = neighbors.os.sysconf("SC_CLK_TCK")
    lines = [f"cpu{i} 0 {3 * second if i == 0 else 0} 0 0 0 0 0 0 0 0\n" for i in range(512)]
    (tmp_path / "stat").write_text("".join(lines), encoding="utf-8", newline="\n")
    monkeypatch.setattr(neighbors.os, "sched_getaffinity", lambda _process: {0, 1})
    monkeypatch.setattr(neighbors.os, "getpriority", lambda _which, _who: own)
    reading = read(None, stat=tmp_path / "stat")
    assert reading is not None and (reading.used, reading.niced) == (3.0, niced)
