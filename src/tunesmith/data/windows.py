"""The order of data that is read shard by shard: shuffled shards, and shuffled rows of a window.

A window is some shards that are neighbors in the order of an epoch. Its rows are shuffled as one,
so that training needs only these shards at a time. Which row comes at a position is a function of
(seed, epoch, position): what is stored grows with the number of shards, not with that of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunesmith.rng import permuted, seed_of

__all__ = ["WindowedOrder"]

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The shards of an epoch in their order.

    Attributes:
        shards: their numbers.
        ends: the examples up to the end of each.
        bounds: where each window begins among the shards, and the end of the last.
        starts: the examples before each window, and all of them.
    """

    shards: _Numbers
    ends: _Numbers
    bounds: _Numbers
    starts: _Numbers


@dataclass(frozen=True)
class WindowedOrder:
    """Which example comes at each position of each epoch; every example once per epoch.

    Attributes:
        counts: examples of each shard, some maybe none, shape (shards,).
        window: examples that are shuffled together, about.
        seed: of the order.
        least_shards: of a window, where shards are large.
    """

    counts: _Numbers
    window: int
    seed: int
    least_shards: int = 8
    _epochs: dict[int, _Epoch] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    @cached_property
    def _firsts(self) -> _Numbers:
        """The number of the first example of each shard, and of all."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts, dtype=np.int64)])

    @property
    def num_windows(self) -> int:
        """Windows of an epoch."""
        if not len(self):
            return 0
        whole = max(1, round(len(self) / self.window))
        return max(1, min(whole, len(self.counts) // self.least_shards))

    def examples(self, epoch: int, start: int, stop: int) -> _Numbers:
        """Return the examples at positions `start` to `stop` of an epoch."""
        order = self._epoch(epoch)
        positions = np.arange(start, min(stop, len(self)), dtype=np.int64)
        window_of = np.searchsorted(order.starts, positions, side="right") - 1
        ranks = np.empty(len(positions), dtype=np.int64)
        for window in np.unique(window_of).tolist():
            chosen = window_of == window
            first, end = order.starts[window], order.starts[window + 1]
            key = seed_of(self.seed, epoch, window)
            ranks[chosen] = first + permuted(positions[chosen] - first, int(end - first), key)
        place = np.searchsorted(order.ends, ranks, side="right")
        shards = order.shards[place]
        within = ranks - (order.ends[place] - self.counts[shards])
        return self._firsts[shards] + within

    def shards_at(
        self, epoch: int, start: int, stop: int, end: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Return the shards that positions `start` to `stop` need, and those of the next window.

        The shards of a window are needed together, whichever of its rows come first. There is no
        next window from position `end` on, if that is given.
        """
        order = self._epoch(epoch)
        last = min(stop, len(self)) - 1
        first_window, last_window = np.searchsorted(order.starts, [start, last], side="right") - 1
        needed = order.shards[order.bounds[first_window] : order.bounds[last_window + 1]]
        if end is not None and order.starts[last_window + 1] >= end:
            return self._with_rows(needed), []
        following = order
        if last_window + 1 < self.num_windows:
            begin = last_window + 1
        else:
            following, begin = self._epoch(epoch + 1), 0
        ahead = following.shards[following.bounds[begin] : following.bounds[begin + 1]]
        return self._with_rows(needed), self._with_rows(ahead)

    def located(self, examples: _Numbers) -> tuple[_Numbers, _Numbers]:
        """Return the shard of each example, and its number within."""
        shards = np.searchsorted(self._firsts, examples, side="right") - 1
        return shards, examples - self._firsts[shards]

    def _with_rows(self, shards: _Numbers) -> list[int]:
        return [shard for shard in shards.tolist() if self.counts[shard]]

    def _epoch(self, epoch: int) -> _Epoch:
        if epoch not in self._epochs:
            count = len(self.counts)
            shards = permuted(np.arange(count), count, seed_of(self.seed, epoch))
            ends = np.cumsum(self.counts[shards], dtype=np.int64)
            windows = self.num_windows
            bounds = np.arange(windows + 1, dtype=np.int64) * count // max(1, windows)
            starts = np.concatenate([np.zeros(1, np.int64), ends])[bounds]
            for old in [one for one in self._epochs if one not in (epoch - 1, epoch + 1)]:
                del self._epochs[old]
            self._epochs[epoch] = _Epoch(shards, ends, bounds, starts)
        return self._epochs[epoch]
