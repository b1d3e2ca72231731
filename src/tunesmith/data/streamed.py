"""Training examples of data that is larger than memory or disk: tokenized shard by shard.

The shards of a window are tokenized before its first step, and those of the next one meanwhile. In
the token cache they are sets like others: those used longest ago go when it is full, and are made
again where a later epoch, or a run after a kill, needs them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Examples, Reading
from tunesmith.data.encoded import Prepared, gather
from tunesmith.data.held_out import HeldOut
from tunesmith.data.windows import WindowedOrder

__all__ = ["StreamedExamples", "TokenizedShards"]

_READS_KEPT = 256
"""After so many examples the memory of what was read is released."""


@dataclass
class TokenizedShards:
    """The tokenized shards that training needs now, and a thread that makes the next ones.

    Attributes:
        prepare: returns a shard, from the cache or by tokenizing it.
    """

    prepare: Callable[[int], Prepared]
    _open: dict[int, Prepared] = field(default_factory=dict)
    _thread: threading.Thread | None = None
    _is_closed: bool = False
    _reads: int = 0

    def use(self, needed: Sequence[int], ahead: Sequence[int]) -> None:
        """Open the shards that the next steps read, and let go of others.

        Args:
            needed: by the next step.
            ahead: by steps after those of `needed`; a thread tokenizes them meanwhile.

        Raises:
            DataError: a row cannot be used.
            IntegrityError: a file is not what was indexed (D160).
        """
        if all(shard in self._open for shard in needed):
            return
        self._join()
        for shard in [shard for shard in self._open if shard not in needed]:
            del self._open[shard]
        for shard in needed:
            if shard not in self._open:
                self._open[shard] = self.prepare(shard)
        if missing := [shard for shard in ahead if shard not in self._open]:
            self._thread = threading.Thread(
                target=self._prepare_ahead, args=(missing,), name="tunesmith-shards", daemon=True
            )
            self._thread.start()

    def read(
        self, shards: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[Prepared | None, NDArray[np.bool_]]:
        """Copy some examples into memory.

        Shards that no step uses, as before the first one, are opened.

        Args:
            shards: of each example.
            rows: the number of its row.

        Returns:
            The copies, None if there is none; and which rows they are: some may be left out.
        """
        numbers = np.unique(shards).tolist()
        places, is_there = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
        for shard in numbers:
            if shard not in self._open:
                self._open[shard] = self.prepare(shard)
            own, here = self._open[shard].rows, shards == shard
            places[here] = np.searchsorted(own, rows[here])
            is_there[here] = np.isin(rows[here], own)
        if not is_there.any():
            return None, is_there
        at = np.searchsorted(numbers, shards)
        examples = list(zip(at[is_there].tolist(), places[is_there].tolist(), strict=True))
        copied = gather([self._open[shard] for shard in numbers], examples)
        self._reads += len(examples)
        if self._reads >= _READS_KEPT:
            self._reads = 0
            for prepared in self._open.values():
                prepared.release()
        return copied, is_there

    def close(self) -> None:
        """End the thread after the shard that it is at."""
        self._is_closed = True
        self._join()
        self._open.clear()
        self._is_closed = False

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _prepare_ahead(self, shards: Sequence[int]) -> None:
        for shard in shards:
            if self._is_closed:
                return
            try:
                self.prepare(shard)
            except Exception:  # it is met again, and raised, when the shard is needed
                return


@dataclass(frozen=True, slots=True)
class StreamedExamples(Examples):
    """All training examples, one per row, read from the shards of their window.

    `prepared`, and with it all lengths, is of a sample.

    Attributes:
        order: of the examples; its examples are numbered shard by shard.
        held_out: rows that are no training rows.
        shards: the tokenized ones.
    """

    order: WindowedOrder = field(kw_only=True)
    held_out: HeldOut = field(kw_only=True)
    shards: TokenizedShards = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def num_rows(self) -> int:
        """All training rows."""
        return len(self.order)

    @property
    def sample(self) -> Examples:
        """The tokenized sample."""
        return Examples(self.prepared)

    def use(self, epoch: int, start: int, stop: int, end: int) -> None:
        """Open the shards of some positions of an epoch; see `TokenizedShards.use`.

        Args:
            epoch: from 0.
            start: the first position.
            stop: the last one + 1.
            end: the last one of the run + 1, counted from the start of this epoch.
        """
        self.shards.use(*self.order.shards_at(epoch, start, stop, end))

    def read(self, places: NDArray[np.int64]) -> Reading:
        """Return copies of some examples, in their order, without those that are left out."""
        copied, is_there = self.shards.read(*self._located(places))
        chosen = np.arange(int(is_there.sum()))
        return Reading(copied or self.prepared, chosen, places[is_there])

    def rows_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the source row of some examples."""
        return self._located(np.asarray(places, dtype=np.int64))[1]

    def _located(self, places: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the shard and the source row of some examples."""
        shards, within = self.order.located(places)
        rows = np.empty(len(places), dtype=np.int64)
        for shard in np.unique(shards).tolist():
            chosen = shards == shard
            rows[chosen] = self.held_out.training_rows(shard, within[chosen])
        return shards, rows
