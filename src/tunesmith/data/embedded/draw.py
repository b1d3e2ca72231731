"""Chance for the embedded data: the same rows from the same seed, on every machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Draw"]

T = TypeVar("T")


class Draw:
    """Chance from a seed, the same on every machine: only `random()` is promised to stay."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def share(self) -> float:
        """A number from 0 to 1."""
        return self._random.random()

    def below(self, stop: int) -> int:
        """A whole number from 0 to `stop` - 1."""
        return int(self._random.random() * stop)

    def pick(self, choices: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the choices."""
        if weights is None:
            return choices[self.below(len(choices))]
        at = self._random.random() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            at -= weight
            if at < 0:
                return choice
        return choices[-1]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        mixed = list(items)
        for i in range(len(mixed) - 1, 0, -1):
            j = self.below(i + 1)
            mixed[i], mixed[j] = mixed[j], mixed[i]
        return mixed
