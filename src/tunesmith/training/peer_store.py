"""The store in which the processes of a job meet: connecting to it, and for how long.

Processes that are a process group already, such as workers of Ray Train, use the store of the
group. Others read from the environment where process 0 or its launcher holds one.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tunesmith.errors import RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.training.peer_errors import ended_silently, error_of, no_job

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

__all__ = ["JOIN_SECONDS", "connect", "join_seconds"]

JOIN_SECONDS = 900.0
"""How long the processes may start one after another."""
_TOGETHER_SECONDS = 300.0
"""The same where something starts all of them at once, so that only loading differs."""
_SIGNALS_EVERY_SECONDS = 0.2


def join_seconds() -> float:
    """Return how long to wait for processes that have not come yet.

    A launcher, and a step of SLURM, start them at the same time: one that is minutes late has
    ended, or its machine has.
    """
    together = "TORCHELASTIC_RUN_ID" in os.environ or "SLURM_STEP_ID" in os.environ
    return min(JOIN_SECONDS, _TOGETHER_SECONDS) if together else JOIN_SECONDS


def connect() -> Store:
    """Return a connection to the store of the job, which process 0 or torchrun holds.

    Torch waits for the others without letting Python answer signals, so it does in a thread.

    Raises:
        PeerError: it is not reached (C141).
        RecipeError: the environment does not say where it is (C139).
    """
    from torch.distributed import DistError

    made: list[Store] = []
    failed: list[BaseException] = []
    limit = join_seconds()

    def wait() -> None:
        try:
            made.append(_rendezvous(limit))
        except BaseException as error:  # raised in the thread that asked for it
            failed.append(error)

    thread = threading.Thread(target=wait, name="tunesmith-connect", daemon=True)
    thread.start()
    started = time.monotonic()
    while thread.is_alive():
        thread.join(_SIGNALS_EVERY_SECONDS)
        if time.monotonic() - started > limit + 60:  # torch has not kept to it
            raise error_of(ended_silently(0, _("it was not reached: {reason}").format(reason="-")))
    try:
        if failed:
            raise failed[0]
    except ValueError as error:
        raise RecipeError(no_job(str(error))) from error
    except DistError as error:
        text = _("it was not reached: {reason}").format(reason=str(error).splitlines()[0][:300])
        raise error_of(ended_silently(0, text)) from error
    made[0].set_timeout(timedelta(seconds=60))
    return made[0]


def _rendezvous(seconds: float) -> Store:
    from torch.distributed import is_initialized
    from torch.distributed.distributed_c10d import _get_default_store
    from torch.distributed.rendezvous import rendezvous

    if is_initialized():
        group: Any = _get_default_store()
        return group.clone()  # type: ignore[no-any-return]
    store, _rank, _size = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))
    return store  # type: ignore[no-any-return]
