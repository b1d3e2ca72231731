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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

from tunesmith.jobs.stop_signals import SIGNALS
from tunesmith.many.worker import FOLDERS
from tunesmith.tasks import TASKS

__all__ = ["prepare"]

_USED_BY_EVERY_JOB = (
    "torch",
    "accelerate",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",  # others take a moment where these are loaded
    "numba",
    "pandas",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.metrics",
    "tunesmith.analysis.report",
    "tunesmith.many.worker",
    "tunesmith.metrics.concrete_kinds",
    "tunesmith.models.embedded",
    "tunesmith.runs.prepare",
    "tunesmith.runs.train",
    *(f"tunesmith.tasks{home.partition(':')[0]}" for home in TASKS.values()),
)
"""What trainings load, but for compiled loops: where those are compiled first, a job does that."""


@contextmanager
def _cuda_untouched() -> Iterator[None]:
    """Let torch look for GPUs without starting CUDA, which a forked process could not use."""
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


def prepare() -> None:
    """Import it."""
    for folder in filter(None, os.environ.pop(FOLDERS, "").split(os.pathsep)):
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if hasattr(signal, "pthread_sigmask"):  # one that comes now is kept for the job that follows
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with _cuda_untouched():
        for name in _USED_BY_EVERY_JOB:
            with suppress(Exception):  # each job reports it, with its code
                import_module(name)
    gc.collect()
    gc.freeze()  # pages that the collector does not touch stay shared


prepare()
