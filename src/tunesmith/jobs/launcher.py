"""torchrun with the exit codes of Tunesmith: `tunesmith launch`.

`torch.distributed.run` ends with 1 however its processes ended. Here each of them leaves its code
in a private folder, and the launcher ends with one of them. It listens to signals itself, so that
none is lost, and gives the processes enough time to save.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from tunesmith.errors import (
    Interrupted,
    Problem,
    RecipeError,
    ResourceError,
    Severity,
    TunesmithError,
)
from tunesmith.i18n import current_language
from tunesmith.i18n import gettext as _
from tunesmith.jobs.exit_codes import BY_KEYBOARD, Ended, job_code, read
from tunesmith.jobs.launcher_signals import LauncherSignals, end_processes
from tunesmith.jobs.launcher_watch import LauncherWatch
from tunesmith.jobs.orphans import GRACE
from tunesmith.jobs.worker import FOLDER, LAUNCHER
from tunesmith.storage import notices
from tunesmith.storage.temporary import temporary_folder
from tunesmith.training.cpus import is_chosen_by_user

__all__ = ["launch"]

_GRACE_SECONDS = 120
"""As long as clusters give; torchrun's own 30 s are less than a large model takes to save."""
_COMMANDS = ("train",)
_COMMON = ("--json", "-q", "--quiet", "--debug")
_OURS = ("module", "no_python", "run_path")
"""Options of torchrun about what is started: it is always Tunesmith."""
_UNUSED_SIGNAL = "SIGURG"


def launch(words: Sequence[str], *, debug: bool = False) -> tuple[int, tuple[Problem, ...]]:
    """Train in several processes; return the exit code, and what no process has said itself.

    Args:
        words: options of torchrun, then `train` with its arguments.
        debug: whether torchrun logs and its exceptions are raised.

    Raises:
        RecipeError: the words make no sense (R193).
        ResourceError: the processes cannot find each other (C152).
    """
    job = _Job(debug=debug)
    try:
        with (
            _KeptEnvironment(),
            LauncherSignals(pass_on=job.pass_on, end_at_once=job.end_at_once) as job.signals,
            temporary_folder("job") as job.folder,
        ):
            return job.run(words)
    except _Requested:  # just as all was over, or before anything began
        return job.signals.requested or Interrupted.exit_code, ()
    finally:
        logging.disable(logging.NOTSET)


class _Job:
    """The processes of one job on this machine."""

    signals: LauncherSignals
    folder: Path | None = None

    def __init__(self, *, debug: bool) -> None:
        self._debug = debug
        self._count = 0
        self._grace = float(_GRACE_SECONDS)
        self._is_over = False
        self._suspended: set[int] = set()

    @property
    def _home(self) -> Path:
        assert self.folder is not None  # noqa: S101 - nothing has begun without it
        return self.folder

    def run(self, words: Sequence[str]) -> tuple[int, tuple[Problem, ...]]:
        """Start the processes, wait for them, and return what `launch` does."""
        if not self._debug:
            logging.disable(logging.CRITICAL)
            _load_torch_quietly()
        try:
            options = _read(words)
            self._prepare(options)
            with LauncherWatch(
                processes=self._processes,
                end_suspended=self._end_suspended,
                give_up=self._give_up,
                is_stopped=lambda: self.signals.requested is not None,
                stop=self._stop,
            ):
                seen = self._run_agent(options)
        except _Requested:
            seen = {}
        self._is_over = True
        end_processes(self._pids(), grace=self._grace)  # none, unless the agent was interrupted
        return self._outcome(seen)

    def _outcome(self, seen: Mapping[int, int]) -> tuple[int, tuple[Problem, ...]]:
        """The exit code, and what no process has said."""
        processes = self._processes(seen)
        code, cause = job_code(processes, requested=self.signals.requested)
        if self.signals.requested is not None and code == 0 and not self._count:
            code = self.signals.requested
        return code, tuple(_unsaid(cause, processes, self.signals.requested))

    def _processes(self, seen: Mapping[int, int] | None = None) -> list[Ended]:
        """How each process ended; one that was suspended has not answered."""
        return [
            replace(one, lost_another=True, lost_silent=True) if one.pid in self._suspended else one
            for one in read(self._home, seen or {}, self._count)
        ]

    def _stop(self, one: Ended) -> None:
        """Signal a process that the agent of torch should have signaled."""
        is_keyboard = self.signals.requested == BY_KEYBOARD
        with suppress(OSError):
            os.kill(one.pid or 0, signal.SIGINT if is_keyboard else signal.SIGTERM)

    def _end_suspended(self, one: Ended) -> None:
        """Kill a process that no one has continued."""
        if one.pid is not None and one.pid not in self._suspended:
            self._suspended.add(one.pid)
            notices.show_now(_was_suspended(one))
            end_processes([one.pid], grace=0.0, wait=False)

    def _give_up(self) -> None:
        """End the launcher, which waits for another machine in vain."""
        code, problems = self._outcome({})
        for problem in problems or (_waits_in_vain(),):
            notices.show_now(problem)
        end_processes(self._pids(), grace=0.0)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        has_begun = any(one.pid is not None for one in self._processes())
        os._exit(code if has_begun else Interrupted.exit_code)

    def _prepare(self, options: Namespace) -> None:
        """Set what the processes inherit."""
        from torch.distributed.run import config_from_args

        os.environ |= {FOLDER: str(self._home), "TUNESMITH_LANG": current_language()}
        (self._home / LAUNCHER).write_text(str(os.getpid()), encoding="ascii", newline="\n")
        options.log_dir = options.log_dir or str(self._home / "logs")
        options.shutdown_timeout = _grace(options.shutdown_timeout)
        os.environ[GRACE] = str(options.shutdown_timeout)
        self._grace = float(options.shutdown_timeout)
        options.signals_to_handle = _UNUSED_SIGNAL  # they are handled here
        chosen = is_chosen_by_user()
        try:
            with _KeptEnvironment():
                config, _command, _arguments = config_from_args(options)
        except (ValueError, RuntimeError, AssertionError) as error:
            raise _refused(str(error)) from error
        self._count = config.nproc_per_node
        if not chosen and self._count > 1:
            os.environ["OMP_NUM_THREADS"] = str(_threads(self._count))

    def _run_agent(self, options: Namespace) -> Mapping[int, int]:
        """Run torchrun; return the exit codes that it saw, by local rank."""
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.run import run

        if self.signals.requested is not None:  # and a library took the exception for its own
            raise _Requested
        try:
            run(options)  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            return {failed.local_rank: failed.exitcode for failed in error.failures.values()}
        except (OSError, RuntimeError, ValueError) as error:  # of the rendezvous
            if self._debug:
                raise
            raise ResourceError(_not_started(error)) from error
        return dict.fromkeys(range(self._count), 0)

    def pass_on(self, number: int) -> None:
        """Let torchrun pass a signal on to its processes, and wait for them."""
        if self._is_over:
            return
        if "torch.distributed.run" not in sys.modules:  # there are no processes yet
            raise _Requested
        from torch.distributed.elastic.multiprocessing import SignalException

        class Stopped(SignalException, _Requested):
            """What torchrun expects of a handler."""

        raise Stopped("", signal.Signals(number))

    def end_at_once(self, save: bool) -> NoReturn:
        """End the processes, and the launcher without returning to what it does."""
        end_processes(self._pids(), grace=self._grace if save else 0.0)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(self.signals.requested or Interrupted.exit_code)

    def _pids(self) -> list[int]:
        ended = read(self._home, {}, self._count)
        return [one.pid for one in ended if one.pid is not None]


class _Requested(BaseException):
    """A signal arrived; libraries that catch every `Exception` let it pass."""


class _KeptEnvironment:
    """Put the environment of this process back afterwards."""

    def __enter__(self) -> None:
        self._before = dict(os.environ)

    def __exit__(self, *exception: object) -> None:
        for name in set(os.environ) - set(self._before):
            del os.environ[name]
        os.environ.update(self._before)


def _load_torch_quietly() -> None:
    """Keep what torch writes from C++ off the terminal, here but not in the processes."""
    name = "TORCH_CPP_LOG_LEVEL"
    if name in os.environ:
        return
    os.environ[name] = "ERROR"
    try:
        import torch  # noqa: F401 - it reads the variable
    finally:
        del os.environ[name]


def _read(words: Sequence[str]) -> Namespace:
    """Read the options of torchrun, and what is started.

    Raises:
        RecipeError: they make no sense (R193).
    """
    from torch.distributed.run import get_args_parser

    parser: ArgumentParser = get_args_parser()
    parser.prog = "tunesmith launch"

    def refuse(message: str) -> NoReturn:
        raise _refused(message)

    parser.error = refuse  # type: ignore[method-assign]
    options, unknown = parser.parse_known_args(list(words))
    if strange := [word for word in unknown if word not in _COMMON]:
        raise _refused(_("torchrun has no option {option}").format(option=strange[0]))
    if ours := [name for name in _OURS if getattr(options, name)]:
        option = "--" + ours[0].replace("_", "-")
        raise _refused(_("{option} is set: it is always tunesmith that runs").format(option=option))
    if options.training_script not in _COMMANDS:
        message = _("{word} cannot be launched, only {commands}")
        raise _refused(message.format(word=options.training_script, commands=", ".join(_COMMANDS)))
    rest = [*unknown, options.training_script, *options.training_script_args]
    options.training_script, options.training_script_args = "tunesmith", rest
    options.module = True
    return options


def _grace(requested: int | None) -> int:
    """Return the seconds that processes have to save after a signal."""
    if requested is not None:
        return requested
    text = os.environ.get(GRACE, "")
    return int(text) if text.isdecimal() else _GRACE_SECONDS


def _threads(count: int) -> int:
    """Return how many threads each process computes with: torchrun would set one."""
    import torch

    return max(1, torch.get_num_threads() // count)


# ------------------------------------------------------------------------------------- messages


def _unsaid(
    cause: Ended | None, processes: Sequence[Ended], requested: int | None
) -> list[Problem]:
    """Return why a process ended, if it could not say so itself; only the first of a job speaks."""
    if cause is None and requested is not None:
        killed = [one for one in processes if one.pid is not None and one.code is None]
        return [_out_of_time(len(killed))] if killed else []
    if cause is None:  # a process that is of another machine, or does not answer
        cause = next((one for one in processes if one.lost_another and one.problems), None)
    if cause is None:
        return []
    if cause.problems:
        said = {str(problem) for one in processes if one.speaks for problem in one.problems}
        return [problem for problem in cause.problems if str(problem) not in said]
    return [_killed(cause)] if (cause.code or 0) < 0 else []


def _killed(one: Ended) -> Problem:
    try:
        name = signal.Signals(-(one.code or 0)).name
    except ValueError:
        name = str(one.code)
    message = _("process {rank} of the job was ended by {signal}")
    return Problem(
        "C150",
        message.format(rank=one.local_rank, signal=name),
        fix=_("Often memory ran out. The same command continues from the last checkpoint."),
    )


def _was_suspended(one: Ended) -> Problem:
    return Problem(
        "C154",
        _("process {rank} of the job was suspended for minutes and is ended").format(
            rank=one.local_rank
        ),
        fix=_("The same command continues from the last checkpoint."),
        severity=Severity.WARNING,
    )


def _waits_in_vain() -> Problem:
    return Problem(
        "C155",
        _("the launcher waits for another machine in vain"),
        fix=_("See whether the machines reach each other. The same command continues."),
        severity=Severity.WARNING,
    )


def _out_of_time(count: int) -> Problem:
    return Problem(
        "C151",
        _("{count} processes did not end in time and were killed").format(count=count),
        fix=_(
            "The same command continues from the last checkpoint. Give more time with "
            "--shutdown-timeout SECONDS."
        ),
        severity=Severity.WARNING,
    )


def _not_started(error: Exception) -> Problem:
    text = (str(error) or type(error).__name__).splitlines()[0]
    return Problem(
        "C152",
        _("the processes of the job cannot find each other: {reason}").format(reason=text),
        fix=_("Check --rdzv-endpoint, --master-addr and --master-port; --debug shows more."),
    )


def _refused(message: str) -> TunesmithError:
    return RecipeError.of(
        "R193",
        message,
        fix=_("Usage: tunesmith launch [OPTIONS OF TORCHRUN] train WHAT [OPTIONS]"),
    )
