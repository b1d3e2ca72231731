"""One call of `train()`: steps from the loop, and the sums that logs are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.chance import seed_of
from tunesmith.engine import Engine
from tunesmith.events import Event, StepDone
from tunesmith.loop import MicroBatch, Progress, train
from tunesmith.plan import Plan
from tunesmith.trainer.engines import Followed
from tunesmith.trainer.rows import Rows

__all__ = ["Stretch"]

_ORDERING = ("num_examples", "batch_size", "total_steps", "learning_rate", "seed")
_COUNTED = ("places", "tokens", "flops")


@dataclass
class Stretch:
    """Training from where `progress` stands, in this process.

    Attributes:
        engine: computes the steps.
        plan: order, learning rates, seeds.
        rows: what is trained on.
        rank: of this process.
        flops_per_place: what one token, padding included, costs forward and backward.
        followed: an optimizer with a scheduler of its own; None if the plan says the rates.
        progress: where training stands.
        sums: of losses and steps since the last log and in all, of flops and of tokens.
    """

    engine: Engine
    plan: Plan
    rows: Rows
    rank: int
    flops_per_place: float
    followed: Followed | None = None
    progress: Progress = field(default_factory=Progress)
    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(
            ("window_loss", "window_steps", "loss", "flops", "tokens", "places"), 0.0
        )
    )
    _last: dict[str, float] = field(default_factory=dict)
    _begun: tuple[int, dict[str, float]] = (-1, {})

    def events(self) -> Iterator[Event]:
        """The steps, made one by one as they are asked for."""
        return train(
            self.engine,
            plan=self.plan,
            progress=self.progress,
            micro_batches=self._micro_batches,
        )

    def _micro_batches(self, step: int) -> list[MicroBatch]:
        plan = self.plan
        seed = plan.draw_seed(step)
        mine = plan.micro_batches_at(step, self.rank, at_most=self.progress.micro_batch_size)
        if not mine:  # a short last batch: keep in step with the others, with nothing that counts
            place = plan.examples_at(step)[:1]
            batch = self.rows.batch(place, seed=seed, counts=False)
            return [(plan.num_processes + self.rank, batch)]
        batches = [
            (number, self.rows.batch(places, seed=seed_of(seed, number))) for number, places in mine
        ]
        self._count(step, batches)
        return batches

    def _count(self, step: int, batches: Iterable[MicroBatch]) -> None:
        """Add what goes through the model; a step that is made again counts as its last time."""
        if self._begun[0] == step:
            self.sums.update(self._begun[1])
        self._begun = step, {name: self.sums[name] for name in _COUNTED}
        for _number, batch in batches:
            ids = batch.inputs.get("input_ids")
            places = 0 if ids is None else ids.numel()
            self.sums["places"] += places
            self.sums["tokens"] += batch.tokens
            self.sums["flops"] += places * self.flops_per_place

    def take(self, event: StepDone) -> None:
        """Add a step to the sums."""
        self.sums["window_loss"] += event.loss
        self.sums["window_steps"] += 1
        self.sums["loss"] += event.loss
        rate = event.learning_rate if self.followed is None else self.followed.rate
        self._last = {"grad_norm": event.grad_norm, "learning_rate": rate}

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
        whole, steps = divmod(self.progress.step, plan.steps_per_epoch)
        return whole + min(steps * (plan.batch_size // wide), batches) / batches

    @property
    def ends_epoch(self) -> bool:
        """Whether an epoch was just completed, or nothing done yet."""
        return self.progress.step % self.plan.steps_per_epoch == 0

    def facts(self) -> Mapping[str, Any]:
        """What a checkpoint keeps besides progress."""
        plan = {name: getattr(self.plan, name) for name in _ORDERING}
        return {"sums": self.sums, "plan": plan}

    def go_on(
        self, progress: Progress, facts: Mapping[str, Any]
    ) -> list[tuple[str, object, object]]:
        """Stand where a checkpoint stood.

        Returns:
            What order and rates hang on and is another now: its name, the value then and now.
        """
        self.progress = progress
        self.sums.update(facts["sums"])
        if self.followed is not None:
            self.followed.skip(progress.step - progress.skipped)
        then = facts["plan"]
        now = {name: getattr(self.plan, name) for name in then}
        return [(name, then[name], now[name]) for name in now if then[name] != now[name]]
