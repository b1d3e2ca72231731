"""Device and processes: Accelerate for placement, precision and DDP wrapping, nothing else."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from tunesmith.errors import Problem, RecipeError, ResourceError
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from torch import nn

__all__ = [
    "choose_device",
    "deterministic_kernels",
    "device_of",
    "has_fast_bf16",
    "is_main_process",
    "limit_waits",
    "make_accelerator",
    "num_processes",
    "resolve_precision",
    "rng_of",
    "widest_float",
    "wrap",
]

_FIRST_WAIT = timedelta(seconds=600)
"""A collective operation that takes longer is an error, until `limit_waits`."""
_ANY_ORDER_PROCESSES = 2
"""The most processes whose sum is the same in any order."""
SHORTEST_WAIT_SECONDS = 120.0
_STEPS_PER_WAIT = 20.0


def is_main_process() -> bool:
    """Whether this process is the first of its job, as torchrun and accelerate say.

    Raises:
        RecipeError: what they set makes no sense (C139).
    """
    return _job_numbers()["RANK"] == 0


def num_processes() -> int:
    """How many processes share the job, as torchrun and accelerate say.

    Raises:
        RecipeError: what they set makes no sense (C139).
    """
    return _job_numbers()["WORLD_SIZE"]


_DEFAULTS = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "MASTER_PORT": 0}


def _job_numbers() -> dict[str, int]:
    """The environment of a job, read in this one place; Accelerate reads the same variables."""
    numbers = {name: _number_from(name, default) for name, default in _DEFAULTS.items()}
    for rank, size in (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
        is_alone = size not in os.environ  # a script of its own may set the rank alone
        if numbers[size] < 1 or (numbers[rank] >= numbers[size] and not is_alone):
            raise RecipeError(_no_job(rank, f"{size}={numbers[size]}"))
    return numbers


def _number_from(name: str, default: int) -> int:
    written = os.environ.get(name)
    if written is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", written):
        raise RecipeError(_no_job(name, _("a whole number is needed")))
    return int(written)


def _no_job(name: str, reason: str) -> Problem:
    return Problem(
        "C139",
        _('the environment has {name}="{value}": {reason}').format(
            name=name, value=shortened(os.environ.get(name, "")), reason=reason
        ),
        fix=_("torchrun and accelerate set it for several processes; for one, unset it."),
    )


def make_accelerator(*, device: str = "auto", precision: str = "fp32") -> Accelerator:
    """An accelerator for this run, whatever an earlier one in this process was set to.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        precision: "fp32" or "bf16", as `resolve_precision` gives it.

    Raises:
        ResourceError: the device is not there (M117).
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs
    from torch.distributed import is_available, is_initialized

    chosen = device_of(device)
    if is_available() and is_initialized():  # the group has a limit of its own
        _limit_waits(_FIRST_WAIT)
    # Accelerate keeps its settings per process; a second run may want others
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        # without the word, Accelerate would run several processes on a CPU side by side, alone
        cpu=chosen == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_FIRST_WAIT)],
    )


def device_of(requested: str) -> str:
    """Return the device for "auto", "cpu", "cuda" or "mps", here and for as many processes.

    Raises:
        ResourceError: the device is not there (M117).
        RecipeError: several processes are to share the GPU of a Mac (M149).
    """
    import torch

    requested = _assigned(requested)
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(requested, True):
        raise ResourceError.of(
            "M117",
            _("train.device is {device}, and torch {version} sees no such device").format(
                device=requested, version=torch.__version__
            ),
            fix=_("`tunesmith doctor` says what torch sees. Use --set train.device=auto."),
        )
    return choose_device(requested, available, processes=num_processes())


def _assigned(requested: str) -> str:
    """What "auto" means if a launcher has chosen the device of this process, as Ray Train does."""
    if requested == "auto" and (chosen := os.environ.get("ACCELERATE_TORCH_DEVICE")):
        return chosen.partition(":")[0]
    return requested


def limit_waits(slowest_step: float) -> None:
    """Let processes wait for each other for twenty of the slowest steps, at least two minutes."""
    _limit_waits(timedelta(seconds=max(SHORTEST_WAIT_SECONDS, _STEPS_PER_WAIT * slowest_step)))


def _limit_waits(limit: timedelta) -> None:
    from torch.distributed.distributed_c10d import _set_pg_timeout

    _set_pg_timeout(limit)


def choose_device(requested: str, available: Mapping[str, bool], *, processes: int) -> str:
    """Return "cuda", "mps" or "cpu" for a device that is "auto", or there.

    Args:
        requested: "auto", "cpu", "cuda" or "mps".
        available: whether torch sees "cuda" and "mps".
        processes: that share the job. torch has no collective operations on Apple's GPUs, so
            several train on the CPU.

    Raises:
        RecipeError: several processes are to share the GPU of a Mac (M149).
    """
    if requested == "mps" and processes > 1:
        raise RecipeError.of(
            "M149",
            _("several processes cannot train on mps: torch exchanges no gradients there"),
            fix=_("Start one process, or use --set train.device=cpu."),
        )
    if requested != "auto":
        return requested
    if available["cuda"]:
        return "cuda"
    return "mps" if available["mps"] and processes == 1 else "cpu"


@cache
def widest_float(device: torch.device) -> torch.dtype:
    """Return float64, or float32 for a device without it: GPUs of Apple."""
    import torch

    try:
        return torch.zeros(1, dtype=torch.float64, device=device).dtype
    except (TypeError, RuntimeError):
        return torch.float32


def wrap(accelerator: Accelerator, network: nn.Module, *, has_unused: bool) -> nn.Module:
    """Return the model on its device, in its precision, and in DDP if processes share it.

    After its first step DDP puts gradients into other buckets, in the order in which they came.
    From three processes on, where a gradient is in a bucket decides in which order processes are
    summed, so that a run which was continued would differ in rounding. DDP leaves its buckets
    alone where it looks for weights without a gradient.

    Args:
        accelerator: from `make_accelerator`.
        network: any torch model.
        has_unused: whether some trained weight gets no gradient, for which DDP must not wait.
    """
    from accelerate.utils import DistributedDataParallelKwargs

    looks = has_unused or accelerator.num_processes > _ANY_ORDER_PROCESSES
    if looks and not has_unused:
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=looks)
    wrapped: nn.Module = accelerator.prepare_model(network)
    return wrapped


def resolve_precision(precision: str, device: str) -> str:
    """What "auto" means here: bf16 where it is computed natively, else fp32."""
    import torch

    if precision != "auto":
        return precision
    device = _assigned(device)
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device in ("auto", "cpu") and has_fast_bf16() else "fp32"


def has_fast_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively; elsewhere it is many times slower."""
    import torch

    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in known)


@contextmanager
def deterministic_kernels(enabled: bool) -> Iterator[None]:
    """Use only kernels that repeat exactly, and put the process's settings back afterwards."""
    import torch

    if not enabled:
        yield
        return
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    memory: Any = torch.utils.deterministic
    before = (
        torch.get_deterministic_debug_mode(),
        memory.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
    )
    _set_deterministic(2)
    # filling fresh memory with NaN finds bugs in kernels, at the price of a pass over it
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        _set_deterministic(before[0])
        memory.fill_uninitialized_memory = before[1]
        torch.backends.cudnn.benchmark = before[2]


def rng_of(accelerator: Accelerator) -> Any:
    """What to seed by `manual_seed`: all of torch, or the CPU's generator if that computes.

    To remember a seed for GPUs that were never used takes torch half a millisecond.
    """
    import torch

    return torch.default_generator if accelerator.device.type == "cpu" else torch


def _set_deterministic(mode: int) -> None:
    """Set torch's debug mode of deterministic kernels: 0 for any, 1 to warn, 2 to refuse others.

    `torch.use_deterministic_algorithms` also tells torch.compile, which it would load for that: a
    second of imports.
    """
    import torch

    if "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)
    else:
        torch.set_deterministic_debug_mode(mode)
