"""One job, trained in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.errors import FolderInUseError, Interrupted, Problem, TunesmithError
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.states import Name, State, write_state
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import start
from tunesmith.runs.unexpected import as_known
from tunesmith.storage import notices
from tunesmith.training.device import is_main_process, num_processes

__all__ = ["is_in_use", "recorded", "run_job"]

IN_USE = FolderInUseError.exit_code


def run_job(job: JobLine) -> State:
    """Train a job as `tunesmith train` would, leave how it ended in its folder, and return that.

    Every exception becomes part of the state. A folder that another process holds is left alone.
    """
    began = time.monotonic()
    error: Exception | None = None
    with notices.listening(lambda _problem: None):
        try:
            _train(job)
        except Exception as raised:
            error = raised
    return _leave(job, error, time.monotonic() - began)


@contextmanager
def recorded(job: JobLine) -> Iterator[None]:
    """Leave in the folder of a job how what is done inside ends."""
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        _leave(job, error, time.monotonic() - began)
        raise
    _leave(job, None, time.monotonic() - began)


def _leave(job: JobLine, error: Exception | None, seconds: float) -> State:
    known = None if error is None else as_known(error)
    problems = known.problems if known else ()
    state = _state(job, known.exit_code if known else 0, problems, seconds)
    if is_main_process() and not is_in_use(job, state):
        try:
            write_state(job, state)
        except TunesmithError as failure:
            if known is None:
                return _state(job, failure.exit_code, failure.problems, seconds)
    return state


def is_in_use(job: JobLine, state: State) -> bool:
    """Whether a job could not begin because another process trains in its folder."""
    folder = os.path.realpath(job.out)
    return state.exit_code == IN_USE and any(
        problem["code"] == "C106" and problem["place"] == folder for problem in state.problems
    )


def _train(job: JobLine) -> None:
    layers = job.layers()
    with (
        StopRequest() as stop,
        start(layers, out=job.out, named_after=job.what[0]) as started,
    ):
        if not started.is_finished:
            from tunesmith.runs.prepare import prepare_run
            from tunesmith.runs.train import train_run

            prepared = prepare_run(
                started.checked, num_processes=num_processes(), revision=started.revision
            )
            for _event in train_run(prepared, started.run, stop=stop):
                pass
        if is_main_process() and not started.run.report.is_file():
            from tunesmith.analysis.report import write_report

            write_report(started.run)


def _state(job: JobLine, exit_code: int, problems: tuple[Problem, ...], seconds: float) -> State:
    is_stop = exit_code in (Interrupted.exit_code, 130)
    name: Name = "done" if exit_code == 0 else "stopped" if is_stop else "failed"
    facts: dict[str, object] = {"exit_code": exit_code, "seconds": round(seconds, 2)}
    if name == "failed" and problems:
        facts |= {
            "code": problems[0].code,
            "message": str(problems[0].as_json()["message"]),
            "problems": tuple(problem.as_json() for problem in problems),
        }
    if name == "done":
        known = RunFolder(job.out).facts()
        facts |= {"scores": known.get("scores", {}).get("validation"), "best": known.get("best")}
    return State.of(job, name, **facts)
