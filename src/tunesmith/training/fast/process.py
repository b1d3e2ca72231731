"""Settings of the whole process: how memory is handed out, which library multiplies matrices.

They change how long things take and nothing else. They are put back when the last of those that
asked for them leaves, and `train.disable: [process]` leaves them alone.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

__all__ = ["tuned"]

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
_LARGEST_EVERYWHERE = 32 << 20
"""The highest threshold of mapping that every glibc takes; older ones refuse more."""

_TUNED = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 1 << 28}
# Setting a threshold stops glibc from raising it as blocks are freed, and nothing starts that
# again: these are the highest values it would have come to, and its own padding.
_GLIBC = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20, _TOP_PAD: 128 << 10}

# True float32 errs by up to 1e-6 in products of this shape, bfloat16 by about 1e-3.
_EXACT_ENOUGH = 1e-5


@contextmanager
def tuned(enabled: bool) -> Iterator[tuple[str, ...]]:
    """Tune the process while entered; yield what was done, as text for the log.

    It may be entered again, inside and by other threads.
    """
    if not enabled:
        yield ()
        return
    done = _SETTINGS.enter()
    try:
        yield done
    finally:
        _SETTINGS.leave()


class _Settings:
    """Settings with a count of users: the first to enter sets, the last to leave restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._done: tuple[str, ...] = ()
        self._precision = ""

    def enter(self) -> tuple[str, ...]:
        """Set what helps here, unless it is set; returns what that is."""
        with self._lock:
            if not self._entered:
                self._set()
            self._entered += 1
            return self._done

    def leave(self) -> None:
        """Restore the settings after the last user."""
        with self._lock:
            self._entered -= 1
            if not self._entered:
                self._restore()

    def _set(self) -> None:
        multiply: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        self._precision, self._done = multiply.fp32_precision, ()
        try:
            if _keep_memory():
                self._done += ("malloc",)
            if _profits_from_onednn():
                multiply.fp32_precision = "bf16"
                if _multiplies_exactly():
                    self._done += ("onednn",)
                else:
                    multiply.fp32_precision = self._precision
        except BaseException:  # not entered, so it would not be left
            self._restore()
            raise

    def _restore(self) -> None:
        multiply: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        multiply.fp32_precision = self._precision
        if "malloc" in self._done:
            _give_memory_back()


_SETTINGS = _Settings()


def _keep_memory() -> bool:
    """Let glibc keep large blocks for the next step instead of giving them back to the system.

    Without it every step maps its activations again, and touching fresh pages costs more than
    computing on them. Only glibc has `mallopt`. What was freed before, by reading the rows, goes
    back first.
    """
    libc = _glibc()
    if libc is None:
        return False
    libc.malloc_trim(0)
    lower = {**_TUNED, _MMAP_THRESHOLD: _LARGEST_EVERYWHERE}
    return _set_all(libc, _TUNED) or _set_all(libc, lower)


def _give_memory_back() -> None:
    """Let glibc hand out memory as it does by itself, and give back what it kept."""
    libc = _glibc()
    if libc is not None:
        _set_all(libc, _GLIBC)
        libc.malloc_trim(0)


def _set_all(libc: Any, values: dict[int, int]) -> bool:
    return all(libc.mallopt(name, value) == 1 for name, value in values.items())


def _glibc() -> Any:
    """The C library if it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError):
        libc = ctypes.CDLL("libc.so.6")
        if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim"):
            return libc
    return None


def _profits_from_onednn() -> bool:
    """Whether this is an AMD processor with AVX-512 and without AMX.

    MKL has no AVX-512 for AMD. The flag routes float32 products to oneDNN, whose kernel is true
    float32 there; on a processor with AMX it would round to bfloat16.
    """
    flags = cpu_flags()
    features = {"avx512bw", "avx512vl", "avx512dq"}
    return "AuthenticAMD" in flags and features <= flags and "amx_tile" not in flags


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
            flags: set[str] = set()
            for line in file:
                name, _colon, value = line.partition(":")
                if name.strip() in ("vendor_id", "flags"):
                    flags.update(value.split())
                if name.strip() == "flags":
                    break
            return frozenset(flags)
    except OSError:
        return frozenset()
