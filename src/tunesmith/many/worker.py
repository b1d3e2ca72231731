"""The process of one job, from its fork to its end."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from tunesmith.errors import Interrupted
from tunesmith.i18n import use_language
from tunesmith.jobs.orphans import GRACE, end_with_parent
from tunesmith.jobs.stop_signals import HANGUP, SIGNALS
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.run_job import run_job

__all__ = ["FOLDERS", "work"]

FOLDERS = "_TUNESMITH_MANY"
"""The variable with the private folders of the command, which are deleted if it was killed."""


def work(
    job: JobLine, result: Connection, output: Path, *, slot: int, language: str, grace: float
) -> None:
    """Train a job, send its state, and end this process.

    Args:
        job: the job.
        result: where its state is sent to.
        output: the file that stdout and stderr go to.
        slot: the number of this process among those that run at once, from 0.
        language: of messages.
        grace: how many seconds there are for saving when the command is gone.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in the terminal is for the command, which passes it on
    _listen()
    os.environ.setdefault(GRACE, str(grace))
    end_with_parent(os.getppid())
    _redirect(output)
    use_language(language)
    _choose_gpu(slot)
    state = run_job(job)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it is over
    with suppress(OSError):  # the command is gone; the run folder knows
        result.send_bytes(json.dumps(state.as_json()).encode())
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(state.exit_code or 0)  # native libraries abort now and then in their destructors


def _listen() -> None:
    """Until training listens to signals itself, each ends the process: nothing is lost."""
    for number in SIGNALS:
        if number != HANGUP or signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end_early)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _end_early(number: int, frame: FrameType | None) -> None:
    os._exit(Interrupted.exit_code)


def _redirect(output: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:  # the command is gone, and its folder with it
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _choose_gpu(slot: int) -> None:
    """Let the jobs that run at once take different GPUs, before CUDA starts."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch

        names = [str(number) for number in range(torch.cuda.device_count())]
    else:
        names = [name.strip() for name in visible.split(",") if name.strip()]
    if len(names) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[slot % len(names)]
