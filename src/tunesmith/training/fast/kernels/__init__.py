"""Loops in machine code, compiled by numba where it is installed, as an extra.

Torch's operators each read and write whole tensors and cost a few microseconds to call. What a
layer does between its matrix products is written here as loops over rows, which stay in the caches.
Numba compiles them on first use and keeps them on disk.

`layer_norm`, `attention`, `dropout` and `adamw` are such loops, with their functions for tensors;
`numbers`, `vectors` and `products` are what they compute with, and `parallel` runs them. Modules
other than `parallel` import numba, so they are imported only where `why_missing` returns None.
"""

from __future__ import annotations

import time
from functools import cache
from importlib import import_module
from importlib.util import find_spec

__all__ = ["NOT_INSTALLED", "compile_seconds", "why_missing"]

NOT_INSTALLED = "numba is not installed"

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
    """Import all kernels, which compiles them or loads what was compiled."""
    started = time.perf_counter()
    try:
        for name in ("adamw", "attention", "dropout", "layer_norm"):
            import_module(f"{__name__}.{name}")
        from tunesmith.training.fast.kernels.numbers import ENTRIES
    except Exception as error:  # whatever stops numba, torch's operators compute the same
        return (str(error) or type(error).__name__).splitlines()[0]
    if not all(entry.cache_hits for entry in ENTRIES):
        _compiled_in.append(time.perf_counter() - started)
    return None


def compile_seconds() -> float | None:
    """Return how long compiling took, to the first who asks; None if it was not necessary."""
    return _compiled_in.pop() if _compiled_in else None
