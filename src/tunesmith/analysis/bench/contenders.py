"""Contenders: each trains in its own process, a few steps when it is its turn.

So process settings stay apart, and neighboring turns see the same load of the machine.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tunesmith.analysis.bench.trainings import trainer_steps, tunesmith_steps
from tunesmith.training.memory import peak_bytes

__all__ = ["CONTENDERS", "Child", "Contender", "Turn", "ablations"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to train.

    Attributes:
        name: in the table.
        kind: "trainer" for transformers' Trainer, "tunesmith" for ours.
        arguments: of `TrainingArguments`, or recipe keys.
        tunes_process: whether a Trainer runs with our settings of the process.
    """

    name: str
    kind: str
    arguments: dict[str, object] = field(default_factory=dict)
    tunes_process: bool = False


CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (
        Contender("trainer", "trainer"),
        Contender("trainer-bf16", "trainer", {"bf16": True}),
        Contender("trainer-process", "trainer", tunes_process=True),
        Contender("trainer-bf16-process", "trainer", {"bf16": True}, tunes_process=True),
        Contender("trainer-by-length", "trainer", {"train_sampling_strategy": "group_by_length"}),
        Contender("exact", "tunesmith", {"train.engine": "exact", "train.precision": "fp32"}),
        Contender("fast", "tunesmith", {"train.engine": "fast", "train.precision": "fp32"}),
        Contender("fast-bf16", "tunesmith", {"train.engine": "fast", "train.precision": "bf16"}),
    )
}
_PARTS = ("packing", "last_layer", "dropout", "vocabulary", "clipping", "process")
_PARTS_ON_GPU = ("varlen", "graphs", "device_data")


def ablations(base: str) -> list[Contender]:
    """Return the fast engine, and the same without each of its parts."""
    import torch

    whole = CONTENDERS[base]
    parts = [*_PARTS, *(["copies"] if base == "fast-bf16" else [])]
    parts += _PARTS_ON_GPU if torch.cuda.is_available() else ()
    return [
        whole,
        *(
            Contender(
                f"{base} without {part}",
                "tunesmith",
                {**whole.arguments, "train.disable": [part]},
            )
            for part in parts
        ),
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """Some steps of one contender.

    Attributes:
        seconds: of all steps together.
        steps: how many.
        rows: trained.
        tokens: without padding.
        limit: the least seconds these steps can take, 0 if unknown.
        loss: the mean of the steps.
        order: a hash of the rows in the order they came.
    """

    seconds: float
    steps: int
    rows: int
    tokens: int
    limit: float
    loss: float
    order: str


class Child:
    """A contender in its own process."""

    def __init__(self, contender: Contender, settings: dict[str, object]) -> None:
        """Start the process; it waits for `ready`, so that one prepares at a time.

        Args:
            contender: which.
            settings: recipe keys that all contenders share.
        """
        self.contender = contender
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(contender, settings, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def ready(self) -> str | None:
        """Prepare the training; return why it cannot begin, None if it can."""
        problem: str | None = self._ask(None)
        return problem

    def turn(self, steps: int, *, untimed: int = 0) -> Turn | str:
        """Train for some steps; return what went wrong if it failed.

        Args:
            steps: how many are timed.
            untimed: how many come first, to refill caches that others have used since.
        """
        turn: Turn | str = self._ask((untimed, steps))
        return turn

    def stop(self) -> float:
        """End the process; return the most memory it held, in megabytes."""
        peak = self._ask(None)
        self._process.join(timeout=30)
        return peak if isinstance(peak, float) else 0.0

    def _ask(self, request: tuple[int, int] | None) -> Any:
        try:
            self._pipe.send(request)
            return self._pipe.recv()
        except (EOFError, ConnectionError, OSError):
            self._process.join(timeout=30)
            return f"the process ended with code {self._process.exitcode}"


def _serve(contender: Contender, settings: dict[str, object], pipe: Connection) -> None:
    """Train in the child process, a turn for each request."""
    import torch

    sys.stdout = open(os.devnull, "w", encoding="utf-8", newline="\n")  # noqa: PTH123, SIM115
    sys.stderr = sys.stdout
    pipe.recv()
    try:
        if contender.kind == "trainer":
            tunes = contender.tunes_process
            steps = trainer_steps(settings, contender.arguments, tunes_process=tunes)
        else:
            steps = tunesmith_steps({**settings, **contender.arguments})
        next(steps)  # prepares everything, and warms up by one step
    except Exception as error:  # sent to the parent, which continues with the others
        pipe.send(_as_line(error))
        return
    pipe.send(None)
    while request := pipe.recv():
        untimed, timed = request
        try:
            for _step in range(untimed):
                next(steps)
            started = time.perf_counter()
            done = [next(steps) for _step in range(timed)]
        except Exception as error:
            pipe.send(_as_line(error))
            return
        seconds = time.perf_counter() - started
        indices = repr([step.indices for step in done])
        turn = Turn(
            seconds,
            steps=len(done),
            rows=sum(len(step.indices) for step in done),
            tokens=sum(step.tokens for step in done),
            limit=sum(step.limit for step in done),
            loss=sum(step.loss for step in done) / len(done),
            order=hashlib.sha256(indices.encode()).hexdigest()[:12],
        )
        pipe.send(turn)
    pipe.send((peak_bytes(torch.device("cpu")) or 0) / (1 << 20))


def _as_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"
