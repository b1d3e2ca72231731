"""Validation and test rows of data that is read shard by shard, by a hash of their numbers.

Each part has exactly its fraction of the rows. Which part a row is in, and which row is the n-th
training row of a shard, follows from its number and the seed; no table of rows is stored. Rows are
held out of a few dozen shards spread over the data, so that few have to be read to find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.rng import permuted, seed_of

__all__ = ["HeldOut"]

_SHARDS = 64
_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class HeldOut:
    """Which rows are held out.

    Attributes:
        sizes: rows of each shard, shape (shards,).
        firsts: the first row of each shard, shape (shards,).
        shares: of each part its rows in each shard, shape (parts, shards).
        seed: of the choice.
    """

    sizes: _Numbers
    firsts: _Numbers
    shares: _Numbers
    seed: int

    @classmethod
    def of(cls, sizes: _Numbers, fractions: Sequence[float], seed: int) -> HeldOut:
        """Hold out fractions of all rows, of each at least one row."""
        total = int(sizes.sum())
        requested = [max(1, round(fraction * total)) for fraction in fractions]
        order = permuted(np.arange(len(sizes)), len(sizes), seed_of(seed, 0))
        enough = 4 * sum(requested)  # at most a quarter of a shard, where there are enough shards
        count = int(np.searchsorted(np.cumsum(sizes[order]), enough)) + 1
        chosen = np.sort(order[: max(count, _SHARDS)])
        left = sizes[chosen].astype(np.int64)
        shares = np.zeros((len(requested), len(sizes)), dtype=np.int64)
        for part, rows in enumerate(requested):
            reached = np.cumsum(left) * min(rows, int(left.sum())) // max(1, int(left.sum()))
            shares[part, chosen] = np.diff(reached, prepend=0)
            left -= shares[part, chosen]
        firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
        return cls(sizes, firsts, shares, seed)

    @property
    def remaining(self) -> _Numbers:
        """Training rows of each shard, shape (shards,)."""
        remaining: _Numbers = self.sizes - self.shares.sum(axis=0)
        return remaining

    def rows(self, part: int) -> _Numbers:
        """Return the numbers of the rows of a part, rising."""
        before = self.shares[:part].sum(axis=0)
        parts_of_shards = [
            self._rows(shard, np.arange(before[shard], before[shard] + self.shares[part, shard]))
            for shard in np.flatnonzero(self.shares[part]).tolist()
        ]
        return (
            np.sort(np.concatenate(parts_of_shards))
            if parts_of_shards
            else np.empty(0, dtype=np.int64)
        )

    def training_rows(self, shard: int, places: _Numbers) -> _Numbers:
        """Return the numbers of some training rows of a shard, of which places count from 0."""
        return self._rows(shard, places + int(self.shares[:, shard].sum()))

    def _rows(self, shard: int, ranks: _Numbers) -> _Numbers:
        first = int(self.firsts[shard])
        if not self.shares[:, shard].any():
            return ranks + first
        return permuted(ranks, int(self.sizes[shard]), seed_of(self.seed, 1, shard)) + first
