"""Memory: how its lack is recognised and told, and how much there is and was used."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tunesmith.errors import Place, Problem, ResourceError
from tunesmith.language import gettext as _

if TYPE_CHECKING:
    import torch

__all__ = ["OneRowTooLarge", "installed_bytes", "is_out_of_memory", "let_go", "peak_bytes"]

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What allocators say that have no exception of their own: CPU, MPS, CUDA and its libraries."""


class OneRowTooLarge(ResourceError):
    """Memory does not suffice for a single row.

    Attributes:
        example: which one.
        place: of its row, once it is known.
    """

    def __init__(self, example: int, tokens: int, place: Place | None = None) -> None:
        self.example, self.place, self._tokens = example, place, tokens
        message = _("out of memory with a single row of {tokens} tokens").format(tokens=tokens)
        fix = _(
            "Lower train.max_length, set train.gradient_checkpointing, or use a smaller model or "
            "another device."
        )
        super().__init__(Problem("M111", message, place, fix=fix))

    def at(self, place: Place) -> OneRowTooLarge:
        """The same, with the row's place."""
        return OneRowTooLarge(self.example, self._tokens, place)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, on whatever device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def let_go(device: torch.device) -> None:
    """Give back what torch keeps of freed memory, so that smaller pieces find a place."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_bytes(device: torch.device) -> int | None:
    """The most memory that this process has held so far: of the GPU, else of the machine."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def installed_bytes(device: torch.device) -> int | None:
    """All memory that the device has."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
