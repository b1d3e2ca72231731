"""Memory: out-of-memory errors recognized and reported; how much is installed and used."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from tunesmith.errors import Place, Problem, ResourceError
from tunesmith.i18n import gettext as _

if TYPE_CHECKING:
    import torch

    from tunesmith.data.batches import Batch

__all__ = [
    "OneRowTooLarge",
    "installed_bytes",
    "is_out_of_memory",
    "memory_problem",
    "peak_bytes",
    "release_memory",
]

_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
    "alloc_failed", "bad_alloc", "(os error 12)", "failed to map segment", "invalid buffer size",
)  # fmt: skip
"""What allocators say that have no exception of their own: CPU, MPS, CUDA, Rust and the system."""


class OneRowTooLarge(ResourceError):
    """Memory does not suffice for a single row.

    Attributes:
        example: which one.
        place: of its row, once it is known.
    """

    def __init__(
        self, example: int, tokens: int, place: Place | None = None, *, sequences: int = 1
    ) -> None:
        self.example, self.place = example, place
        self._tokens, self._sequences = tokens, sequences
        message = _("out of memory with a single row of {tokens} tokens").format(tokens=tokens)
        fix = _(
            "Lower train.max_length, set train.gradient_checkpointing, or use a smaller model or "
            "another device."
        )
        if sequences > 1:
            message = _(
                "out of memory with a single row of {tokens} tokens in {sequences} sequences"
            ).format(tokens=tokens, sequences=sequences)
            fix += "\n" + _("If these are windows of a text, lower options.max_windows.")
        super().__init__(Problem("M111", message, place, fix=fix))

    @classmethod
    def of_batch(cls, batch: Batch) -> OneRowTooLarge:
        """Return the error of a batch with one row."""
        sequences = 1 if batch.owner is None else len(batch.owner)
        return cls(int(batch.examples[0]), batch.num_tokens, sequences=sequences)

    def at(self, place: Place) -> OneRowTooLarge:
        """The same, with the row's place."""
        return OneRowTooLarge(self.example, self._tokens, place, sequences=self._sequences)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that memory does not suffice on some device."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return True
        if type(cause).__name__ == "OutOfMemoryError":  # torch's own, whatever it says
            return True
        if _may_be_an_allocators(cause) and any(words in str(cause).lower() for words in _WORDS):
            return True
        cause = cause.__cause__
    return False


def _may_be_an_allocators(error: BaseException) -> bool:
    """Whether C++, Rust or the loader of libraries may have raised it."""
    is_own = type(error).__base__ is Exception and type(error).__module__ != "builtins"
    return is_own or isinstance(error, RuntimeError | ImportError)


def memory_problem(error: BaseException) -> Problem:
    """What to report of an error that `is_out_of_memory`."""
    text = str(error)
    reason = text.splitlines()[0] if text else type(error).__name__
    return Problem(
        "M111",
        _("out of memory: {reason}").format(reason=reason),
        fix=_(
            "Lower train.micro_batch_size (a step keeps its rows), train.max_length or "
            "train.eval_batch_size, or set train.gradient_checkpointing."
        ),
    )


def release_memory(device: torch.device) -> None:
    """Give back what torch keeps of freed memory, so that smaller pieces find a place."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        # compiled graphs of every shape seen so far; newer versions of torch can drop them
        getattr(torch.mps, "clear_graph_cache", lambda: None)()
        torch.mps.empty_cache()


def peak_bytes(device: torch.device) -> int | None:
    """The most memory that this process has held so far: of the GPU, else of the machine.

    Of a GPU of Apple, which has no peak, what Metal holds for it now, with what is kept for reuse.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return getattr(psutil.Process().memory_info(), "peak_wset", None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def installed_bytes(device: torch.device) -> int:
    """All memory that the device has; of a GPU of Apple what Metal recommends to use at most."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return int(psutil.virtual_memory().total)
