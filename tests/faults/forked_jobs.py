"""Jobs of several processes that are forked from one which has the libraries loaded.

What runs is the program: its entry, its launcher, the agent of torch, and its ranks, each in a
session of its own. Only the start is another one: where the agent starts Python again, it forks.
So a job takes a second instead of ten.

This process becomes the parent of whatever loses its own, so that none is overlooked.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tests.faults.moments import Moment, arm
from tunesmith.jobs.stop_signals import SIGNALS

__all__ = ["LAUNCHERS", "ForkedJob", "RunningJob", "children_of", "no_orphans", "state_of"]

Words = Sequence[str]

LAUNCHERS: Mapping[str, Words] = {
    "plain": (),
    "srun": (),
    "launch": ("launch",),
    "torchrun": ("torch.distributed.run",),
    "accelerate": ("accelerate.commands.launch",),
}
"""Ways to start a job; plain processes have their variables, as `srun` and the like give them."""

MOMENT = "FAULT_AT_AMOMENT"
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 60.0
TRACE = signal.SIGRTMIN + 9
"""Has a process print where its threads are, into its output."""


@dataclass
class ForkedJob:
    """What is trained where.

    Attributes:
        folder: where it works; holds `tmp` and `cache`, too, and what it prints.
        words: the command, from `train` on.
        size: how many processes.
        launcher: one of `LAUNCHERS`.
    """

    folder: Path
    words: Words
    size: int = 2
    launcher: str = "launch"

    def start(
        self, moment: Moment | None = None, *, patch: Callable[[], None] | None = None
    ) -> RunningJob:
        """Start it; something may happen at a moment of one of its ranks."""
        for name in ("tmp", "cache", "pids"):
            (self.folder / name).mkdir(exist_ok=True)
        for path in (self.folder / "pids").iterdir():
            path.unlink()
        variables = {
            "TMPDIR": str(self.folder / "tmp"),
            "TUNESMITH_CACHE": str(self.folder / "cache"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            **({MOMENT: json.dumps(moment.as_json())} if moment else {}),
        }
        started = RunningJob(self)
        if LAUNCHERS[self.launcher]:
            started.first = [self._fork(self._launch, variables, "launcher", patch)]
            return started
        port = free_port()
        for rank in range(self.size):
            of_rank = {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(self.size),
                "LOCAL_WORLD_SIZE": str(self.size), "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }  # fmt: skip
            if self.launcher == "srun":
                of_rank |= {"SLURM_PROCID": str(rank), "SLURM_STEP_ID": "0"}
            mine = {**variables, **(of_rank if self.size > 1 else {})}
            started.first.append(self._fork(self._train, mine, str(rank), patch))
        return started

    def _fork(
        self,
        target: Callable[[], int],
        variables: Mapping[str, str],
        name: str,
        patch: Callable[[], None] | None,
    ) -> int:
        """Fork a child in a session of its own, which becomes the program; returns its id."""
        with quiet_forks():
            child = os.fork()
        if child:
            return child
        code = 99
        try:
            os.setsid()
            os.environ |= variables
            os.chdir(self.folder)
            (self.folder / "pids" / name).write_text(str(os.getpid()))
            to_file(self.folder / "output.txt")
            become_new()
            if patch is not None:
                patch()
            code = target()
        finally:
            end(code, self.folder / "pids" / f"{name}-code")

    def _train(self) -> int:
        arm_this(self.folder / "pids")
        return run_program([*self.words])

    def _launch(self) -> int:
        fork_ranks()
        count = str(self.size)
        options = ["--standalone", "--nproc-per-node", count]
        if self.launcher == "launch":
            return run_program(["launch", *options, *self.words])
        program = LAUNCHERS[self.launcher][0]
        if self.launcher == "accelerate":
            options = [
                "--multi_gpu", "--num_processes", count, "--num_machines", "1",
                "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
            ]  # fmt: skip
        sys.argv = [program, *options, "-m", "tunesmith", *self.words]
        try:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return int(end.code or 0) if isinstance(end.code, int | None) else 1
        return 0


@dataclass
class RunningJob:
    """A job that was started.

    Attributes:
        job: what it is.
        first: the process that was started, the launcher, or one for each rank.
        codes: how they ended, by process id; negative for a signal.
    """

    job: ForkedJob
    first: list[int] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)

    def pid_of(self, name: str) -> int | None:
        """The id of the launcher or of a rank; None if it has not begun, or no one knows."""
        with suppress(OSError, ValueError):
            return int((self.job.folder / "pids" / name).read_text())
        return None

    def ranks(self) -> list[int]:
        """The ids of the ranks that have begun."""
        pids = (self.pid_of(str(rank)) for rank in range(self.job.size))
        return [pid for pid in pids if pid is not None]

    def codes_left(self) -> list[int]:
        """The exit codes that ranks came to by themselves, in order."""
        files = sorted((self.job.folder / "pids").glob("[0-9]*-code"))
        return [int(file.read_text()) for file in files]

    def wait_for(self, condition: Callable[[], bool], seconds: float = _END_SECONDS) -> bool:
        """Wait until something holds; False if the job ended first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.has_ended():
                return condition()
            if time.monotonic() > deadline:
                raise TimeoutError("it did not come so far")
            time.sleep(0.005)
        return True

    def has_ended(self) -> bool:
        """Whether all processes that were started here have ended."""
        for pid in self.first:
            if pid not in self.codes:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self.codes[pid] = os.waitstatus_to_exitcode(status)
        return len(self.codes) == len(self.first)

    def ended(self, seconds: float = _END_SECONDS) -> list[int]:
        """Wait for the end; the exit codes of the launcher, or by rank."""
        deadline = time.monotonic() + seconds
        while not self.has_ended():
            if time.monotonic() > deadline:
                self.kill_all()
                raise TimeoutError(f"it did not end within {seconds:g} s: {self.said()[-1500:]}")
            time.sleep(0.005)
        return [self.codes[pid] for pid in self.first]

    def said(self) -> str:
        """All that its processes have printed, of this start and those before."""
        return (self.job.folder / "output.txt").read_text(errors="replace")

    def kill_all(self) -> None:
        """End it, whatever it does."""
        for pid in {*self.ranks(), *self.first}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def no_orphans(seconds: float = 30.0) -> Iterator[None]:
    """Be the parent of orphans; at the end none may be left, within some seconds.

    Raises:
        AssertionError: processes were left; they are killed.
    """
    before = children_of(os.getpid())
    _be_subreaper(1)
    try:
        yield
    finally:
        left = _left(before, seconds if sys.exc_info()[0] is None else 0.0)
        stopped = [state_of(pid) for pid in left]
        while remaining := children_of(os.getpid()) - before:
            for pid in remaining:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap(remaining)
            time.sleep(0.01)
        _be_subreaper(0)
    assert not left, f"processes are left: {stopped}"


def _left(before: set[int], seconds: float) -> set[int]:
    deadline = time.monotonic() + seconds
    while True:
        left = children_of(os.getpid()) - before
        _reap(left)
        left = children_of(os.getpid()) - before
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _be_subreaper(is_one: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, is_one, 0, 0, 0)


def children_of(pid: int) -> set[int]:
    """The children of a process, of all its threads."""
    pids: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            pids |= set(map(int, path.read_text().split()))
    return pids


def state_of(pid: int) -> str:
    """The state of a process and where it is, for a message."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        os.kill(pid, TRACE)  # if it was forked here; it prints where it is
        time.sleep(0.3)
        output = Path(f"/proc/{pid}/cwd/output.txt")
        said = output.read_text(errors="replace")[-3000:] if output.exists() else ""
        return f"{pid} {state} {said}"
    return f"{pid} gone"


def free_port() -> int:
    """A port of this machine that no one uses at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# in the children


@contextmanager
def quiet_forks() -> Iterator[None]:
    """Newer Pythons warn of threads that libraries started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def to_file(path: Path) -> None:
    """Append what this process prints to a file; it reads nothing."""
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def fork_ranks() -> None:
    """Have the agent of torch fork its ranks from this process."""
    from torch.distributed.elastic.multiprocessing.subprocess_handler import (
        subprocess_handler as module,
    )

    module.SubprocessHandler._popen = _forked  # type: ignore[method-assign,assignment]


def become_new() -> None:
    """Forget what this process inherited and a new one would not have."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):
            if signal.getsignal(number) not in (signal.SIG_DFL, None):
                signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.closerange(3, 4096)
    streams = ((1, "w"), (2, "w"))
    sys.stdout, sys.stderr = (
        os.fdopen(os.dup(fd), mode, buffering=1, encoding="utf-8") for fd, mode in streams
    )
    sys.stdin = os.fdopen(os.dup(0), encoding="utf-8")
    tempfile.tempdir = None
    faulthandler.register(TRACE)
    import logging

    logging.disable(logging.NOTSET)


def run_program(words: Words) -> int:
    """Run the program with its entry, which answers signals from its start."""
    sys.argv = ["tunesmith", *words]
    from tunesmith.launch import run

    try:
        return run()
    except SystemExit as end:
        return int(end.code or 0) if isinstance(end.code, int | None) else 1


def _forked(_self: object, words: tuple[str, ...], env: dict[str, str]) -> subprocess.Popen[bytes]:
    """What the agent of torch calls to start a rank: forks where it would execute Python."""
    late: list[int] = []  # Python runs code at forks, in which no handler may raise
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: late.append(number))
    child = os.fork()
    if child:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in late:
            os.kill(os.getpid(), number)
    else:
        code, rank, home = 99, env["RANK"], Path.cwd()
        try:
            os.setsid()
            os.environ.clear()
            os.environ.update(env)
            become_new()
            (home / "pids" / rank).write_text(str(os.getpid()))
            arm_this(home / "pids")
            at = words.index("tunesmith")
            code = run_program(words[at + 1 :])
        finally:
            end(code, home / "pids" / f"{rank}-code")
    return _popen_of(child, words)


def arm_this(pids: Path) -> None:
    """Have happen what is to happen at a moment of this rank."""
    if MOMENT in os.environ:
        moment = Moment.from_json(json.loads(os.environ[MOMENT]))
        arm(moment, int(os.environ.get("RANK", "0")), pids)


def _popen_of(pid: int, words: Words) -> subprocess.Popen[bytes]:
    """An object for a child that exists; it waits for it as for one of its own."""
    made: Any = subprocess.Popen.__new__(subprocess.Popen)
    made.args, made.pid, made.returncode = words, pid, None
    made.stdin = made.stdout = made.stderr = None
    made._child_created, made._communication_started = True, False
    made._waitpid_lock, made._input, made._sigint_wait_secs = threading.Lock(), None, 0.0
    done: subprocess.Popen[bytes] = made
    return done


def end(code: int, left: Path) -> NoReturn:
    """End this process, and leave its exit code in a file; `os._exit` elsewhere leaves none."""
    error = sys.exc_info()[1]
    if error is not None:
        import traceback

        with suppress(OSError, ValueError):
            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(OSError):
        left.write_text(str(code))
    os._exit(code & 0xFF)


def module_named(name: str) -> Any:
    """A module by its name."""
    return importlib.import_module(name)
