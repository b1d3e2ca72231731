"""Processes that live and do nothing: the others end in time, and so do they when they go on.

Limits are seconds here instead of minutes.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.runs.children import ended, start_each
from tests.runs.machines import (
    MOMENTS,
    ROWS,
    SETTINGS,
    STEP,
    Fault,
    machines,
    run_apart,
    said,
    tickets_and_model,
    train_with,
    weights,
)
from tunesmith.storage.lock import hold

pytestmark = [needs("signals"), pytest.mark.slow]

SHORT = {
    "SILENT_SECONDS": 3.0, "LAST_SECONDS": 2.0, "SHORTEST_WAIT_SECONDS": 2.0, "_BEAT_SECONDS": 0.2,
}  # fmt: skip
LONG = {**SHORT, "SILENT_SECONDS": 100.0}
"""What does not answer is noticed by the operations of torch only."""
SECONDS = 30.0
"""In which all have ended; most of them are for loading."""


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[int, str]]:
    """Data and model, and the weights of undisturbed runs, by the number of processes."""
    folder = tmp_path_factory.mktemp("through")
    data, model = tickets_and_model(folder)
    expected = {}
    for count in (2, 3):
        outs = machines(folder, f"through-{count}", data, count)
        assert run_apart(outs, model) == [0] * count
        expected[count] = weights(outs)[0]
    return data, model, expected


def start(
    outs: list[Path], model: Path, faulty: int, fault: Fault, waits: dict[str, float]
) -> list[BaseProcess]:
    faults = [fault if rank == faulty else None for rank in range(len(outs))]
    arguments = [
        (each, waits, out, ROWS, model, {**SETTINGS, "train.preflight": False})
        for each, out in zip(faults, outs, strict=True)
    ]
    return start_each(train_with, *arguments)


def check_again(outs: list[Path], model: Path, expected: str) -> None:
    """Nothing is left that keeps the same command from the same weights."""
    with hold(outs[0]):
        pass
    assert run_apart(outs, model, preflight=False) == [0] * len(outs)
    assert weights(outs) == [expected] * len(outs)
    assert not list(outs[0].rglob(".tmp-*"))


@pytest.mark.parametrize(
    ("place", "rank", "count"),
    [
        *((place, rank, 2) for place in MOMENTS for rank in (0, 1)),
        ("a later step", 1, 3),
        ("a later step", 0, 3),
        ("an evaluation", 2, 3),
    ],
)
def test_a_suspended_process_ends_the_others_and_itself_when_it_goes_on(
    place: str,
    rank: int,
    count: int,
    through: tuple[Path, Path, dict[int, str]],
    tmp_path: Path,
) -> None:
    """As by SIGSTOP; process 0 holds the store that the others ask."""
    data, model, expected = through
    outs = machines(tmp_path, "apart", data, count)
    job = start(outs, model, rank, Fault("suspended", *MOMENTS[place]), SHORT)
    others = [child for number, child in enumerate(job) if number != rank]
    try:
        assert ended(others, timeout=SECONDS) == [75] * (count - 1)
        for number, out in enumerate(outs):
            assert number == rank or "C141" in said(out)
        assert job[rank].exitcode is None
        os.kill(job[rank].pid or 0, signal.SIGCONT)
        assert ended([job[rank]], timeout=SECONDS) == [75]
        assert "C141" in said(outs[rank])
    finally:
        for child in job:
            with suppress(ProcessLookupError):
                child.kill()
    check_again(outs, model, expected[count])


@pytest.mark.parametrize("rank", [0, 1])
def test_twenty_slow_steps_are_waited_for_and_no_longer(
    rank: int, through: tuple[Path, Path, dict[int, str]], tmp_path: Path
) -> None:
    """It gives signs of life, but its main thread does not come to the next exchange."""
    data, model, expected = through
    outs = machines(tmp_path, "apart", data)
    started = time.monotonic()
    job = start(outs, model, rank, Fault("asleep", STEP, 8), LONG)
    assert ended(job, timeout=SECONDS) == [75, 75]
    assert time.monotonic() - started < SECONDS
    assert all("C141" in said(out) for out in outs)
    assert "imed out" in said(outs[1 - rank])
    check_again(outs, model, expected[2])


def test_the_slower_the_steps_the_longer_the_wait(
    through: tuple[Path, Path, dict[int, str]], tmp_path: Path
) -> None:
    """One that takes a hundred times as long, here with a limit of a thousand steps."""
    data, model, expected = through
    outs = machines(tmp_path, "apart", data)
    fault = Fault("asleep", STEP, 8, seconds=5.0)
    waits = {**LONG, "SHORTEST_WAIT_SECONDS": 0.5, "_STEPS_PER_WAIT": 1000.0}
    assert ended(start(outs, model, 1, fault, waits)) == [0, 0]
    assert weights(outs) == [expected[2]] * 2


def test_a_suspended_job_goes_on(
    through: tuple[Path, Path, dict[int, str]], tmp_path: Path
) -> None:
    """All of its processes at once, for longer than a process may be silent."""
    data, model, expected = through
    outs = machines(tmp_path, "apart", data)
    waits = {**SHORT, "SHORTEST_WAIT_SECONDS": 60.0}
    job = start(outs, model, 0, Fault("asleep", STEP, 8, seconds=4.0), waits)
    log = outs[0] / "events.jsonl"
    while not (log.is_file() and log.read_text().count('"step"') >= 7):
        time.sleep(0.01)
    for child in job:
        os.kill(child.pid or 0, signal.SIGSTOP)
    time.sleep(8)
    for child in job:
        os.kill(child.pid or 0, signal.SIGCONT)
    assert ended(job) == [0, 0]
    assert weights(outs) == [expected[2]] * 2
