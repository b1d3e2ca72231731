"""The scripts for SLURM under SLURM itself, where it is installed (`tests.deploy.slurm_box`)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import slurm_box
from tests.deploy.slurm_box import Box
from tunesmith.runs.folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_box.is_available(), reason="needs SLURM, and root"),
]

TWO = ("--ntasks-per-node=2", "--gpus-per-node=2")
"""Two processes on the node."""
LONG = 200
"""Epochs that take minutes."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with slurm_box.running(tmp_path_factory.mktemp("slurm")) as running:
        yield running


def output(box: Box, number: str) -> str:
    return (box.work / f"tunesmith-{number}.out").read_text()


def weights(box: Box, run: str) -> bytes:
    return (box.work / "runs" / run / "model" / "model.safetensors").read_bytes()


def test_a_stopped_job_goes_on_to_the_same_weights(box: Box) -> None:
    through = box.submit("slurm.sbatch", *TWO, RUN="runs/through")
    assert box.ended(through)["JobState"] == "COMPLETED", output(box, through)
    stopped = box.submit("slurm.sbatch", *TWO, RUN="runs/stopped")
    box.trained("stopped", 2)
    box.command("scancel", "--signal=TERM", stopped)
    job = box.ended(stopped)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), output(box, stopped)
    assert output(box, stopped).count("saved; queued again") == 1
    assert weights(box, "stopped") == weights(box, "through")
    run = RunFolder(box.work / "runs" / "stopped")
    steps = [event["step"] for event in run.events() if event["event"] == "step"]
    assert steps == sorted(set(steps)), "no step twice: it was saved where it was stopped"
    assert run.plan_facts()["fingerprint"]["machine"]["processes"] == 2


def test_a_time_limit_is_a_stop(box: Box) -> None:
    """Two minutes are the shortest that SLURM can warn of in time."""
    limits = ("--time=2", "--signal=TERM@30")
    number = box.submit("slurm.sbatch", *TWO, *limits, epochs=LONG, RUN="runs/limited")
    box.wait(lambda: box.job(number)["Restarts"] == "1", 200)
    box.wait(lambda: "saved; queued again" in output(box, number))
    run = RunFolder(box.work / "runs" / "limited")
    before = max(event["step"] for event in run.events() if event["event"] == "step")
    box.trained("limited", before + 1)
    assert "TIME LIMIT" not in output(box, number), "it ended before the limit"
    box.command("scancel", number)


def test_a_canceled_job_is_saved_and_not_queued_again(box: Box) -> None:
    number = box.submit("slurm.sbatch", *TWO, epochs=LONG, RUN="runs/canceled")
    box.trained("canceled", 2)
    box.command("scancel", number)
    job = box.ended(number)
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")
    box.wait(lambda: any((box.work / "runs" / "canceled" / "checkpoints").glob("step-*")))


def test_errors_and_the_bound_end_a_job(box: Box) -> None:
    wrong = box.submit("slurm.sbatch", *TWO, "missing.yaml")
    job = box.ended(wrong)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "2:0", "0")
    number = box.submit("slurm.sbatch", *TWO, epochs=LONG, RUN="runs/bound", MAX_REQUEUES="0")
    box.trained("bound", 2)
    box.command("scancel", "--signal=TERM", number)
    job = box.ended(number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "75:0", "0")


def test_a_killed_process_ends_the_job(box: Box) -> None:
    number = box.submit("slurm.sbatch", *TWO, epochs=LONG, RUN="runs/killed")
    box.trained("killed", 2)
    os.kill(process_of_rank(1, number), signal.SIGKILL)
    job = box.ended(number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "137:0", "0")


def process_of_rank(rank: int, number: str) -> int:
    """The process of a job; those that it started have its environment, too, and come later."""
    expected = {f"RANK={rank}", f"SLURM_JOB_ID={number}"}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            environment = set((folder / "environ").read_text().split("\0"))
        except OSError:
            continue
        if expected <= environment:
            return int(folder.name)
    raise AssertionError("no such process")


def test_an_element_of_an_array_is_queued_again_alone(box: Box) -> None:
    """The last one, which has the id of the array."""
    array = box.submit("slurm-array.sbatch", "jobs.jsonl", epochs=3)
    box.trained("slower", 2)
    assert box.job(f"{array}_3")["JobId"] == array
    box.command("scancel", "--signal=TERM", f"{array}_3")
    jobs = [box.ended(f"{array}_{element}") for element in (1, 2, 3)]
    assert [job["JobState"] for job in jobs] == ["COMPLETED"] * 3
    assert [job["Restarts"] for job in jobs] == ["0", "0", "1"]
