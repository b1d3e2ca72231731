"""Loops in machine code, compiled by numba where it is installed, as an extra.

Torch's operators each read and write whole tensors and cost a few microseconds to call. What a
layer does between its matrix products is written here as loops over rows, which stay in the caches.
Numba compiles them on first use and keeps them on disk. A process of its own compiles them, so that
every training loads them: what was compiled in the same process calls other copies of functions
that several kernels have in common, which may round in another way.

`layer_norm`, `attention`, `dropout` and `adamw` are such loops, with their functions for tensors;
`numbers`, `vectors` and `products` are what they compute with, and `parallel` runs them. Modules
other than `parallel` import numba, so they are imported only where `why_missing` returns None.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from functools import cache
from importlib import import_module
from importlib.util import find_spec

__all__ = ["NOT_INSTALLED", "compile_for_parent", "compile_seconds", "why_missing"]

NOT_INSTALLED = "numba is not installed"
_KERNELS = ("adamw", "attention", "dropout", "layer_norm")
_COMPILER = f"import sys; sys.path[:] = {{path!r}}; import {__name__} as k; k.compile_for_parent()"

_compiled_in: list[float] = []


def why_missing() -> str | None:
    """Return why kernels cannot be used here; None if they can. The first call may compile them."""
    if find_spec("numba") is None:
        return NOT_INSTALLED
    from tunesmith.training.fast.kernels.parallel import has_threads

    if not has_threads():
        return "torch's threads cannot run them here"
    return _why_not_loaded()


@cache
def _why_not_loaded() -> str | None:
    """Load all kernels; a process of its own compiles them if necessary."""
    started = time.perf_counter()
    try:
        if not _load_compiled():
            _compile_elsewhere()
            if not _load_compiled():  # where numba may not write, each process compiles for itself
                _load()
            _compiled_in.append(time.perf_counter() - started)
    except Exception as error:  # whatever stops numba, torch's operators compute the same
        return (str(error) or type(error).__name__).splitlines()[0]
    return None


def _load() -> None:
    """Import all kernels, which compiles those that are not compiled."""
    for name in _KERNELS:
        import_module(f"{__name__}.{name}")


def _load_compiled() -> bool:
    """Import all kernels if they are compiled; return whether they are."""
    from tunesmith.training.fast.kernels.numbers import NotCompiledError, no_compiling

    try:
        with no_compiling():
            _load()
    except NotCompiledError:
        return False
    return True


def _compile_elsewhere() -> None:
    """Compile all kernels in a process that ends when this one does."""
    command = [sys.executable, "-c", _COMPILER.format(path=sys.path)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as process:
        try:
            process.wait()
        except BaseException:  # a stop
            process.kill()
            raise


def compile_for_parent() -> None:
    """Compile all kernels, for a process that holds the other end of stdin."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    _load()
    os._exit(0)


def compile_seconds() -> float | None:
    """Return how long compiling took, to the first who asks; None if it was not necessary."""
    return _compiled_in.pop() if _compiled_in else None
