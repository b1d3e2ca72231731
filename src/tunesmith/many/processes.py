"""The processes of the jobs: forked from a warm one where that is safe, else each a fresh one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tunesmith.errors import Interrupted, Problem
from tunesmith.i18n import current_language
from tunesmith.i18n import gettext as _
from tunesmith.jobs.stop_signals import SIGNALS
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.states import State
from tunesmith.many.worker import FOLDERS, work
from tunesmith.storage.lock import process_runs
from tunesmith.training.cpus import cpu_quota, is_chosen_by_user, usable_cpus

__all__ = ["Processes", "threads_per_job"]

_LOST_ITS_PARENT = 255
"""The exit code that multiprocessing makes up where the process that forked is gone."""
_LAST_LINES = 12
_LONGEST_FOLDER = 60
"""Characters; a socket in a folder below may have 107 in all."""
_AGAIN = Interrupted.exit_code


@dataclass
class _Running:
    job: JobLine
    slot: int
    process: Any
    result: connection.Connection
    output: Path
    began: float
    is_orphaned: bool = False

    def waits_for(self) -> list[Any]:
        return [self.result] if self.is_orphaned else [self.result, self.process.sentinel]


class Processes:
    """At most so many at once, one job each."""

    def __init__(self, count: int, folder: Path, *, grace: float) -> None:
        """Start none yet.

        Args:
            count: how many at once.
            folder: a private folder, for what they print.
            grace: how many seconds they have to save.
        """
        self._count = count
        self._folder = folder
        self._grace = grace
        self._running: dict[int, _Running] = {}
        self._environment = _environment(count)
        # macOS does not allow to fork what has loaded its frameworks; Windows cannot fork
        self._is_forked = sys.platform == "linux" and self._fork_server()
        method = "forkserver" if self._is_forked else "spawn"
        self._context: Any = multiprocessing.get_context(method)

    def __len__(self) -> int:
        return len(self._running)

    @property
    def is_full(self) -> bool:
        """Whether no further job may start."""
        return len(self._running) >= self._count

    def _fork_server(self) -> bool:
        """Start the process that forks; False if its socket cannot be made, as on some disks."""
        from multiprocessing import forkserver, resource_tracker, util

        with _short_temporary_folder():
            folders = os.pathsep.join([str(self._folder), util.get_temp_dir()])
        self._environment = {**self._environment, FOLDERS: folders}
        forkserver.set_forkserver_preload(["tunesmith.many.warm"])
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with _added(self._environment):
                forkserver.ensure_running()
        except OSError:
            return False
        else:
            return True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, job: JobLine) -> State | None:
        """Start a job; return its state if that is impossible."""
        slot = min(set(range(self._count)) - set(self._running))
        output = self._folder / f"output-{slot}"
        reader, writer = self._context.Pipe(duplex=False)
        facts = {"slot": slot, "language": current_language(), "grace": self._grace}
        process: Any = self._context.Process(target=work, args=(job, writer, output), kwargs=facts)
        try:
            with writer, _added(self._environment):
                process.start()
        except (OSError, EOFError) as error:
            reader.close()
            reason = str(error) or type(error).__name__
            return _failed(job, _not_started(reason), 4, 0.0)
        self._running[slot] = _Running(job, slot, process, reader, output, time.monotonic())
        return None

    def wait(self, seconds: float) -> Iterator[tuple[JobLine, State]]:
        """Wait for a job to end, at most so long; yield those that did."""
        waited = [one for running in self._running.values() for one in running.waits_for()]
        if not waited:
            time.sleep(seconds)
            return
        ready = connection.wait(waited, seconds)
        for running in list(self._running.values()):
            if not any(one in ready for one in running.waits_for()):
                continue
            state = self._ended(running)
            if state is not None:
                del self._running[running.slot]
                yield running.job, state

    def _ended(self, running: _Running) -> State | None:
        """The state of a job whose process has ended or is about to; None if it runs on."""
        state = None
        with suppress(EOFError, OSError, ValueError):
            if running.result.poll():
                state = State.from_json(json.loads(running.result.recv_bytes()))
        process = running.process
        if state is None and not running.is_orphaned:
            process.join(1)
            if process.exitcode is None:
                return None
            if process.exitcode == _LOST_ITS_PARENT and self._runs(process):
                running.is_orphaned = True  # it saves, as its parent is gone
                return None
        elif state is not None:
            process.join(self._grace)
        running.result.close()
        seconds = time.monotonic() - running.began
        return state or _died(running.job, process.exitcode, seconds, running.output)

    def signal(self, number: int) -> None:
        """Send a signal to each process."""
        for running in list(self._running.values()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(running.process.pid, number)

    def kill(self) -> None:
        """End each process at once."""
        self.signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def are_gone(self) -> bool:
        """Whether none of the processes runs any more."""
        return not any(self._runs(running.process) for running in list(self._running.values()))

    def _runs(self, process: Any) -> bool:
        """Whether the process of a job runs, also one whose parent, which forked it, is gone."""
        return process_runs(process.pid, None) if self._is_forked else process.is_alive()


def threads_per_job(count: int) -> int:
    """Return how many threads each of so many jobs computes with at once."""
    quota = cpu_quota()
    cpus = usable_cpus() if quota is None else min(usable_cpus(), quota.threads)
    return max(1, cpus // count)


def _environment(count: int) -> Mapping[str, str]:
    """Variables of the jobs: their part of the processor, unless the user has chosen."""
    if count == 1 or is_chosen_by_user():
        return {}
    return {"OMP_NUM_THREADS": str(threads_per_job(count))}


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Where temporary files have long paths, as in some jobs of clusters: a socket may not."""
    before = tempfile.tempdir
    if len(tempfile.gettempdir()) > _LONGEST_FOLDER and os.access("/tmp", os.W_OK):
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _added(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _died(job: JobLine, code: int | None, seconds: float, output: Path) -> State:
    """The state of a job whose process ended without saying how."""
    if code in (_AGAIN, _LOST_ITS_PARENT) or code is None:
        return State.of(job, "stopped", exit_code=_AGAIN, seconds=round(seconds, 2))
    exit_code = 128 - code if code < 0 else code or 70
    return _failed(job, _killed(code, _last_lines(output)), exit_code, seconds)


def _failed(job: JobLine, problem: Problem, exit_code: int, seconds: float) -> State:
    return State.of(
        job,
        "failed",
        exit_code=exit_code,
        code=problem.code,
        message=problem.message,
        problems=(problem.as_json(),),
        seconds=round(seconds, 2),
    )


def _killed(code: int, evidence: tuple[str, ...]) -> Problem:
    try:
        name = signal.Signals(-code).name if code < 0 else str(code)
    except ValueError:
        name = str(-code)
    message = _("the process of the job was ended by {signal}")
    if code >= 0:
        message = _("the process of the job ended with {signal}")
    return Problem(
        "C172",
        message.format(signal=name),
        evidence=evidence,
        fix=_(
            "Often memory ran out: start fewer jobs at once. The same command continues from the "
            "last checkpoint."
        ),
    )


def _not_started(reason: str) -> Problem:
    return Problem(
        "C173",
        _("no process could be started for the job: {reason}").format(reason=reason),
        fix=_("Start fewer jobs at once."),
    )


def _last_lines(output: Path) -> tuple[str, ...]:
    try:
        text = output.read_bytes()[-10_000:].decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-_LAST_LINES:])
