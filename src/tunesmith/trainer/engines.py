"""Which engine trains a model that a person brings, and how its optimizer is made."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import get_scheduler

from tunesmith.batching import Batch
from tunesmith.engine import Engine, ExactEngine, Pass
from tunesmith.errors import Place, Problem, RecipeError
from tunesmith.fast.engine import FAST_DEVICES, FastEngine
from tunesmith.fast.probe import Verdict, probe
from tunesmith.language import gettext as _
from tunesmith.language import mark
from tunesmith.optim import parameter_groups
from tunesmith.plan import Plan
from tunesmith.trainer.fields import refusal
from tunesmith.trainer.rows import is_plain

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = [
    "Followed",
    "Way",
    "is_plain_adamw",
    "make_engine",
    "make_plan",
    "named_optimizer",
    "recompute_activations",
    "scheduler_for",
    "way_for",
]

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
    verdict: Verdict | None = None
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
    if way.verdict is None:
        return ExactEngine(
            model,
            way.run,
            accelerator,
            make_optimizer=optimizer,
            max_grad_norm=args.max_grad_norm,
            has_unused=bool(args.ddp_find_unused_parameters),
        )
    return FastEngine(
        model,
        way.run,
        accelerator,
        make_optimizer=optimizer,
        max_grad_norm=args.max_grad_norm,
        weight_decay=args.weight_decay,
        verdict=way.verdict,
        half=half,
        used_tokens=used_tokens,
    )


def recompute_activations(model: Any, args: Any) -> None:
    """If asked for, compute activations again in the backward pass instead of keeping them."""
    asked = getattr(args, "activation_checkpointing", None) or args.gradient_checkpointing
    if not asked:
        return
    options = getattr(args, "activation_checkpointing_kwargs", None)
    options = options or args.gradient_checkpointing_kwargs or {"use_reentrant": False}
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)(options)


def make_plan(args: Any, *, num_examples: int, num_processes: int) -> Plan:
    """The plan of a Trainer: rows in the order, and learning rates on the course, of transformers.

    `max_steps` overrides `num_train_epochs`; a batch is that of one process and one forward pass.
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
        schedule=_schedule(args, total),
        seed=args.seed if args.data_seed is None else args.data_seed,
    )


def _schedule(args: Any, total_steps: int) -> Callable[[int], float]:
    """The share of the learning rate at a step, by transformers' own schedules."""
    idle = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    share: Callable[[int], float] = scheduler_for(idle, args, total_steps).lr_lambdas[0]
    return share


def scheduler_for(optimizer: torch.optim.Optimizer, args: Any, total_steps: int) -> Any:
    """The scheduler of transformers that the arguments name."""
    return get_scheduler(
        args.lr_scheduler_type,
        optimizer=optimizer,
        num_warmup_steps=args.get_warmup_steps(total_steps),
        num_training_steps=total_steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs,
    )


def is_plain_adamw(args: Any) -> bool:
    """Whether the arguments ask for AdamW as torch has it."""
    return str(args.optim.value) in ("adamw_torch", "adamw_torch_fused") and not args.optim_args


def named_optimizer(
    model: Any, args: Any, chosen: tuple[type[Any], dict[str, Any]] | None
) -> torch.optim.Optimizer:
    """Any optimizer that transformers' Trainer would make by its name, or of a class.

    Args:
        model: whose weights train.
        args: which say `optim` and its options.
        chosen: a class and its arguments, instead of the name.

    Raises:
        RecipeError: it is made of more than parameters (R131).
    """
    kind, options = chosen or transformers.Trainer.get_optimizer_cls_and_kwargs(args, model)
    is_class = isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    if not is_class or {"params", "model", "optimizer_dict"} & options.keys():
        words = mark("only optimizers that are made of parameters alone can be used")
        raise RecipeError(refusal(f"optim={args.optim.value!r}", words))
    made: torch.optim.Optimizer = kind(parameter_groups(model, args.weight_decay), **options)
    return made


class Followed:
    """An optimizer whose learning rates a scheduler of torch sets, group by group.

    Attributes:
        rate: the learning rate of the first group in the last step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
        """Let the scheduler move on with each step of the optimizer.

        Raises:
            RecipeError: a scheduler that waits for scores (R134).
        """
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            raise RecipeError(
                Problem(
                    "R134",
                    _("a scheduler that waits for scores cannot be followed"),
                    Place("optimizers"),
                    fix=_("Pass one that steps by itself, such as LambdaLR or StepLR."),
                )
            )
        self._optimizer, self._scheduler = optimizer, scheduler
        self.rate = float(optimizer.param_groups[0]["lr"])
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def _before(self, *_given: Any) -> None:
        # the engine has written one rate into all groups
        rates = self._scheduler.get_last_lr()
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.rate = float(rates[0])

    def _after(self, *_given: Any) -> None:
        self._scheduler.step()

    def skip(self, steps: int) -> None:
        """Move on to where a checkpoint stood."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch expects a step of the optimizer before
            for _step in range(steps):
                self._scheduler.step()

    def release(self) -> None:
        """Leave optimizer and scheduler to themselves again."""
        for handle in self._handles:
            handle.remove()
