"""Which engine trains a model that a person brings, and how its optimizer is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tunesmith.data.batches import Batch
from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer.datasets import is_plain
from tunesmith.training.engine import Engine, ExactEngine, Pass
from tunesmith.training.fast.engine import FAST_DEVICES, FastEngine
from tunesmith.training.fast.probe import ProbeResult, probe
from tunesmith.training.plan import Plan

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Way", "make_engine", "make_plan", "way_for"]

_PACKED = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is run.

    Attributes:
        run: one pass.
        verdict: what the probe found; None for the exact engine.
        reason: why it is the exact one, in words.
    """

    run: Pass
    verdict: ProbeResult | None = None
    reason: str = ""

    @property
    def is_fast(self) -> bool:
        """Whether the fast engine or its forward pass takes it."""
        return self.verdict is not None


def way_for(
    run: Pass, model: Any, batch: Batch, device: torch.device, *, collate: object, trains: bool
) -> Way:
    """The fastest way that agrees with the exact one on some rows.

    Args:
        run: one pass.
        model: on its device.
        batch: a few rows on the CPU, labelled if `trains`.
        device: of the model.
        collate: what made the batch.
        trains: whether gradients must agree, too.
    """
    if reason := _against_fast(model, batch, device, collate):
        return Way(run, None, reason)
    # torch's ragged kernels would have to be rehearsed in the precision of training
    without = frozenset({"varlen"} if trains else ())
    return Way(run, probe(model, run, batch, device, trains=trains, without=without))


def _against_fast(model: Any, batch: Batch, device: torch.device, collate: object) -> str:
    """Why the fast engine cannot take a model, in words; empty if it may be tried."""
    if device.type not in FAST_DEVICES:
        return _("it does not know {device}").format(device=device.type)
    if not is_plain(collate):
        return _("the collator may change the rows")
    if missing := {"input_ids", "attention_mask"} - batch.inputs.keys():
        return _("the rows have no {names}").format(names=", ".join(sorted(missing)))
    if more := batch.inputs.keys() - _PACKED:
        return _("the model is given more than token ids: {names}").format(
            names=", ".join(sorted(more))
        )
    if any(p.dtype != torch.float32 for p in model.parameters()):
        return _("the weights are not float32")
    return ""


def make_engine(
    way: Way,
    model: Any,
    accelerator: Accelerator,
    args: Any,
    *,
    optimizer: Callable[[], torch.optim.Optimizer],
    half: bool,
    used_tokens: set[int] | None,
) -> Engine:
    """The engine for a way.

    Args:
        way: from `way_for`.
        model: on its device.
        accelerator: for the exact engine in the precision of training.
        args: of the Trainer.
        optimizer: makes it once the weights are those that train.
        half: whether to compute in bfloat16.
        used_tokens: every token id that occurs; None to keep the whole table.
    """
    limit = args.max_grad_norm if args.max_grad_norm and args.max_grad_norm > 0 else None
    if way.verdict is None:
        return ExactEngine(
            model,
            way.run,
            accelerator,
            make_optimizer=optimizer,
            max_grad_norm=limit,
            has_unused=bool(args.ddp_find_unused_parameters),
        )
    return FastEngine(
        model,
        way.run,
        accelerator,
        make_optimizer=optimizer,
        max_grad_norm=limit,
        verdict=way.verdict,
        half=half,
        used_tokens=used_tokens,
    )


def make_plan(args: Any, *, num_examples: int, num_processes: int) -> Plan:
    """The plan of a Trainer: rows in the order of transformers.

    Learning rates are no part of it: a scheduler writes them into the optimizer. `max_steps`
    overrides `num_train_epochs`; a batch is that of one process and one forward pass.
    """
    micro = args.per_device_train_batch_size
    size = micro * args.gradient_accumulation_steps * num_processes
    steps = math.ceil(num_examples / size)
    total = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * steps)
    return Plan(
        num_examples=num_examples,
        batch_size=size,
        micro_batch_size=micro,
        num_processes=num_processes,
        steps_per_epoch=steps,
        total_steps=total,
        warmup_steps=args.get_warmup_steps(total),
        evaluation_interval=None,  # callbacks decide
        learning_rate=args.learning_rate,
        schedule=None,
        # as Accelerate's sampler takes it: a script may have seeded torch since the Trainer did
        seed=torch.initial_seed() if args.data_seed is None else args.data_seed,
    )
