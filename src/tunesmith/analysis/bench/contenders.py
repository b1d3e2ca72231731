"""Contenders: each trains in its own process, a few steps when it is its turn.

So process settings stay apart, and neighboring turns see the same load of the machine.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tunesmith.analysis.bench.scripts import script_steps
from tunesmith.analysis.bench.trainings import Steps, trainer_steps, tunesmith_steps
from tunesmith.training.fast.gpu_parts import UNMEASURED
from tunesmith.training.memory import peak_bytes

__all__ = ["CONTENDERS", "Child", "Contender", "Turn", "ablations", "drop_in"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to train.

    Attributes:
        name: in the table.
        kind: "trainer" for transformers' Trainer, "tunesmith" for ours, "script" and "drop-in" for
            a script with transformers' Trainer or with our class in its place.
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
        Contender("script", "script"),
        Contender("script-bf16", "script", {"bf16": True}),
        Contender("drop-in", "drop-in"),
        Contender("drop-in-bf16", "drop-in", {"bf16": True}),
        Contender("exact", "tunesmith", {"train.engine": "exact", "train.precision": "fp32"}),
        Contender("fast", "tunesmith", {"train.engine": "fast", "train.precision": "fp32"}),
        Contender("fast-bf16", "tunesmith", {"train.engine": "fast", "train.precision": "bf16"}),
    )
}
_PARTS = (
    "packing", "last_layer", "layers", "update", "dropout", "vocabulary", "clipping", "process",
    "waiting",
)  # fmt: skip


def ablations(base: str) -> list[Contender]:
    """Return the fast engine, the same without each part, and on a GPU with those that are off."""
    import torch

    whole = CONTENDERS[base]
    parts = [*_PARTS, *(["copies"] if base == "fast-bf16" else [])]
    more = UNMEASURED if torch.cuda.is_available() else ()
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
        *(
            Contender(
                f"{base} with {part}", "tunesmith", {**whole.arguments, "train.enable": [part]}
            )
            for part in more
        ),
    ]


def drop_in(base: str) -> list[Contender]:
    """Return a script with transformers' Trainer, with ours, and the recipe, in a precision.

    Args:
        base: the contender of the recipe, "fast" or "fast-bf16".
    """
    half = base.removeprefix("fast")
    return [CONTENDERS[name] for name in (f"script{half}", f"drop-in{half}", base)]


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
        others: CPUs that other processes used meanwhile.
        speed: of the processor just before, in digests per second; 0 if not measured.
    """

    seconds: float
    steps: int
    rows: int
    tokens: int
    limit: float
    loss: float
    order: str
    others: float = 0.0
    speed: float = 0.0


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
    sys.stdout = open(os.devnull, "w", encoding="utf-8", newline="\n")  # noqa: PTH123, SIM115
    sys.stderr = sys.stdout
    pipe.recv()
    steps = Steps()
    answers = threading.Thread(target=_answer, args=(steps, pipe))
    answers.start()
    steps.run(partial(_train, contender, settings))
    answers.join()


def _answer(steps: Steps, pipe: Connection) -> None:
    """Take the steps that are requested, and time them."""
    import torch

    from tunesmith.analysis.bench.roofline import others_since, processor_speed
    from tunesmith.training.fast.neighbors import read
    from tunesmith.training.fast.waiting import pause, resume

    try:
        next(steps)  # prepares everything, and warms up by one step
    except Exception as error:  # sent to the parent, which continues with the others
        pipe.send(_as_line(error))
        return
    pipe.send(None)
    pause()
    while request := pipe.recv():
        untimed, timed = request
        resume()
        speed = processor_speed() if untimed else 0.0
        try:
            for _step in range(untimed):
                next(steps)
            before = read(None)
            started = time.perf_counter()
            done = [next(steps) for _step in range(timed)]
        except Exception as error:
            pipe.send(_as_line(error))
            return
        seconds = time.perf_counter() - started
        others = others_since(before)
        pause()  # the turns of the others are no load
        indices = repr([step.indices for step in done])
        turn = Turn(
            seconds,
            steps=len(done),
            rows=sum(len(step.indices) for step in done),
            tokens=sum(step.tokens for step in done),
            limit=sum(step.limit for step in done),
            loss=sum(step.loss for step in done) / len(done),
            order=hashlib.sha256(indices.encode()).hexdigest()[:12],
            others=others,
            speed=speed,
        )
        pipe.send(turn)
    pipe.send((peak_bytes(torch.device("cpu")) or 0) / (1 << 20))
    steps.stop()


def _train(contender: Contender, settings: dict[str, object], steps: Steps) -> None:
    arguments = contender.arguments
    if contender.kind == "trainer":
        trainer_steps(settings, arguments, tunes_process=contender.tunes_process)(steps)
    elif contender.kind in ("script", "drop-in"):
        script_steps(settings, arguments, drop_in=contender.kind == "drop-in")(steps)
    else:
        with closing(tunesmith_steps({**settings, **arguments})) as own:
            for step in own:
                steps.give(step)


def _as_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"
