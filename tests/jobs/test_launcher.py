"""Two processes under `tunesmith launch`: any way to end them leaves a run that continues.

Whatever is done to the launcher or to one of its processes, the exit code says whether to run the
command again, no process, lock or temporary folder is left, and the same command ends with the
weights of an undisturbed run.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.jobs.launched import Launched, ended, processes_of
from tunesmith.errors import RecipeError
from tunesmith.jobs.launcher import launch
from tunesmith.storage.lock import hold

STEPS_BEFORE = 3


Fault = Callable[[int, list[int]], None]
"""What is done, with the process ids of the launcher and of its processes."""


def to_launcher(*numbers: int) -> Fault:
    def send(launcher: int, _ranks: list[int]) -> None:
        for number in numbers:
            os.kill(launcher, number)
            time.sleep(0.1)

    return send


def to_all(*numbers: int) -> Fault:
    def send(launcher: int, ranks: list[int]) -> None:
        for number in numbers:
            for pid in (*ranks, launcher):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.1)

    return send


def to_rank(rank: int, number: int) -> Fault:
    return lambda _launcher, ranks: os.kill(ranks[rank], number)


def to_group(number: int) -> Fault:
    return lambda launcher, _ranks: os.killpg(launcher, number)


TERM, INT, USR1, USR2, HUP, QUIT, KILL = (
    getattr(signal, f"SIG{name}", 0)
    for name in ("TERM", "INT", "USR1", "USR2", "HUP", "QUIT", "KILL")
)
FAULTS: dict[str, tuple[Fault, int, int]] = {
    "TERM to the launcher": (to_launcher(TERM), 75, 1),
    "TERM to the group": (to_group(TERM), 75, 1),
    "TERM to all": (to_all(TERM), 75, 1),
    "TERM to one rank": (to_rank(1, TERM), 75, 1),
    "TERM three times to all": (to_all(TERM, TERM, TERM), 75, 1),
    "USR1": (to_launcher(USR1), 75, 1),
    "USR1 to all": (to_all(USR1), 75, 1),
    "USR2": (to_launcher(USR2), 75, 1),
    "HUP": (to_launcher(HUP), 75, 1),
    "QUIT to all": (to_all(QUIT), 75, 1),
    "INT": (to_launcher(INT), 130, 1),
    "INT to all, then again": (to_all(INT, INT), 130, 1),
    "one after the other": (to_all(INT, USR1, TERM, HUP, INT), 75, 1),
    "the launcher is killed": (to_launcher(KILL), -KILL, 1),
    "rank 0 is killed": (to_rank(0, KILL), 137, 0),
    "rank 1 is killed": (to_rank(1, KILL), 137, 0),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A run to the end; its data and model are those of all."""
    from tests.conftest import make_tiny_bert, ticket_rows

    folder = tmp_path_factory.mktemp("launcher")
    data = folder / "tickets.csv"
    data.write_text("\n".join(",".join(row) for row in ticket_rows(60)) + "\n")
    job = Launched(folder / "undisturbed", data, make_tiny_bert(folder / "bert"))
    launcher = job.start()
    said = launcher.communicate(timeout=240)
    assert launcher.returncode == 0, said
    assert not job.left()
    yield job


def check(fault: str, job: Launched, through: Launched) -> None:
    """The law of this module."""
    inflict, code, saved = FAULTS[fault]
    launcher = job.start()
    job.wait_for_steps(STEPS_BEFORE)
    ranks = processes_of(launcher)
    assert len(ranks) == 2
    inflict(launcher.pid, ranks)
    out, err = launcher.communicate(timeout=60)
    assert launcher.returncode == code, err
    assert ended(ranks), "a process lives on"
    assert "Traceback" not in err and "torch/distributed" not in err, err
    assert len(job.checkpoints()) == saved, err
    assert err.count("C112") <= 1, err
    assert not job.left()
    with hold(job.run.path):
        pass
    again = job.start()
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert job.weights() == through.weights()


@needs("signals")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("fault", FAULTS)
def test_any_end_leaves_a_run_that_continues(fault: str, undisturbed: Launched) -> None:
    name = fault.replace(" ", "-").replace(",", "")
    job = Launched(undisturbed.folder.parent / name, undisturbed.data, undisturbed.model)
    check(fault, job, undisturbed)


@needs("signals")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_restarts_that_bring_a_run_no_further_have_an_end(undisturbed: Launched) -> None:
    """A process is killed whenever it trains, before the first checkpoint."""
    job = Launched(undisturbed.folder.parent / "futile", undisturbed.data, undisturbed.model)
    launcher = job.start("--standalone", "--nproc-per-node", "2", "--max-restarts", "6")
    killed: set[int] = set()
    deadline = time.monotonic() + 250
    while launcher.poll() is None and time.monotonic() < deadline:
        log = job.run.log
        fresh = [pid for pid in processes_of(launcher) if pid not in killed]
        trains = log.exists() and '"step": 3' in log.read_text()
        if fresh and trains:
            log.unlink()
            os.kill(fresh[-1], KILL)
            killed |= set(fresh)
        time.sleep(0.05)
    _out, err = launcher.communicate(timeout=30)
    assert launcher.returncode == 1 and "C159" in err, err
    assert len(killed) == 2 * 4
    assert not job.checkpoints() and not job.left()


@needs("signals")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("seconds", [0.7, 1.5, 2.5, 3.5, 4.5, 5.5])
def test_a_stop_before_the_first_step(seconds: float, undisturbed: Launched) -> None:
    """While libraries load, the processes meet, the data is read and the model is built."""
    name = f"after-{seconds}"
    job = Launched(undisturbed.folder.parent / name, undisturbed.data, undisturbed.model)
    launcher = job.start()
    time.sleep(seconds)
    ranks = processes_of(launcher)
    to_all(TERM, TERM)(launcher.pid, ranks)
    _out, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 75, err
    assert ended(ranks), "a process lives on"
    assert "Traceback" not in err, err
    assert not job.left()
    assert len(job.checkpoints()) <= 1


def test_an_error_is_reported_once(tmp_path: Path) -> None:
    job = Launched(tmp_path, tmp_path / "missing.csv", tmp_path / "missing")
    launcher = job.start()
    out, err = launcher.communicate(timeout=120)
    assert launcher.returncode == 2, err
    assert (out + err).count("M107") == 1, out + err
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense", "train", "x.csv"], "--nonsense"),
        (["--nproc-per-node", "many", "train", "x.csv"], "many"),
        (["--standalone", "predict", "run", "a text"], "predict"),
        (["-m", "train", "x.csv"], "--module"),
        (["--standalone"], "training_script"),
    ],
)
def test_wrong_usage(words: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match="R193") as caught:
        launch(words)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
