"""The engine of a run, as its recipe asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunesmith.data.batches import make_batch
from tunesmith.recipe import TrainSettings
from tunesmith.runs.prepare import PreparedRun
from tunesmith.training.choose_engine import EngineSelection, TrainingRows, choose_engine
from tunesmith.training.fast.probe import probed_places
from tunesmith.training.memory import OneRowTooLarge
from tunesmith.training.optimizer import make_optimizer

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["make_engine"]


def make_engine(
    network: Any,
    job: PreparedRun,
    accelerator: Accelerator,
    *,
    precision: str,
    note: Callable[[str], None],
) -> EngineSelection:
    """Return the engine that the recipe asks for, or the exact one where the fast one cannot run.

    Args:
        network: on its device, in float32, frozen weights marked.
        job: what is trained.
        accelerator: device and processes.
        precision: "fp32" or "bf16".
        note: called with a line about each part that is computed a slower way.

    Raises:
        OneRowTooLarge: memory does not suffice for a single row (M111).
    """
    settings = job.recipe.train
    try:
        return choose_engine(
            network,
            job.task.forward,
            accelerator,
            rows=_rows(job),
            make_optimizer=lambda: make_optimizer(network, settings),
            max_grad_norm=settings.max_grad_norm,
            half=precision == "bf16",
            note=note,
            exact_because="" if settings.engine == "exact" else None,
            disabled=frozenset(settings.disable),
            enabled=frozenset(settings.enable),
            sync_every=_sync_every(settings),
            has_unused=lambda: _leaves_weights_unused(network, job),
        )
    except OneRowTooLarge as error:
        raise job.placed(error, "train") from None


def _rows(job: PreparedRun) -> TrainingRows:
    examples = job.examples["train"].sample
    sample = probed_places(examples.lengths)
    # what a task draws about rows only the host can do
    plain = make_batch(examples, sample, job.padding)
    is_plain = job.task.corrupt(plain, seed=0) is plain
    return TrainingRows(
        sample,
        job.sample_batch,
        longest=int(examples.lengths.max()),
        token_ids=_used_tokens(job),
        copied=examples if is_plain and job.plan.order is None else None,
    )


def _used_tokens(job: PreparedRun) -> set[int] | None:
    """Return every token that can occur; None if the task may use any."""
    if job.task.uses_full_vocabulary or job.plan.order is not None:
        return None
    used = {int(i) for examples in job.examples.values() for i in examples.prepared.used()}
    return used | {int(i) for i in job.tokenizer.all_special_ids}


def _leaves_weights_unused(network: Any, job: PreparedRun) -> bool:
    """Return whether a backward pass over two rows gives some trained weight no gradient."""
    device = next(network.parameters()).device
    first = np.arange(2) if job.plan.order is not None else job.plan.examples_at(0)[:2]
    loss = job.task.forward(network, job.sample_batch(first).to(device)).loss_sum
    assert loss is not None  # noqa: S101 - training rows have labels, the survey saw to it
    torch.autograd.backward([loss])
    unused = any(p.grad is None for p in network.parameters() if p.requires_grad)
    network.zero_grad(set_to_none=True)
    return unused


def _sync_every(settings: TrainSettings) -> int:
    """Return the steps after which results are needed: for the log, or a checkpoint."""
    every = settings.save_every
    if every is None or every.unit != "steps":
        return settings.log_every
    return math.gcd(settings.log_every, int(every.amount))
