"""Which engine computes the steps of a run, and what is said of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.data.batches import Batch, make_batch
from tunesmith.errors import Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.recipe import TrainSettings
from tunesmith.runs.prepare import PreparedRun
from tunesmith.training.engine import Engine, ExactEngine
from tunesmith.training.fast.engine import FAST_DEVICES
from tunesmith.training.fast.graphs.engine import GraphedEngine
from tunesmith.training.fast.probe import ProbeResult, probe, probed_places
from tunesmith.training.fast.select import engine_for
from tunesmith.training.memory import OneRowTooLarge, is_out_of_memory
from tunesmith.training.optimizer import make_optimizer

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Chosen", "make_engine"]


@dataclass(slots=True)
class Chosen:
    """An engine.

    Attributes:
        engine: ready for the first step.
        how: its name, and what its probe found, for `plan.json`.
        is_padded: whether batches go through it with their padding.
        notes: how this model is computed where it is not the fastest way (M122).
    """

    engine: Engine
    how: Mapping[str, object]
    is_padded: bool = True
    notes: list[Problem] = field(default_factory=list)


def make_engine(network: Any, job: PreparedRun, accelerator: Accelerator, *, precision: str) -> Chosen:
    """The engine that the recipe asks for, or the exact one on devices that the fast one lacks.

    Args:
        network: on its device, in float32, frozen weights marked.
        job: what is trained.
        accelerator: device and processes.
        precision: "fp32" or "bf16".

    Raises:
        OneRowTooLarge: memory does not suffice for a single row.
    """
    notes: list[Problem] = []
    device, wanted = accelerator.device.type, job.recipe.train.engine
    if wanted == "fast" and device in FAST_DEVICES:
        return _fast(network, job, accelerator, precision, notes)
    if wanted == "fast":
        words = _("the exact engine is used: the fast one does not know {device}")
        _note(notes, words.format(device=device))
    return Chosen(_exact(network, job, accelerator), {"name": "exact"}, notes=notes)


def _exact(network: Any, job: PreparedRun, accelerator: Accelerator) -> ExactEngine:
    settings = job.recipe.train
    return ExactEngine(
        network,
        job.task.forward,
        accelerator,
        make_optimizer=lambda: make_optimizer(network, settings),
        max_grad_norm=settings.max_grad_norm,
        has_unused=accelerator.num_processes > 1 and _leaves_weights_unused(network, job),
    )


def _fast(
    network: Any, job: PreparedRun, accelerator: Accelerator, precision: str, notes: list[Problem]
) -> Chosen:
    settings = job.recipe.train
    without = frozenset(settings.disable)
    verdict, probed = _probed(network, job, without)
    layout = verdict.exit or ("parts of equal length" if verdict.by_length else "padded")
    how: dict[str, object] = {
        "name": "fast", "layout": layout, "reason": verdict.reason, "without": sorted(without),
    }  # fmt: skip
    if verdict.exit is None and "packing" not in without:
        words = (
            _("batches are cut into parts of nearly equal length; without padding: {reason}")
            if verdict.by_length
            else _("batches stay padded: {reason}")
        )
        _note(notes, words.format(reason=verdict.reason))
    plain = make_batch(job.examples["train"], probed.examples, job.padding)
    engine = engine_for(
        network,
        job.task.forward,
        accelerator,
        make_optimizer=lambda: make_optimizer(network, settings),
        max_grad_norm=settings.max_grad_norm,
        verdict=verdict,
        half=precision == "bf16",
        used_tokens=_used_tokens(job),
        without=without,
        probed=probed,
        examples=job.examples["train"],
        draws=job.task.corrupt(plain, seed=0) is not plain,
        sync_every=_reads_every(settings),
        note=lambda words: _note(notes, words),
    )
    if isinstance(engine, GraphedEngine):
        how |= {"graphs": True, "device_data": engine.has_data}
    return Chosen(engine, how, verdict.exit is None, notes)


def _used_tokens(job: PreparedRun) -> set[int] | None:
    """Every token that can occur; None if the task may show any."""
    if job.task.uses_full_vocabulary:
        return None
    used = {int(i) for found in job.examples.values() for i in found.prepared.used()}
    return used | {int(i) for i in job.tokenizer.all_special_ids}


def _probed(network: Any, job: PreparedRun, without: frozenset[str]) -> tuple[ProbeResult, Batch]:
    """What the probe finds on a few rows, or on fewer if memory does not suffice; and these."""
    places = probed_places(job.examples["train"].lengths)
    device = next(network.parameters()).device
    while True:
        batch = job.batch(0, places)
        try:
            return probe(network, job.task.forward, batch, device, without=without), batch
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if len(places) == 1:
            raise job.placed(OneRowTooLarge(int(places[0]), batch.num_tokens), "train")
        places = places[: len(places) // 2]


def _leaves_weights_unused(network: Any, job: PreparedRun) -> bool:
    """Whether a backward pass over two rows gives some trained weight no gradient."""
    device = next(network.parameters()).device
    loss = job.task.forward(network, job.batch(0, job.plan.examples_at(0)[:2]).to(device)).loss_sum
    assert loss is not None  # noqa: S101 - training rows have labels, the survey saw to it
    torch.autograd.backward([loss])
    unused = any(p.grad is None for p in network.parameters() if p.requires_grad)
    network.zero_grad(set_to_none=True)
    return unused


def _reads_every(settings: TrainSettings) -> int:
    """Steps after which somebody wants to know of them: the log, or a checkpoint due by steps."""
    every = settings.save_every
    if every is None or every.unit != "steps":
        return settings.log_every
    return math.gcd(settings.log_every, int(every.amount))


def _note(notes: list[Problem], words: str) -> None:
    notes.append(Problem("M122", words, severity=Severity.NOTE))
