from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tunesmith.analysis.bench.contenders import Turn
from tunesmith.analysis.bench.load import Bystanders, calm_rounds, load_of, repeats


def turn(others: float = 0.0, speed: float = 100.0, seconds: float = 1.0) -> Turn:
    return Turn(seconds, 2, 16, 160, 0.5, 0.1, "a", others=others, speed=speed)


def test_a_round_counts_if_none_of_its_turns_was_disturbed() -> None:
    rounds = [
        {"a": turn(), "b": turn(0.25)},
        {"a": turn(), "b": turn(0.26)},
        {"a": turn(speed=69), "b": turn()},
        {"a": turn(speed=71), "b": turn(speed=200)},
        {"a": turn(), "b": turn(speed=150)},
    ]
    assert calm_rounds(rounds, 0.25) == [3, 4]
    assert calm_rounds(rounds, 9.0) == [3, 4], "the processor was slower"
    assert calm_rounds([{"a": turn(speed=0.0)}], 0.25) == [0], "not measured, as on a GPU"
    assert calm_rounds([], 0.25) == []


def test_a_contender_that_failed_disturbs_no_other() -> None:
    assert calm_rounds([{"a": turn(), "b": turn()}, {"a": turn()}], 0.25) == [0, 1]


@pytest.mark.parametrize(("calm", "too_busy"), [(0, True), (3, True), (4, False), (7, False)])
def test_half_of_the_turns_are_enough(calm: int, too_busy: bool) -> None:
    rounds = [{"a": turn()}] * calm + [{"a": turn(0.9)}] * 4
    load = load_of(rounds, list(range(calm)), turns=7)
    assert (load.rounds, load.disturbed, load.is_too_busy) == (calm + 4, 4, too_busy)
    assert load.others == 0.9


def test_what_took_the_cpus() -> None:
    rounds = [{"a": turn()}, {"a": turn(1.0), "b": turn(0.5, seconds=3.0)}, {"a": turn(0.625)}]
    by = [{"calm": 2.0}, {"browser": 0.7, "mail": 0.12}, {"browser": 0.1, "x": 0.09, "y": 0.3}]
    load = load_of(rounds, [0], turns=2, by=by)
    assert load.others == 0.62
    assert load.by == (("browser", 0.4), ("y", 0.15), ("mail", 0.06))
    assert load.as_json()["by"] == load.by
    assert load_of(rounds, [0, 1, 2], turns=2, by=by).by == ()
    nothing = load_of([], [], turns=2)
    assert (nothing.rounds, nothing.is_too_busy, nothing.others) == (0, False, 0.0)


def test_repetitions_are_limited() -> None:
    assert [repeats(turns) for turns in (2, 3, 7, 20)] == [2, 2, 4, 11]


def test_other_processes_are_seen_and_own_ones_are_not() -> None:
    bystanders = Bystanders()
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        before = bystanders.used()
        assert all(cpus >= 0 for cpus in before.values())
        own = {pid for pid, _name in bystanders._before}
        assert child.pid not in own
    finally:
        child.kill()
        child.wait()
