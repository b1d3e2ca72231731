"""The plan: everything that depends only on the step is a function of it.

Row order, learning rate, dropout seed and due evaluations are pure functions of (seed, step,
micro-batch). A checkpoint therefore holds weights, optimizer state and one integer, and resuming
has nothing else to restore; and any of it can be looked at before training.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.recipe import Duration, Percentage, TrainSettings
from tunesmith.rng import seed_of, uniform_at

if TYPE_CHECKING:
    import torch

__all__ = [
    "FEISTEL_FROM",
    "Classes",
    "Plan",
    "in_steps",
    "make_plan",
    "reaches_multiple",
    "row_order",
]

FEISTEL_FROM = 10_000_000
"""From so many examples on, the order is computed and not held: a table would take 80 MB."""

LOOKED_AT = 1_000_000
"""So many examples are looked at to find the largest micro-batch."""
LOOKED_AT_EPOCHS = 10_000
"""And so many epochs, however short."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The examples of each class, for epochs in which all classes have the same share.

    Each class deals out its examples in rounds, every example once in a round, in an order drawn
    anew for it; an epoch takes up each class where the last one left it. So all examples of a class
    are seen equally often, however often that is.

    Attributes:
        members: the examples of each class, each at least one.
    """

    members: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]]) -> Classes:
        """The classes of labels, shape (n,)."""
        order = np.argsort(labels, kind="stable")
        _values, starts = np.unique(labels[order], return_index=True)
        return cls(tuple(np.split(order, starts[1:])))

    def drawn(self, num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """The examples of an epoch, class by class, shape (num_examples,).

        Each class has the same number of places, or one more: what is left over is dealt out in
        turn, also from epoch to epoch.
        """
        count = len(self.members)
        share, left = divmod(num_examples, count)

        def places_before(epoch: int, number: int) -> int:
            return epoch * share + (epoch * left - number + count - 1) // count

        return np.concatenate(
            [
                _dealt(
                    members,
                    places_before(epoch, number),
                    places_before(epoch + 1, number),
                    seed_of(seed, number),
                )
                for number, members in enumerate(self.members)
            ]
        )


def _dealt(members: NDArray[np.int64], start: int, stop: int, seed: int) -> NDArray[np.int64]:
    """Places `start` to `stop` of an endless row of rounds through the members."""
    size = len(members)
    first = start // size
    rounds = np.arange(first, -(-stop // size))
    keys = uniform_at(seed, rounds[:, np.newaxis], np.arange(size)[np.newaxis, :])
    order = keys.argsort(axis=1, kind="stable").ravel()
    return members[order[start - first * size : stop - first * size]]


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
        classes: whose shares are equal in every epoch; None to take each example once.
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
    classes: Classes | None = field(default=None, repr=False, compare=False)

    def epoch_at(self, step: int) -> float:
        """Epochs done after `step` steps."""
        return step / self.steps_per_epoch

    def examples_at(self, step: int) -> NDArray[np.int64]:
        """The examples of step `step` (from 0), in order, shape (at most batch_size,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self.batch_size
        stop = min(start + self.batch_size, self.num_examples)
        return self._order(epoch, start, stop)

    def _order(self, epoch: int, start: int, stop: int) -> NDArray[np.int64]:
        """The examples of an epoch in order, from a place to another."""
        order = row_order(self.num_examples, self.seed, epoch, start, stop)
        if self.classes is None:
            return order
        return _drawn(self.classes, self.num_examples, self.seed, epoch)[order]

    def micro_batches_at(
        self, step: int, rank: int = 0, *, at_most: int | None = None
    ) -> list[tuple[int, NDArray[np.int64]]]:
        """The micro-batches of one process: their number in the whole step, and their examples.

        The step is cut into micro-batches first and dealt out to the processes after, so that the
        cut, and with it the dropout, does not hang on how many processes share it.

        Args:
            step: from 0.
            rank: which process.
            at_most: examples per micro-batch where memory allows fewer than planned.
        """
        examples = self.examples_at(step)
        size = min(self.micro_batch_size, at_most or self.micro_batch_size)
        cut = [examples[i : i + size] for i in range(0, len(examples), size)]
        return [(number, part) for number, part in enumerate(cut)][rank :: self.num_processes]

    def largest_micro_batch(
        self, lengths: NDArray[np.int64], *, at_most: int | None = None, padded: bool
    ) -> NDArray[np.int64]:
        """The examples of the micro-batch with the most tokens, of all steps.

        In a very large run it is that of its first `LOOKED_AT` examples or `LOOKED_AT_EPOCHS`.

        Args:
            lengths: tokens of each example, shape (num_examples,).
            at_most: examples per micro-batch where memory allows fewer than planned.
            padded: whether padding counts.
        """
        size = min(self.micro_batch_size, at_most or self.micro_batch_size)
        largest, most, left = np.zeros(1, dtype=np.int64), 0, LOOKED_AT
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        for epoch in range(min(epochs, LOOKED_AT_EPOCHS)):
            steps = min(self.total_steps - epoch * self.steps_per_epoch, self.steps_per_epoch)
            stop = min(self.num_examples, steps * self.batch_size, left)
            order = self._order(epoch, 0, stop)
            first = np.arange(0, stop, self.batch_size)[:, None]
            starts = (first + np.arange(0, self.batch_size, size)).ravel()
            starts = starts[starts < stop]
            ends = np.minimum(np.append(starts[1:], stop), stop)
            found = lengths[order]
            tokens = np.add.reduceat(found, starts)
            if padded:
                tokens = np.maximum.reduceat(found, starts) * (ends - starts)
            place = int(tokens.argmax())
            if tokens[place] > most:
                most, largest = int(tokens[place]), order[starts[place] : ends[place]]
            left -= stop
            if left <= 0:
                break
        return largest

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of step `step` (from 0), as transformers' schedulers do."""
        return self.learning_rate * (1.0 if self.schedule is None else self._factor(step))

    def set_learning_rates(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Write the learning rate of step `step` (from 0) into each group, times its `lr_scale`."""
        if self.schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate_at(step) * group.get("lr_scale", 1.0)

    def _factor(self, step: int) -> float:
        warmup, total = self.warmup_steps, self.total_steps
        if step < warmup:
            return step / max(1, warmup)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "inverse_sqrt":
            timescale = warmup or 10_000
            return 1.0 / math.sqrt((step - warmup + timescale) / timescale)
        progress = (step - warmup) / max(1, total - warmup)
        if self.schedule == "cosine":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
        if self.schedule == "polynomial":
            end = 1e-7 / self.learning_rate
            return (1 - end) * max(0.0, 1 - progress) + end
        return max(0.0, 1.0 - progress)

    def dropout_seed(self, step: int, micro_batch: int) -> int:
        """The seed of one forward pass, 64 well-mixed bits."""
        return seed_of(self.seed, step, micro_batch)

    def draw_seed(self, step: int) -> int:
        """The seed of what a task draws for the examples of a step, such as hidden words."""
        return seed_of(self.seed, step)

    def as_json(self) -> dict[str, object]:
        """The numbers of the plan as plain values."""
        facts = asdict(replace(self, classes=None))
        del facts["classes"]
        return facts

    def evaluation_due(self, step: int) -> bool:
        """Whether validation is scored once `step` steps are done; always at the end."""
        if self.evaluation_interval is None or step < 1:
            return False
        return step == self.total_steps or reaches_multiple(step, self.evaluation_interval)


def make_plan(
    settings: TrainSettings,
    *,
    num_examples: int,
    num_processes: int = 1,
    classes: Classes | None = None,
) -> Plan:
    """Derive the plan. `max_steps` overrides `epochs`; a share of warm-up is rounded up.

    Args:
        settings: of training.
        num_examples: training examples.
        num_processes: processes that share each step.
        classes: of the examples, if `settings.sampling` is balanced.
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
    )


def _warmup_steps(warmup: Percentage | Duration | None, total: int, steps_per_epoch: int) -> int:
    if isinstance(warmup, Percentage):
        return math.ceil(warmup.fraction * total)
    return int(in_steps(warmup, steps_per_epoch)) if warmup else 0


def in_steps(duration: Duration, steps_per_epoch: int) -> float:
    """A duration in epochs or steps as a number of steps, maybe a fraction."""
    return duration.amount * (steps_per_epoch if duration.unit == "epochs" else 1)


def reaches_multiple(step: int, every: float) -> bool:
    """Whether a multiple of `every` lies in (step - 1, step]; rounded so that thirds come out."""
    return math.floor(step / every + 1e-9) > math.floor((step - 1) / every + 1e-9)


def row_order(num_examples: int, seed: int, epoch: int, start: int, stop: int) -> NDArray[np.int64]:
    """Places `start` to `stop` of the order of an epoch.

    Below `FEISTEL_FROM` this is `torch.randperm` seeded with seed + epoch: what transformers'
    Trainer draws through Accelerate's seedable sampler. Above, a Feistel network with cycle walking
    computes each place alone.
    """
    if num_examples < FEISTEL_FROM:
        return _permutation(num_examples, seed, epoch)[start:stop]
    return _feistel(np.arange(start, stop, dtype=np.uint64), num_examples, seed + epoch)


@lru_cache(maxsize=2)
def _drawn(classes: Classes, num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return classes.drawn(num_examples, seed, epoch)


@lru_cache(maxsize=2)
def _permutation(num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    import torch

    generator = torch.Generator()
    generator.manual_seed(seed + epoch)
    order: NDArray[np.int64] = torch.randperm(num_examples, generator=generator).numpy()
    return order


def _feistel(places: NDArray[np.uint64], size: int, key: int) -> NDArray[np.int64]:
    """A permutation of range(size): six Feistel rounds on the next even power of two.

    A place that falls outside the range walks on until it is inside, which keeps the map
    one-to-one.
    """
    half = np.uint64((max(2, (size - 1).bit_length()) + 1) // 2)
    low = np.uint64((1 << int(half)) - 1)
    keys = [np.uint64(seed_of(key, number)) for number in range(6)]
    walking = places.copy()
    inside = np.zeros(len(places), dtype=bool)
    with np.errstate(over="ignore"):
        while not inside.all():
            left, right = walking[~inside] >> half, walking[~inside] & low
            for round_key in keys:
                splitmix64 = (right + round_key) * np.uint64(0x9E3779B97F4A7C15)
                splitmix64 ^= splitmix64 >> np.uint64(29)
                splitmix64 *= np.uint64(0xBF58476D1CE4E5B9)
                left, right = right, left ^ ((splitmix64 >> np.uint64(32)) & low)
            walking[~inside] = (left << half) | right
            inside = walking < size
    return walking.astype(np.int64)
