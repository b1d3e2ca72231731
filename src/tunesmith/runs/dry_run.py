"""The dry run: what a run takes, measured on real steps, predictions and a checkpoint.

They are made in a folder that is gone afterwards, on the disk of the run to be; nothing of them
stays.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from tunesmith.errors import FolderInUseError, Problem, ResourceError
from tunesmith.recipe import Duration
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.preflight import preflight
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.train import opened_session
from tunesmith.storage import atomic
from tunesmith.storage.disk import nearest_existing
from tunesmith.storage.lock import hold, hold_to_move
from tunesmith.storage.operating_system import delete_folder
from tunesmith.training import checkpoint
from tunesmith.training.engine import sum_over_ranks
from tunesmith.training.events import StepDone
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.loop import train
from tunesmith.training.memory import installed_bytes, peak_bytes
from tunesmith.training.peers import current
from tunesmith.training.plan import Plan, in_steps

__all__ = ["Estimate", "estimate"]

_WARM_UP, _STEPS, _SECONDS = 2, 4, 4.0
"""Steps that only warm up, the fewest that are timed, and how long to go on after them."""

_UNSTEADY = 3.0
"""Steps of one length on an idle machine differ by a tenth or so."""

_BEING_MADE_SECONDS = 60.0
"""A younger folder may be one that its dry run has not locked yet."""

_FIRST_ROWS = 64
"""Rows predicted to find out how many more there is time for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes. Times are in seconds, over all of the run unless they say otherwise.

    Attributes:
        model: its name.
        parameters: how many it has.
        trained: how many of them train.
        rows: examples of each split.
        device: where it was measured.
        precision: "fp32" or "bf16".
        engine: its name, and what the probe found.
        batch_size: rows of a step.
        micro_batch_size: rows at once, as memory allows.
        num_processes: processes that share a step.
        measured_steps: how many were timed.
        step_seconds: of a step of usual length.
        spread: how many times as long as a fast step a slow one took, for as many tokens.
        largest_seconds: of the largest micro-batch, there and back.
        total_steps: of the run.
        evaluations: of the validation rows, with the one at the end.
        train_seconds: in steps.
        evaluation_seconds: predicting and scoring.
        saving_seconds: writing checkpoints and model, if every evaluation is the best so far.
        peak_bytes: the most memory held; None if unknown.
        memory_bytes: all that the device has.
        disk_bytes: of the run folder at the end, if every evaluation is the best so far.
        free_bytes: on its disk.
        warnings: what the run would say before its first step.
    """

    model: str
    parameters: int
    trained: int
    rows: Mapping[str, int]
    device: str
    precision: str
    engine: Mapping[str, object]
    batch_size: int
    micro_batch_size: int
    num_processes: int
    measured_steps: int
    step_seconds: float
    spread: float
    largest_seconds: float
    total_steps: int
    evaluations: int
    train_seconds: float
    evaluation_seconds: float
    saving_seconds: float
    peak_bytes: int | None
    memory_bytes: int
    disk_bytes: int
    free_bytes: int
    warnings: Sequence[Problem]

    @property
    def is_unsteady(self) -> bool:
        """Whether the times say nothing about the run, as on a machine in use."""
        return self.spread > _UNSTEADY

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.train_seconds + self.evaluation_seconds + self.saving_seconds

    def as_json(self) -> dict[str, object]:
        """The same as one JSON object."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        warnings = [problem.as_json() for problem in self.warnings]
        return {
            **facts,
            "seconds": self.seconds,
            "is_unsteady": self.is_unsteady,
            "warnings": warnings,
        }


def estimate(job: PreparedRun, run: Path, *, stop: StopRequest) -> Estimate:
    """Measure on the real model and rows; every process of a job calls it.

    Args:
        job: from `prepare_run`.
        run: the folder that the run would have; it is neither made nor read.
        stop: whether a stop was requested.

    Raises:
        TunesmithError: what would also end the run.
    """
    with (
        _scratch_folder(nearest_existing(run.absolute().parent)) as folder,
        opened_session(job, RunFolder(folder), stop=stop) as session,
    ):
        preflight(session)
        largest_seconds = _time_largest(session)
        measured_steps, step_seconds, spread = _time_steps(session)
        plan, device = job.plan, session.accelerator.device
        train_seconds = step_seconds * plan.total_steps
        due = sum(plan.evaluation_due(step) for step in range(1, plan.total_steps + 1))
        evaluation_seconds = _time_evaluations(session, due + 1)  # and the chosen one at the end
        saves = _saves(plan, job.recipe.train.save_every, train_seconds)
        saves += due if job.selection else 0
        saving_seconds, disk_bytes = _time_saving(session, saves)
        with session.engine.plain_model():
            parameters = list(session.network.parameters())
        return Estimate(
            model=job.files.name,
            parameters=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in parameters if p.requires_grad),
            rows={
                name: len(job.examples[name])
                for name in ("train", "validation", "test")
                if name in job.examples
            },
            device=str(device),
            precision=session.precision,
            engine=session.engine_facts,
            batch_size=plan.batch_size,
            micro_batch_size=session.progress.micro_batch_size or plan.micro_batch_size,
            num_processes=plan.num_processes,
            measured_steps=measured_steps,
            step_seconds=step_seconds,
            spread=spread,
            largest_seconds=largest_seconds,
            total_steps=plan.total_steps,
            evaluations=due + 1 if "validation" in job.examples else 0,
            train_seconds=train_seconds,
            evaluation_seconds=evaluation_seconds,
            saving_seconds=saving_seconds,
            peak_bytes=peak_bytes(device),
            memory_bytes=installed_bytes(device),
            disk_bytes=disk_bytes,
            free_bytes=shutil.disk_usage(folder).free,
            warnings=session.take_warnings(),
        )


@contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder of this dry run alone; leftovers of killed ones are deleted."""
    _sweep(parent)
    with atomic.scratch(parent, "dry-run") as folder, hold(folder):
        yield folder


def _sweep(parent: Path) -> None:
    """Delete the folders of dry runs that were killed, whose locks ended with them."""
    for left in parent.glob(".tmp-dry-run-*"):
        if not atomic.is_leftover(left.name) or left.is_symlink() or not left.is_dir():
            continue
        with suppress(OSError, FolderInUseError, ResourceError):
            if time.time() - left.stat().st_mtime > _BEING_MADE_SECONDS:
                with hold_to_move(left):
                    delete_folder(left)


def _time_largest(session: Session) -> float:
    """Seconds of the largest micro-batch there and back; its gradient is thrown away."""
    batch = session.largest_micro_batch()
    started = time.perf_counter()
    float(session.engine.accumulate(batch, 1 / max(1, batch.num_targets), is_last=False))
    seconds = time.perf_counter() - started
    session.engine.discard_gradients()
    return seconds


def _time_steps(session: Session) -> tuple[int, float, float]:
    """Train for a while: how many steps were timed, seconds of a step of usual length, `spread`.

    The first steps of a run are rows in random order; what is left of chance is in their lengths,
    and time goes with them.
    """
    plan, lengths = session.job.plan, session.job.examples["train"].lengths
    if isinstance(session.engine, GraphedEngine):
        session.engine.sync_every = 1  # each step is timed by itself
    stream = train(
        session.engine,
        plan=plan,
        progress=session.progress,
        micro_batches=session.micro_batches,
    )
    times: list[float] = []
    tokens: list[int] = []
    started = time.perf_counter()
    for event in stream:
        took = time.perf_counter() - started
        if isinstance(event, StepDone):
            times.append(took)
            tokens.append(event.tokens)
        is_enough = len(times) >= _WARM_UP + _STEPS and sum(times[_WARM_UP:]) >= _SECONDS
        if sum_over_ranks(session.accelerator, float(is_enough)):  # on one process: all stop
            break
        started = time.perf_counter()
    warm = min(_WARM_UP, len(times) - 1)
    tokens_of_epoch = lengths.sum() / len(lengths) * plan.num_examples
    usual = float(tokens_of_epoch) / plan.steps_per_epoch / plan.num_processes
    seconds = sum(times[warm:]) / max(1, sum(tokens[warm:])) * usual
    rates = np.array(times[warm:]) / np.maximum(1, tokens[warm:])
    low, high = np.quantile(rates, [0.1, 0.9])
    return len(times) - warm, seconds, float(high / low)


def _time_evaluations(session: Session, evaluations: int) -> float:
    """Seconds of all evaluations of the validation rows, and of predicting the test rows once."""
    counts = {"validation": evaluations, "test": 1}
    return sum(
        count * _time_predictions(session, split)
        for split, count in counts.items()
        if split in session.job.examples
    )


def _time_predictions(session: Session, split: str) -> float:
    """Seconds to predict and score a split: of some of its rows, or all if that is quick."""
    plan, whole = session.job.plan, session.job.examples[split]
    order = np.argsort(np.add.reduceat(whole.lengths, whole.row_starts), kind="stable")
    num_rows = len(order)  # whole rows are scored, with all windows of each
    count = min(_FIRST_ROWS, num_rows)
    while True:
        some = whole.of_rows(np.sort(order[np.linspace(0, num_rows - 1, count).astype(np.int64)]))
        started = time.perf_counter()
        evaluation = session.predict(split, some)
        predicted = time.perf_counter()
        if session.job.splits[split].is_labeled:
            session.score(split, evaluation, some)
        scoring = time.perf_counter() - predicted
        seconds = sum_over_ranks(session.accelerator, predicted - started)
        seconds /= plan.num_processes
        share = int(some.lengths.sum()) / int(whole.lengths.sum())
        affordable = min(num_rows, int(count * _SECONDS / seconds))
        if affordable < 2 * count:
            return seconds / share + scoring
        count = affordable


def _saves(plan: Plan, every: Duration | None, train_seconds: float) -> int:
    """How many checkpoints the recipe's interval makes."""
    if every is None:
        return 0
    if every.seconds is not None:
        return int(train_seconds // every.seconds)
    return int(plan.total_steps / in_steps(every, plan.steps_per_epoch) + 1e-9)


def _time_saving(session: Session, saves: int) -> tuple[float, int]:
    """Seconds of so many checkpoints and the model, and bytes of what is kept at the end."""
    seconds, size, weights = 0.0, 0, 0
    if session.accelerator.is_main_process:
        started = time.perf_counter()
        saved = checkpoint.save(session.run.checkpoints, session.engine, session.progress, {})
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in saved.iterdir())
        weights = (saved / "model.safetensors").stat().st_size
    current().meet()
    retained = min(saves, session.job.recipe.train.keep_checkpoints)
    return seconds * (saves + weights / max(size, 1)), retained * size + weights
