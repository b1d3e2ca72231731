"""Moments of a run at which something happens to its processes: a call of a function.

The rank that comes to the moment kills, stops or signals itself and others, whose process ids it
finds in a folder.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.runs.machines import at_call

__all__ = ["PLACES", "Moment", "arm", "hit"]

PLACES: Mapping[str, tuple[str, int]] = {
    "the start": ("tunesmith.cli:main", 1),
    "meeting": ("tunesmith.training.peers:_Joined.greet", 1),
    "the data": ("tunesmith.runs.start:resolve_inputs", 1),
    "preparing": ("tunesmith.data.token_cache:_write", 1),
    "agreeing": ("tunesmith.runs.train:agree_on_inputs", 1),
    "the process group": ("tunesmith.runs.train:make_accelerator", 1),
    "the model": ("tunesmith.runs.train:open_session", 1),
    "the plan": ("tunesmith.runs.train:write_recipe_and_plan", 1),
    "a step": ("tunesmith.runs.session:Session.micro_batches", 7),
    "a save": ("tunesmith.runs.recorder:Recorder.save", 2),
    "writing a checkpoint": ("tunesmith.training.checkpoint:write", 2),
    "deleting a checkpoint": ("tunesmith.training.checkpoint:retain", 3),
    "after a save": ("tunesmith.training.peers:_Joined.meet", 2),
    "an evaluation": ("tunesmith.training.predict:make_batch", 3),
    "the finish": ("tunesmith.runs.train:finish", 1),
    "the predictions": ("tunesmith.storage.atomic:_seal", 6),
    "the end": ("tunesmith.training.peers:_Joined.leave", 1),
    "the last code": ("tunesmith.jobs.worker:end", 1),
}
"""A function, and its call, by what a run does then."""


@dataclass(frozen=True)
class Moment:
    """What happens when a rank comes to a call.

    Attributes:
        rank: of the process that has to come there; -1 for any, the first one of the job.
        place: a function, as `module:name`.
        number: of the call of it that begins with the fault.
        delay: seconds from then on.
        victims: whom it happens to: "launcher", and ranks.
        signal: which one they get; 0 for none.
        pause: seconds that this process waits then, for others to do something.
    """

    rank: int
    place: str
    number: int = 1
    delay: float = 0.0
    victims: tuple[str, ...] = ("0",)
    signal: int = signal.SIGKILL
    pause: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For `from_json`, in another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Moment:
        """From `as_json`."""
        return cls(**{**values, "victims": tuple(values["victims"])})


def arm(moment: Moment, rank: int, pids: Path) -> None:
    """Have it happen in this process, if it is its rank."""
    if moment.rank not in (-1, rank):
        return

    def act() -> None:
        with suppress(FileExistsError):
            (pids / "hit").touch(exist_ok=False)
            time.sleep(moment.pause)
            if moment.delay:
                threading.Timer(moment.delay, hit, (moment, pids)).start()
            else:
                hit(moment, pids)
                if str(rank) in moment.victims and moment.signal == signal.SIGKILL:
                    time.sleep(60)  # it has been sent

    at_call(moment.place, moment.number, act)


def hit(moment: Moment, pids: Path) -> None:
    """Send the signal to all victims that there are, to this process last."""
    there = []
    for name in moment.victims:
        with suppress(OSError, ValueError):
            there.append(int((pids / name).read_text()))
    for pid in sorted(there, key=lambda pid: pid == os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, moment.signal)
