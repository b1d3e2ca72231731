"""One call of `train()` by our loop: its steps, and the sums that logs are made of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.data.batches import Batch
from tunesmith.interop.trainer.datasets import Rows
from tunesmith.rng import seed_of
from tunesmith.training.engine import Engine, MicroBatch
from tunesmith.training.events import Event, StepDone
from tunesmith.training.loop import train
from tunesmith.training.plan import Plan
from tunesmith.training.progress import Progress

__all__ = ["TrainerSession", "make_plan"]

_ORDERING = ("num_examples", "batch_size", "total_steps", "learning_rate", "seed")
_COUNTED = ("size", "tokens", "flops")


@dataclass
class TrainerSession:
    """Training from `progress` on, in this process.

    Attributes:
        engine: computes the steps; chosen last, when callbacks have heard that training begins.
        plan: order, learning rates, seeds.
        rows: what is trained on.
        rank: of this process.
        flops_per_place: what one token, padding included, costs forward and backward.
        scheduler: has written the learning rates of the next step into the optimizer.
        progress: how far training is.
        left_out: steps of epochs that a callback cut short.
        sums: of losses and steps since the last log and in all, of flops and of tokens.
    """

    engine: Engine = field(init=False)
    plan: Plan
    rows: Rows
    rank: int
    flops_per_place: float
    scheduler: Any
    progress: Progress = field(default_factory=Progress)
    left_out: int = 0
    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(
            ("window_loss", "window_steps", "loss", "flops", "tokens", "size"), 0.0
        )
    )
    _first: tuple[int, float] = (0, 0.0)
    _last: dict[str, float] = field(default_factory=dict)
    _begun: tuple[int, dict[str, float]] = (-1, {})

    def events(self) -> Iterator[Event]:
        """Yield the steps, each computed when it is requested."""
        return train(
            self.engine,
            plan=self.plan,
            progress=self.progress,
            micro_batches=self._micro_batches,
        )

    def _micro_batches(self, step: int) -> list[MicroBatch]:
        plan, position = self.plan, step + self.left_out
        seed = plan.draw_seed(position)

        def make(number: int, examples: NDArray[np.int64], is_dummy: bool) -> Batch:
            return self.rows.batch(examples, seed=seed_of(seed, number), is_dummy=is_dummy)

        batches = plan.batches_at(position, self.rank, make, at_most=self.progress.micro_batch_size)
        self._count(step, [batch for _number, batch in batches if not batch.is_dummy])
        return batches

    def _count(self, step: int, batches: Iterable[Batch]) -> None:
        """Add what goes through the model; a step that is made again counts as its last time."""
        if self._begun[0] == step:
            self.sums.update(self._begun[1])
        self._begun = step, {name: self.sums[name] for name in _COUNTED}
        for batch in batches:
            size = self.rows.size_of(batch)
            self.sums["size"] += size
            self.sums["tokens"] += batch.num_tokens
            self.sums["flops"] += size * self.flops_per_place

    def take(self, event: StepDone) -> None:
        """Add a step to the sums."""
        self.sums["window_loss"] += event.loss
        self.sums["window_steps"] += 1
        self.sums["loss"] += event.loss
        self._last = {"grad_norm": event.grad_norm, "learning_rate": self.learning_rate}

    @property
    def learning_rate(self) -> float:
        """What the scheduler says of the next step, of its first group."""
        return float(self.scheduler.get_last_lr()[0])

    def advance(self, steps: int = 1) -> None:
        """Let the scheduler write the learning rates of a later step."""
        with warnings.catch_warnings():
            # torch expects an update before, which a gradient that is not finite has none of
            warnings.simplefilter("ignore")
            for _step in range(steps):
                self.scheduler.step()

    def logs(self) -> dict[str, float]:
        """What is logged of the steps since the last time; empty if there were none."""
        if not self.sums["window_steps"]:
            return {}
        loss = self.sums["window_loss"] / self.sums["window_steps"]
        self.sums["window_loss"] = self.sums["window_steps"] = 0.0
        return {"loss": loss, **self._last}

    @property
    def epoch(self) -> float:
        """Epochs done, counted in batches of one pass of all processes, as transformers does."""
        plan = self.plan
        wide = plan.micro_batch_size * plan.num_processes
        batches = math.ceil(plan.num_examples / wide)
        whole, steps = divmod(self.position, plan.steps_per_epoch)
        return whole + min(steps * (plan.batch_size // wide), batches) / batches

    @property
    def ends_epoch(self) -> bool:
        """Whether an epoch was just completed, or nothing done yet."""
        return self.position % self.plan.steps_per_epoch == 0

    @property
    def is_over(self) -> bool:
        """Whether all steps are made, or all epochs passed."""
        plan = self.plan
        passes = math.ceil(plan.total_steps / plan.steps_per_epoch)
        out = self.position >= passes * plan.steps_per_epoch
        return out or self.progress.step >= plan.total_steps

    @property
    def position(self) -> int:
        """Steps done and left out: the position in the epochs."""
        return self.progress.step + self.left_out

    @property
    def steps_made(self) -> int:
        """Steps since training began or was resumed."""
        return self.progress.step - self._first[0]

    @property
    def mean_loss(self) -> float:
        """The mean loss of these steps."""
        return (self.sums["loss"] - self._first[1]) / max(1, self.steps_made)

    def end_epoch(self) -> None:
        """Leave out the rest of the epoch."""
        self.left_out += -self.position % self.plan.steps_per_epoch

    def facts(self) -> Mapping[str, Any]:
        """Return what a checkpoint keeps in addition to progress."""
        plan = {name: getattr(self.plan, name) for name in _ORDERING}
        led = {"left_out": self.left_out, "scheduler_steps": self.scheduler.last_epoch}
        return {"sums": self.sums, "plan": plan, **led}

    def go_on(
        self, progress: Progress, facts: Mapping[str, Any]
    ) -> list[tuple[str, object, object]]:
        """Continue from a checkpoint.

        Args:
            progress: of then.
            facts: of then; transformers' own loop, which makes no plan, notes none of them.

        Returns:
            What order and rates depend on and is another now: its name, the value then and now.
        """
        self.progress = progress
        self.left_out = facts.get("left_out", 0)
        self.sums.update(facts.get("sums", {}))
        self._first = progress.step, self.sums["loss"]
        self.advance(facts.get("scheduler_steps", progress.step))
        then = facts.get("plan", {})
        now = {name: getattr(self.plan, name) for name in then}
        return [(name, then[name], now[name]) for name in now if then[name] != now[name]]


def make_plan(args: Any, *, num_examples: int, num_processes: int) -> Plan:
    """Return the plan of a Trainer: rows in the order of transformers.

    A scheduler decides learning rates. `max_steps` overrides `num_train_epochs`; a batch is that of
    one process and one forward pass.
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
