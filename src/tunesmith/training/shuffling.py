"""The order of rows: a pure function of the seed and the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.rng import permuted, seed_of, uniform_at

__all__ = ["FEISTEL_FROM", "BalancedClasses", "balanced_examples", "row_order"]

FEISTEL_FROM = 10_000_000
"""From so many examples on, each position is computed by itself: a table would take 80 MB."""


def row_order(num_examples: int, seed: int, epoch: int, start: int, stop: int) -> NDArray[np.int64]:
    """Return positions `start` to `stop` of the order of an epoch.

    Below `FEISTEL_FROM` this is `torch.randperm` seeded with seed + epoch: what transformers'
    Trainer draws through Accelerate's seedable sampler. Above, a Feistel network with cycle walking
    computes each position by itself.
    """
    if num_examples < FEISTEL_FROM:
        return _permutation(num_examples, seed, epoch)[start:stop]
    return permuted(np.arange(start, stop), num_examples, seed + epoch)


@lru_cache(maxsize=2)
def _permutation(num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    import torch

    generator = torch.Generator()
    generator.manual_seed(seed + epoch)
    order: NDArray[np.int64] = torch.randperm(num_examples, generator=generator).numpy()
    return order


@dataclass(frozen=True, eq=False)
class BalancedClasses:
    """The examples of each class, for epochs in which all classes are equally frequent.

    Each class deals its examples in rounds, every example once in a round, in a new order each
    time; an epoch continues each class where the last epoch ended. So all examples of a class are
    seen equally often.

    Attributes:
        members: the examples of each class, each at least one.
    """

    members: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]]) -> BalancedClasses:
        """Group the examples by their labels, shape (n,)."""
        order = np.argsort(labels, kind="stable")
        _values, starts = np.unique(labels[order], return_index=True)
        return cls(tuple(np.split(order, starts[1:])))

    def drawn(self, num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the examples of an epoch, class by class, shape (num_examples,).

        Each class gets the same number of examples, or one more: the remainder is dealt in turn,
        also from epoch to epoch.
        """
        count = len(self.members)
        per_class, remainder = divmod(num_examples, count)

        def dealt_before(epoch: int, number: int) -> int:
            return epoch * per_class + (epoch * remainder - number + count - 1) // count

        return np.concatenate(
            [
                _dealt(
                    members,
                    dealt_before(epoch, number),
                    dealt_before(epoch + 1, number),
                    seed_of(seed, number),
                )
                for number, members in enumerate(self.members)
            ]
        )


def _dealt(members: NDArray[np.int64], start: int, stop: int, seed: int) -> NDArray[np.int64]:
    """Return items `start` to `stop` of endless rounds through the members."""
    size = len(members)
    first = start // size
    rounds = np.arange(first, -(-stop // size))
    keys = uniform_at(seed, rounds[:, np.newaxis], np.arange(size)[np.newaxis, :])
    order = keys.argsort(axis=1, kind="stable").ravel()
    return members[order[start - first * size : stop - first * size]]


@lru_cache(maxsize=2)
def balanced_examples(
    classes: BalancedClasses, num_examples: int, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Return `classes.drawn`, kept for the latest epochs."""
    return classes.drawn(num_examples, seed, epoch)
