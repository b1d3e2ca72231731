"""The plan: everything that depends only on the step is a function of it.

Row order, learning rate, dropout seed and due evaluations are pure functions of (seed, step,
micro-batch). A checkpoint therefore holds weights, optimizer state and one integer, and resuming
has nothing else to restore; and all of it can be printed before training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch
from tunesmith.data.windows import WindowedOrder
from tunesmith.recipe import Duration, Percentage, TrainSettings
from tunesmith.rng import seed_of
from tunesmith.training.learning_rate import learning_rate_at, set_learning_rates
from tunesmith.training.shuffling import BalancedClasses, balanced_examples, row_order

if TYPE_CHECKING:
    import torch

__all__ = [
    "Plan",
    "in_steps",
    "make_plan",
    "reaches_multiple",
]

_SEARCHED_EXAMPLES, _SEARCHED_EPOCHS = 1_000_000, 10_000
"""The examples and epochs that are searched for the largest micro-batch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a recipe and the number of its training examples.

    Attributes:
        num_examples: training examples of one epoch.
        batch_size: examples per optimizer step, over all processes; the last of an epoch may be
            short.
        micro_batch_size: examples per forward pass.
        num_processes: processes that share a step.
        steps_per_epoch: optimizer steps of one pass over the examples.
        total_steps: optimizer steps of the whole run.
        warmup_steps: steps in which the learning rate rises from zero.
        evaluation_interval: steps between evaluations, maybe a fraction; None for never.
        learning_rate: the highest.
        schedule: its course after the warm-up; None if a scheduler writes learning rates into the
            optimizer instead.
        seed: what order and dropout are drawn from.
        classes: the classes to balance; None to take each example once.
        order: of examples that are streamed; None to shuffle all of them together.
    """

    num_examples: int
    batch_size: int
    micro_batch_size: int
    num_processes: int
    steps_per_epoch: int
    total_steps: int
    warmup_steps: int
    evaluation_interval: float | None
    learning_rate: float
    schedule: str | None
    seed: int
    classes: BalancedClasses | None = field(default=None, repr=False, compare=False)
    order: WindowedOrder | None = field(default=None, repr=False, compare=False)

    def epoch_at(self, step: int) -> float:
        """Return the epochs done after `step` steps."""
        return step / self.steps_per_epoch

    def examples_at(self, step: int) -> NDArray[np.int64]:
        """Return the examples of step `step` (from 0), in order, shape (at most batch_size,)."""
        return self._order(*self.positions_at(step))

    def positions_at(self, step: int) -> tuple[int, int, int]:
        """Return the epoch of step `step` (from 0), and its first and last position + 1 there."""
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        start = step_of_epoch * self.batch_size
        return epoch, start, min(start + self.batch_size, self.num_examples)

    def _order(self, epoch: int, start: int, stop: int) -> NDArray[np.int64]:
        """Return positions `start` to `stop` of an epoch's examples."""
        if self.order is not None:
            return self.order.examples(epoch, start, stop)
        order = row_order(self.num_examples, self.seed, epoch, start, stop)
        if self.classes is None:
            return order
        return balanced_examples(self.classes, self.num_examples, self.seed, epoch)[order]

    def micro_batches_at(
        self, step: int, rank: int = 0, *, at_most: int | None = None
    ) -> list[tuple[int, NDArray[np.int64]]]:
        """Return the micro-batches of one process: their number in the step, and their examples.

        The step is split into micro-batches before they are dealt to the processes, so that the
        split, and with it the dropout, does not depend on the number of processes.

        Args:
            step: from 0.
            rank: which process.
            at_most: examples per micro-batch where memory allows fewer than planned.
        """
        examples = self.examples_at(step)
        size = min(self.micro_batch_size, at_most or self.micro_batch_size)
        parts = [examples[i : i + size] for i in range(0, len(examples), size)]
        return [(number, part) for number, part in enumerate(parts)][rank :: self.num_processes]

    def continuing(self, micro_batch_size: int | None) -> Plan:
        """Return the plan for steps after some that were split into micro-batches of that size.

        Smaller ones stay as they are, and the dropout with them, however few processes there are
        now; larger ones become smaller where else a process would have none.

        Args:
            micro_batch_size: examples per forward pass so far; None if that is not known.
        """
        size = min(self.micro_batch_size, micro_batch_size or self.micro_batch_size)
        return replace(self, micro_batch_size=size)

    def batches_at(
        self,
        step: int,
        rank: int,
        make: Callable[[int, NDArray[np.int64], bool], Batch],
        *,
        at_most: int | None,
    ) -> list[tuple[int, Batch]]:
        """Return the micro-batches of one process, made by `make(number, examples, is_dummy)`.

        A process without examples in a short last step gets a dummy, since backward passes are
        collective.
        """
        own = self.micro_batches_at(step, rank, at_most=at_most)
        if own:
            return [(number, make(number, examples, False)) for number, examples in own]
        number = self.num_processes + rank
        return [(number, make(number, self.examples_at(step)[:1], True))]

    def largest_micro_batch(
        self, lengths: NDArray[np.int64], *, at_most: int | None = None, padded: bool
    ) -> NDArray[np.int64]:
        """Return the examples of the micro-batch with the most tokens, of all steps.

        Of a very large run only the first examples and epochs are searched.

        Args:
            lengths: tokens of each example, shape (num_examples,).
            at_most: examples per micro-batch where memory allows fewer than planned.
            padded: whether padding counts.
        """
        size = min(self.micro_batch_size, at_most or self.micro_batch_size)
        largest, most, left = np.zeros(1, dtype=np.int64), 0, _SEARCHED_EXAMPLES
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        for epoch in range(min(epochs, _SEARCHED_EPOCHS)):
            steps = min(self.total_steps - epoch * self.steps_per_epoch, self.steps_per_epoch)
            stop = min(self.num_examples, steps * self.batch_size, left)
            order = self._order(epoch, 0, stop)
            first = np.arange(0, stop, self.batch_size)[:, None]
            starts = (first + np.arange(0, self.batch_size, size)).ravel()
            starts = starts[starts < stop]
            ends = np.minimum(np.append(starts[1:], stop), stop)
            tokens = np.add.reduceat(lengths[order], starts)
            if padded:
                tokens = np.maximum.reduceat(lengths[order], starts) * (ends - starts)
            i = int(tokens.argmax())
            if tokens[i] > most:
                most, largest = int(tokens[i]), order[starts[i] : ends[i]]
            left -= stop
            if left <= 0:
                break
        return largest

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of step `step` (from 0); constant without a schedule."""
        if self.schedule is None:
            return self.learning_rate
        ends = {"warmup": self.warmup_steps, "total": self.total_steps}
        return learning_rate_at(step, self.schedule, learning_rate=self.learning_rate, **ends)

    def set_learning_rates(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Write the learning rate of step `step` (from 0); without a schedule others do."""
        if self.schedule is not None:
            set_learning_rates(optimizer, self.learning_rate_at(step))

    def dropout_seed(self, step: int, micro_batch: int) -> int:
        """Return the seed of one forward pass, 64 well-mixed bits."""
        return seed_of(self.seed, step, micro_batch)

    def draw_seed(self, step: int) -> int:
        """Return the seed of what a task draws for the examples of a step, such as masked words."""
        return seed_of(self.seed, step)

    def as_json(self) -> dict[str, object]:
        """Return the numbers of the plan as plain values."""
        numbers = asdict(replace(self, classes=None, order=None))
        del numbers["classes"], numbers["order"]
        return numbers

    def evaluation_due(self, step: int) -> bool:
        """Return whether validation is scored after `step` steps; always at the end."""
        if self.evaluation_interval is None or step < 1:
            return False
        return step == self.total_steps or reaches_multiple(step, self.evaluation_interval)


def make_plan(
    settings: TrainSettings,
    *,
    num_examples: int,
    num_processes: int = 1,
    classes: BalancedClasses | None = None,
    order: WindowedOrder | None = None,
) -> Plan:
    """Derive the plan. `max_steps` overrides `epochs`; a fraction of warm-up is rounded up.

    Args:
        settings: of training.
        num_examples: training examples.
        num_processes: processes that share each step.
        classes: of the examples, if `settings.sampling` is balanced.
        order: of examples that are streamed.
    """
    steps_per_epoch = math.ceil(num_examples / settings.batch_size)
    total = settings.max_steps or math.ceil(settings.epochs * steps_per_epoch)
    return Plan(
        num_examples=num_examples,
        batch_size=settings.batch_size,
        micro_batch_size=min(
            settings.micro_batch_size or math.ceil(settings.batch_size / num_processes),
            settings.batch_size,
        ),
        num_processes=num_processes,
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
        warmup_steps=_warmup_steps(settings.warmup, total, steps_per_epoch),
        evaluation_interval=(
            in_steps(settings.evaluate_every, steps_per_epoch) if settings.evaluate_every else None
        ),
        learning_rate=settings.learning_rate,
        schedule=settings.schedule,
        seed=settings.seed,
        classes=classes,
        order=order,
    )


def _warmup_steps(warmup: Percentage | Duration | None, total: int, steps_per_epoch: int) -> int:
    if isinstance(warmup, Percentage):
        return math.ceil(warmup.fraction * total)
    return int(in_steps(warmup, steps_per_epoch)) if warmup else 0


def in_steps(duration: Duration, steps_per_epoch: int) -> float:
    """Return a duration in epochs or steps as a number of steps, maybe a fraction."""
    return duration.amount * (steps_per_epoch if duration.unit == "epochs" else 1)


def reaches_multiple(step: int, every: float) -> bool:
    """Return whether a multiple of `every` is in (step - 1, step]; rounded, so thirds come out."""
    return math.floor(step / every + 1e-9) > math.floor((step - 1) / every + 1e-9)
