"""What the jobs share: imported once, in the process that theirs are forked from.

It computes nothing, so that each job begins as a fresh process would, and starts no thread of its
own. It ends when the command is gone; signals are for the jobs, to which their handling is left.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
from contextlib import suppress
from importlib import import_module

from tunesmith.jobs.stop_signals import SIGNALS
from tunesmith.many.worker import FOLDERS

__all__ = ["prepare"]

_USED_BY_EVERY_JOB = (
    "torch",
    "accelerate",
    "transformers",
    "tunesmith.analysis.report",
    "tunesmith.many.worker",
    "tunesmith.runs.prepare",
    "tunesmith.runs.train",
)


def prepare() -> None:
    """Import it."""
    for folder in filter(None, os.environ.pop(FOLDERS, "").split(os.pathsep)):
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if hasattr(signal, "pthread_sigmask"):  # one that comes now is kept for the job that follows
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for name in _USED_BY_EVERY_JOB:
        with suppress(Exception):  # each job reports it, with its code
            import_module(name)
    gc.collect()
    gc.freeze()  # pages that the collector does not touch stay shared


prepare()
