"""Settings of the whole process: how memory is handed out, which library multiplies matrices.

They change how long things take and nothing else. They are put back afterwards, and
`train.fast_without: [process]` leaves them alone.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

__all__ = ["tuned"]

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
_TUNED = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 1 << 28}
_GLIBC = {_MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10}
_EXACT_ENOUGH = 1e-6


@contextmanager
def tuned(wanted: bool) -> Iterator[tuple[str, ...]]:
    """Tune the process while entered; yields what was done, in words for the log."""
    done: list[str] = []
    if not wanted:
        yield ()
        return
    if _keep_memory(_TUNED):
        done.append("malloc")
    multiply: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    precision = multiply.fp32_precision
    if _profits_from_onednn():
        multiply.fp32_precision = "bf16"
        if _multiplies_exactly():
            done.append("onednn")
        else:
            multiply.fp32_precision = precision
    try:
        yield tuple(done)
    finally:
        multiply.fp32_precision = precision
        if "malloc" in done:
            _keep_memory(_GLIBC)


def _keep_memory(values: dict[int, int]) -> bool:
    """Let glibc keep large blocks for the next step instead of giving them back to the system.

    Without it every step maps its activations anew, and touching fresh pages costs more than
    computing on them. Only glibc has `mallopt`.
    """
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        return all(libc.mallopt(name, value) == 1 for name, value in values.items())
    return False


def _profits_from_onednn() -> bool:
    """Whether this is an AMD processor with AVX-512 and without AMX.

    MKL has no AVX-512 for AMD. The flag routes float32 products to oneDNN, whose kernel is true
    float32 there; on a processor with AMX it would round to bfloat16.
    """
    flags = cpu_flags()
    wanted = {"avx512bw", "avx512vl", "avx512dq"}
    return "AuthenticAMD" in flags and wanted <= flags and "amx_tile" not in flags


def _multiplies_exactly() -> bool:
    """Whether a product is float32 through and through, against one in float64."""
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(256, 512, generator=generator)
    other = torch.randn(512, 256, generator=generator)
    exact = one.double() @ other.double()
    return float((one @ other - exact).abs().max() / exact.abs().max()) < _EXACT_ENOUGH


def cpu_flags() -> frozenset[str]:
    """The vendor and the features of the processor as Linux names them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a real file
            found: set[str] = set()
            for line in file:
                name, _colon, value = line.partition(":")
                if name.strip() in ("vendor_id", "flags"):
                    found.update(value.split())
                if name.strip() == "flags":
                    break
            return frozenset(found)
    except OSError:
        return frozenset()
