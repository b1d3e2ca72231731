"""Contenders: each trains in a process of its own, a few steps whenever it is its turn.

Settings of a process stay with it, and neighbouring turns see the same load of the machine.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tunesmith.analysis.bench.data import as_features, in_their_words
from tunesmith.analysis.bench.roofline import measure_machine, products_of, work_of

__all__ = ["CONTENDERS", "Child", "Contender", "Turn", "ablations"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to train.

    Attributes:
        name: in the table.
        kind: "trainer" for transformers' Trainer, "tunesmith" for ours.
        arguments: of `TrainingArguments`, or recipe keys.
        tunes_process: whether a Trainer is given our settings of the process.
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
    """The fast engine, and the same without each of its parts."""
    whole = CONTENDERS[base]
    parts = [*_PARTS, *(["copies"] if base == "fast-bf16" else [])]
    parts += _PARTS_ON_GPU if _has_gpu() else ()
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


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True, slots=True)
class Turn:
    """Some steps of one contender.

    Attributes:
        seconds: of all steps together.
        steps: how many.
        rows: trained.
        tokens: real ones.
        limit: the least seconds these steps can take, 0 if not known.
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
    """A contender in its process."""

    def __init__(self, contender: Contender, settings: dict[str, object]) -> None:
        """Start its process, which waits until `ready` is called: one gets ready at a time.

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
        """Let it get ready, and wait for it; says why it cannot begin, if it cannot."""
        problem: str | None = self._ask(None)
        return problem

    def turn(self, steps: int, *, untimed: int = 0) -> Turn | str:
        """Let it train for some steps; says what happened if it could not.

        Args:
            steps: that are timed.
            untimed: steps before these, which bring back the memory that others took meanwhile.
        """
        found: Turn | str = self._ask((untimed, steps))
        return found

    def stop(self) -> float:
        """End it; returns the most memory it held, in megabytes."""
        peak = self._ask(None)
        self._process.join(timeout=30)
        return peak if isinstance(peak, float) else 0.0

    def _ask(self, what: tuple[int, int] | None) -> Any:
        try:
            self._pipe.send(what)
            return self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(timeout=30)
            return f"it ended with code {self._process.exitcode}"


Steps = Iterator[tuple[int, int, float, Sequence[int], float]]
"""Rows, real tokens, the loss, which rows, and the least seconds of each step."""


def _serve(contender: Contender, settings: dict[str, object], pipe: Connection) -> None:
    """The child: waits for its turns."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stdout
    pipe.recv()
    try:
        begin = _BY_KIND[contender.kind]
        steps = begin(contender, settings)
        next(steps)  # makes everything ready, and warms up by one step
    except Exception as error:  # told to the parent, which goes on without this one
        pipe.send(_in_a_line(error))
        return
    pipe.send(None)
    while wanted := pipe.recv():
        untimed, timed = wanted
        try:
            for _step in range(untimed):
                next(steps)
            started = time.perf_counter()
            done = [next(steps) for _step in range(timed)]
        except Exception as error:
            pipe.send(_in_a_line(error))
            return
        seconds = time.perf_counter() - started
        order = hashlib.sha256(repr([list(step[3]) for step in done]).encode()).hexdigest()[:12]
        rows, tokens = sum(step[0] for step in done), sum(step[1] for step in done)
        limit = sum(step[4] for step in done)
        loss = sum(step[2] for step in done) / len(done)
        pipe.send(Turn(seconds, len(done), rows, tokens, limit, loss, order))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}"


def _job(settings: dict[str, object]) -> Any:
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import gather
    from tunesmith.runs.prepare import prepare_run

    flags = {tuple(key.split(".")): (key, value) for key, value in settings.items()}
    return prepare_run(validate_inputs(resolve_inputs(gather(flags=flags, environment={}))))


def _ours(contender: Contender, settings: dict[str, object]) -> Steps:
    """Tunesmith as `tunesmith train` sets it up; what it writes is thrown away."""
    import tempfile
    from pathlib import Path

    import torch

    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.signals import StopRequest
    from tunesmith.runs.train import opened_session
    from tunesmith.training.events import StepDone
    from tunesmith.training.fast.engine import FastEngine
    from tunesmith.training.loop import train

    job = _job({**settings, **contender.arguments})
    is_fast = job.recipe.train.engine == "fast"
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_session(job, RunFolder(Path(folder)), stop=StopRequest()) as session,
    ):
        engine: Any = session.engine
        lengths = job.examples["train"].lengths
        half = session.precision == "bf16"
        first = job.plan.examples_at(0)
        products = None
        if job.task.needs_label:  # other heads compute masked tokens only
            with engine.plain_model():
                products = products_of(session.network, job.task.forward, job.batch(0, first[:4]))
        machine = measure_machine(
            session.network, int(lengths[first].sum()), torch.bfloat16 if half else torch.float32
        )
        table = session.network.get_input_embeddings().weight
        cuts = isinstance(engine, FastEngine) and engine.probe_result.exit == (
            "first token, last layer cut"
        )
        trained = sum(p.numel() for p in session.network.parameters() if p.requires_grad)
        stream = train(
            engine, plan=job.plan, progress=session.progress, micro_batches=session.micro_batches
        )
        for event in stream:
            if isinstance(event, StepDone):
                places = job.plan.examples_at(event.step - 1)
                limit = 0.0
                if products is not None:
                    limit = work_of(
                        session.network, products, lengths[places].tolist(), updated=trained,
                        table_rows=len(table), cuts_last_layer=cuts, half=half and is_fast,
                    ).seconds(machine)  # fmt: skip
                yield event.examples, event.tokens, event.loss, places.tolist(), limit


def _theirs(contender: Contender, settings: dict[str, object]) -> Steps:
    """The Trainer of transformers on the same rows, in a thread that waits between steps."""
    import threading
    from queue import Queue

    from tunesmith.training.fast.process import tuned

    job = _job(settings)
    turn: Queue[None] = Queue()
    told: Queue[Any] = Queue()

    def work() -> None:
        try:
            with tuned(True) if contender.tunes_process else nullcontext():
                _run_trainer(contender, job, turn, told)
        except Exception as error:  # handed to the thread that asks
            told.put(error)

    threading.Thread(target=work, daemon=True).start()
    while True:
        turn.put(None)
        found = told.get()
        if isinstance(found, Exception):
            raise found
        yield found


def _run_trainer(contender: Contender, job: Any, turn: Any, told: Any) -> None:
    import tempfile

    import torch
    from transformers import (
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    own, examples = job.recipe.train, job.examples["train"]
    rows = as_features(examples)
    collate = DataCollatorWithPadding(tokenizer=job.tokenizer)
    seen: list[list[int]] = []

    def collator(features: list[dict[str, Any]]) -> Any:
        seen.append([feature["row"] for feature in features])
        return collate([{k: v for k, v in f.items() if k != "row"} for f in features])

    class Turns(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_arguments: Any, **_more: Any) -> None:
            turn.get()

    class Losses(Trainer):  # type: ignore[misc]
        def training_step(self, *arguments: Any, **more: Any) -> Any:
            loss = super().training_step(*arguments, **more)
            self.noted = float(loss)  # it waits for the loss itself, to see whether it is finite
            return loss

    class Done(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_more: Any) -> None:
            places = seen[state.global_step - 1]
            tokens = sum(len(rows[i]["input_ids"]) for i in places)
            told.put((len(places), tokens, trainer.noted, places, 0.0))

    set_seed(own.seed)
    network = job.task.build(
        job.files, seed=own.seed, dropout=own.dropout, allow_missing=own.allow_missing
    ).model
    with tempfile.TemporaryDirectory() as folder:
        trainer = Losses(
            model=network,
            args=TrainingArguments(
                folder, seed=own.seed, max_steps=job.plan.total_steps, save_strategy="no",
                report_to="none", disable_tqdm=True, remove_unused_columns=False,
                use_cpu=own.device == "cpu" or not torch.accelerator.is_available(),
                **in_their_words(job),
                **contender.arguments,
            ),
            train_dataset=rows,
            data_collator=collator,
            processing_class=job.tokenizer,
            callbacks=[Turns(), Done()],
        )  # fmt: skip
        trainer.train()


_BY_KIND: dict[str, Callable[[Contender, dict[str, object]], Steps]] = {
    "tunesmith": _ours,
    "trainer": _theirs,
}
