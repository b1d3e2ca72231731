"""The OpenMP library whose threads compute torch's operators: libgomp in its wheels for Linux."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

__all__ = ["libgomp"]

_BACKEND = "ATen parallel backend: OpenMP"
_CALLED = ("GOMP_parallel", "omp_get_thread_num")


_libraries: list[ctypes.CDLL] = []
"""The one that was found; that there is none is looked up again."""


def libgomp(maps: Path = Path("/proc/self/maps")) -> ctypes.CDLL | None:
    """The libgomp that torch uses; None if it uses another library, or none can be found."""
    if not _libraries and (library := _loaded_libgomp(maps)) is not None:
        _libraries.append(library)
    return _libraries[0] if _libraries else None


def _loaded_libgomp(maps: Path) -> ctypes.CDLL | None:
    if sys.platform != "linux" or _BACKEND not in torch.__config__.parallel_info():
        return None
    try:
        lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    paths = {line[line.index("/") :] for line in lines if "/" in line}
    path = _chosen(paths)
    with suppress(OSError):
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD) if path else None
        if library is not None and all(hasattr(library, name) for name in _CALLED):
            return library
    return None


def _chosen(paths: set[str]) -> str | None:
    """The libgomp among loaded libraries that torch uses.

    Other packages may load one of their own. The libraries of Intel and LLVM take over its
    functions where they are loaded, and wait their own way.
    """
    names = {path: path.rpartition("/")[2] for path in paths}
    if any(name.startswith(("libiomp", "libomp")) for name in names.values()):
        return None
    loaded = sorted(path for path, name in names.items() if name.startswith("libgomp"))
    of_torch = [path for path in loaded if "/torch/lib/" in path or "/torch.libs/" in path]
    ordinary = [path for path in loaded if names[path] == "libgomp.so.1"]
    return next(iter(of_torch or ordinary or loaded), None)
