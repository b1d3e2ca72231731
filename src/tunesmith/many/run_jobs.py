"""All jobs of a file: those that are not done, so many at once, each in its run folder."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tunesmith.errors import Interrupted, TunesmithError
from tunesmith.jobs.exit_codes import BY_KEYBOARD
from tunesmith.jobs.launcher_signals import LauncherSignals
from tunesmith.many.index import Index
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.processes import Processes
from tunesmith.many.queue import Queue
from tunesmith.many.run_job import is_in_use
from tunesmith.many.states import State, read_state, state_of, write_state

__all__ = ["exit_code_of", "run_jobs"]

GRACE_SECONDS = 120.0
_LOOK_EVERY_SECONDS = 0.5


def run_jobs(
    jobs: Sequence[JobLine],
    index: Index,
    *,
    count: int,
    on_state: Callable[[State], None] = lambda _state: None,
) -> tuple[dict[Path, State], int]:
    """Train every job that is not done; return the last state of each, and the exit code.

    Args:
        jobs: from `read_jobs`.
        index: where states are appended.
        count: how many at once.
        on_state: called with each change.

    Raises:
        ResourceError: the index cannot be written (C107).
    """
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-many-"))
    work = _Work(jobs, index, on_state)
    try:
        with LauncherSignals(pass_on=work.pass_on, end_at_once=work.end_at_once) as work.signals:
            try:
                work.begin(count, folder)
                work.go_on()
            finally:
                work.end()
            requested = work.signals.requested
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return work.states, exit_code_of(work.states.values(), requested)


def exit_code_of(states: Iterable[State], requested: int | None = None) -> int:
    """Return 0 if all jobs are done; 75 or 130 if that was requested; else that of a failure.

    Args:
        states: in the order of the lines.
        requested: the exit code of a stop, if there was a signal.
    """
    known = list(states)
    if all(state.state == "done" for state in known):
        return 0
    if requested is not None:
        return requested
    failures = (state.exit_code for state in known if state.state == "failed")
    return next(failures, None) or Interrupted.exit_code


class _Work:
    """The jobs of one command while it runs."""

    signals: LauncherSignals

    def __init__(
        self, jobs: Sequence[JobLine], index: Index, on_state: Callable[[State], None]
    ) -> None:
        self._index = index
        self._on_state = on_state
        self._before = {job.out: read_state(job) for job in jobs}
        self.states = {job.out: state_of(job) for job in jobs}
        self._jobs = jobs
        self._queue = Queue([])
        self._processes: Processes | None = None
        self._deadline: float | None = None

    def begin(self, count: int, folder: Path) -> None:
        """Write what the index lacks, and prepare the processes."""
        known = self._index.read()
        self._index.append(
            state
            for state in self.states.values()
            if (before := known.get(state.out)) is None or before.state != state.state
        )
        open_jobs = [job for job in self._jobs if self.states[job.out].state != "done"]
        self._queue = Queue(open_jobs)
        if open_jobs:
            self._processes = Processes(min(count, len(open_jobs)), folder, grace=GRACE_SECONDS)

    def go_on(self) -> None:
        """Start and await jobs until none is left."""
        processes = self._processes
        while processes is not None and (self._queue or len(processes)):
            while not processes.is_full and (job := self._next()):
                self._start(job, processes)
            for job, state in processes.wait(_LOOK_EVERY_SECONDS):
                self._ended(job, state)
            if self._is_out_of_time:
                processes.kill()

    def _next(self) -> JobLine | None:
        if self.signals.requested is not None:
            self._queue.clear()
        return self._queue.next(time.monotonic())

    @property
    def _is_out_of_time(self) -> bool:
        """Whether a stop was requested so long ago that what still runs is killed."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def _start(self, job: JobLine, processes: Processes) -> None:
        now = read_state(job)
        if now is not None and now != self._before[job.out] and now.state != "stopped":
            self._set(job, state_of(job))  # another command has done it meanwhile
            if self.states[job.out].state != "pending":
                return
        self._set(job, State.of(job, "running"))
        if failure := processes.start(job):
            self._ended(job, failure)
        elif self.signals.requested is not None:
            processes.signal(signal.SIGTERM)

    def _ended(self, job: JobLine, state: State) -> None:
        if is_in_use(job, state):
            self._queue.hold(job, time.monotonic())
            return
        if state.code == "C172" and self._is_out_of_time:  # it was killed here
            state = State.of(job, "stopped", exit_code=Interrupted.exit_code, seconds=state.seconds)
        if state.state == "stopped" and self.signals.requested is None:
            self._queue.stopped(job)
        if read_state(job) != state:  # it could not leave its state itself
            with suppress(TunesmithError):
                write_state(job, state)
        self._before[job.out] = state
        self._set(job, state)

    def _set(self, job: JobLine, state: State) -> None:
        self.states[job.out] = state
        self._index.append([state])
        self._on_state(state)

    def pass_on(self, number: int) -> None:
        """Let every job save and end."""
        self._deadline = time.monotonic() + GRACE_SECONDS
        if self._processes is not None:
            self._processes.signal(signal.SIGTERM)

    def end_at_once(self, save: bool) -> NoReturn:
        """End the processes, and this one without returning to what it does."""
        if self._processes is not None:
            if save:
                self._processes.signal(signal.SIGTERM)
                deadline = time.monotonic() + GRACE_SECONDS
                while time.monotonic() < deadline and not self._processes.are_gone():
                    time.sleep(0.05)
            self._processes.kill()
        os._exit(self.signals.requested or BY_KEYBOARD)

    def end(self) -> None:
        """Leave no process behind, whatever was raised."""
        if self._processes is not None and len(self._processes):
            self._processes.signal(signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            while time.monotonic() < deadline and not self._processes.are_gone():
                time.sleep(0.05)
            self._processes.kill()
