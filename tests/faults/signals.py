"""Signals to every kind of job, once and again, to its launcher, a rank, a group, or all.

A stop gives one new checkpoint; every rank ends with 75 (130 for Ctrl-C), and so does
`tunesmith launch`. The same command then ends with the bits of a run that was never stopped.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.faults import Case
from tests.faults.forked_jobs import ForkedJob, RunningJob, no_orphans
from tests.faults.killed_jobs import (
    assert_clean,
    assert_no_bug,
    copied,
    join_soon,
    temporary,
    train_words,
    undisturbed,
)
from tests.faults.moments import PLACES, Moment
from tests.faults.same_run import assert_same
from tunesmith.runs.folder import RunFolder

__all__ = ["cases"]

LONG = (
    "train.epochs=30", "train.save_every=1000 steps", "train.evaluate_every=90 steps",
    "train.select_by=null", "train.log_every=1",
)  # fmt: skip
STEPS_BEFORE = 4
PLACES_OF_LONG = {
    "an evaluation": (PLACES["an evaluation"][0], 1),
    "the predictions": (PLACES["the predictions"][0], 2),
}
KEYBOARD = 130
SEQUENCES: Mapping[str, tuple[int, ...]] = {
    "TERM": (signal.SIGTERM,),
    "TERM, TERM": (signal.SIGTERM, signal.SIGTERM),
    "TERM, USR1": (signal.SIGTERM, signal.SIGUSR1),
    "TERM, INT": (signal.SIGTERM, signal.SIGINT),
    "TERM, HUP": (signal.SIGTERM, signal.SIGHUP),
    "USR1": (signal.SIGUSR1,),
    "USR1, TERM": (signal.SIGUSR1, signal.SIGTERM),
    "USR2, QUIT, XCPU": (signal.SIGUSR2, signal.SIGQUIT, signal.SIGXCPU),
    "INT": (signal.SIGINT,),
    "HUP, TERM, TERM, TERM": (signal.SIGHUP, *(signal.SIGTERM,) * 3),
}
TARGETS: Mapping[str, tuple[str, ...]] = {
    "launch": ("the launcher", "its group", "one rank", "all"),
    "torchrun": ("the launcher", "all", "one rank", "its group"),
    "accelerate": ("the launcher", "one rank", "its group", "all"),
    "plain": ("all", "one rank"),
    "srun": ("all",),
}


def send(started: RunningJob, target: str, number: int) -> None:
    """Send a signal to a target, as far as it is there."""
    launcher = [started.pid_of("launcher")]
    ranks: list[int | None] = list(started.ranks())
    pids = {
        "the launcher": launcher, "its group": launcher, "one rank": ranks[-1:],
        "all": [*ranks, *launcher],
    }[target]  # fmt: skip
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            if pid is not None:
                (os.killpg if target == "its group" else os.kill)(pid, number)


def stopped(launcher: str, size: int, names: str, target: str, folder: Path) -> str:
    """One stop in the midst of training, however many signals it is made of."""
    job, world = _job(folder, launcher, size), undisturbed(size, *LONG)
    numbers = SEQUENCES[names]
    with no_orphans():
        started = job.start()
        log = folder / "run" / "events.jsonl"
        assert started.wait_for(lambda: _steps_in(log) >= STEPS_BEFORE)
        for number in numbers:
            send(started, target, number)
            time.sleep(0.1)
        codes = started.ended()
    left = started.codes_left()
    _check_codes(started, numbers, codes, left)
    assert _checkpoints(folder) == 1, started.said()[-2000:]
    assert_no_bug(started)
    assert temporary(folder) == [], temporary(folder)
    return f"codes {codes}, ranks {left}, {_again(job, world.home)}"


def stopped_at(launcher: str, size: int, place: str, number: int, folder: Path) -> str:
    """A stop at a chosen moment, also before and after the steps: at most one new checkpoint."""
    job, world = _job(folder, launcher, size), undisturbed(size, *LONG)
    function, call = {**PLACES, **PLACES_OF_LONG}[place]
    ranks = tuple(map(str, range(size)))
    victims = ("launcher",) if launcher == "launch" else ranks
    moment = Moment(-1, function, call, victims=victims, signal=number)
    with no_orphans():
        started = job.start(moment, patch=join_soon)
        codes = started.ended()
    assert (folder / "pids" / "hit").exists(), "it did not come there"
    assert set(codes) <= {75, 0}, (codes, started.said()[-2000:])
    assert set(started.codes_left()) <= {75, 0}, started.codes_left()
    assert _checkpoints(folder) <= 1
    assert_no_bug(started)
    assert temporary(folder) == [], temporary(folder)
    return f"codes {codes}, {_again(job, world.home)}"


def _job(folder: Path, launcher: str, size: int) -> ForkedJob:
    copied(folder)
    return ForkedJob(folder, train_words(*LONG), size, launcher)


def _again(job: ForkedJob, home: Path) -> str:
    with no_orphans():
        started = job.start()
        codes = started.ended()
    assert codes == [0] * len(codes), started.said()[-2000:]
    assert_clean(job.folder)
    return assert_same(RunFolder(job.folder / "run"), RunFolder(home / "run"))


def _check_codes(
    started: RunningJob, numbers: tuple[int, ...], codes: list[int], left: list[int]
) -> None:
    """Of the launcher, or of each rank; and what ranks came to by themselves."""
    expected = KEYBOARD if set(numbers) == {signal.SIGINT} else 75
    said = started.said()[-2000:]
    launcher = started.job.launcher
    if launcher in ("launch", "plain", "srun"):
        assert codes == [expected] * len(codes), (codes, said)
    else:
        assert codes[0] != 0, (codes, said)
    allowed = {75, KEYBOARD} if signal.SIGINT in numbers else {75}
    assert left and set(left) <= allowed, (left, said)


def _steps_in(log: Path) -> int:
    return log.read_text().count('"event": "step"') if log.is_file() else 0


def _checkpoints(folder: Path) -> int:
    return len(list((folder / "run" / "checkpoints").glob("step-*")))


def cases() -> Iterator[Case]:
    """All of them."""
    turn = 0
    for launcher, targets in TARGETS.items():
        for names in SEQUENCES:
            for target in dict.fromkeys((targets[turn % len(targets)], "all")):
                size = 4 if names == "TERM" and launcher == "launch" else 2
                name = f"{launcher}, {size} processes: {names} to {target}"
                run = partial(stopped, launcher, size, names, target)
                yield Case(name, run, seconds=200.0)
            turn += 1
    for launcher in ("launch", "plain"):
        for number, place in enumerate(PLACES):
            if place in ("deleting a checkpoint", "after a save", "writing a checkpoint"):
                continue  # there is but one checkpoint
            if place == "a save":
                continue
            name = f"{launcher}: a stop at {place}"
            kind = (signal.SIGTERM, signal.SIGUSR1)[number % 2]
            yield Case(name, partial(stopped_at, launcher, 2, place, kind), seconds=200.0)
