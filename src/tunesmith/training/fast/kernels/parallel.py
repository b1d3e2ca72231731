"""Run a kernel on the threads of torch.

A second pool of threads would fight with torch's for the cores, so kernels run on that of OpenMP
which torch uses: libgomp starts a function on all its threads in about 3 microseconds. The threads
take pieces of the work, whose borders do not depend on how many there are.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from tunesmith.training.fast.openmp import libgomp

__all__ = ["Dropout", "has_threads", "launch"]

_HEADER = 4
"""Places before a kernel's own arguments: counter, its pieces, the address of its fractions, 0."""


@dataclass(frozen=True, slots=True)
class Dropout:
    """What is dropped: the same numbers drop the same places.

    Attributes:
        seed: of a stream of random lanes of 16 bits.
        threshold: lanes below it are dropped; 0 for no dropout.
        lift: what the others are multiplied with.
    """

    seed: int = 0
    threshold: int = 0
    lift: float = 1.0

    @classmethod
    def draw(cls, rate: float) -> Dropout:
        """Draw a seed from torch's generator; the rate is exact to 1 / 65536."""
        if rate <= 0:
            return cls()
        seed = int(torch.empty((), dtype=torch.int64).random_())
        threshold = min(max(round(65536 * rate), 1), 65535)
        return cls(seed, threshold, 1 / (1 - rate))


@cache
def _start() -> Any:
    """The function of torch's OpenMP that runs another on all threads."""
    library = libgomp()
    if library is None:
        raise RuntimeError("torch has no threads of libgomp")
    start = library.GOMP_parallel
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return start


def has_threads() -> bool:
    """Whether kernels can run on torch's threads."""
    return libgomp() is not None


def launch(
    kernel: Any, pieces: int, numbers: tuple[int, ...], fractions: tuple[float, ...] = ()
) -> None:
    """Run a kernel over all pieces of its work, and wait for it.

    Args:
        kernel: a compiled function with its address; it must stay alive.
        pieces: of work.
        numbers: whole numbers and addresses of tensors, which must stay alive.
        fractions: of single precision.
    """
    floats = np.array(fractions, dtype=np.float32)
    arguments = np.array([0, pieces, floats.ctypes.data, 0, *numbers], dtype=np.int64)
    threads = min(torch.get_num_threads(), pieces)
    _start()(kernel.address, arguments.ctypes.data, threads, 0)
