"""Several batches through a model at once, each with threads of its own.

Threads that share every operation wait for each other after each of them. Threads that each take a
batch do not, and what Python does for one batch runs while another computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["Streams"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 4


class Streams:
    """Threads for batches; a single one is the calling thread."""

    def __init__(self, pool: ThreadPoolExecutor | None, count: int) -> None:
        """Use `start`."""
        self._pool, self._count = pool, count

    @classmethod
    @contextmanager
    def start(cls, *, several: bool, batches: int) -> Iterator[Streams]:
        """Start as many as there are threads for, and share these among them.

        Args:
            several: whether batches may go through the model at once.
            batches: how many there are; few are not worth it.
        """
        threads = torch.get_num_threads()
        count = min(threads, _MOST)
        if not several or count < 2 or batches < 4 * count:
            yield cls(None, 1)
            return
        share = threads // count
        try:
            with ThreadPoolExecutor(
                count, "tunesmith-stream", initializer=lambda: torch.set_num_threads(share)
            ) as pool:
                yield cls(pool, count)
        finally:
            torch.set_num_threads(threads)  # of this thread, and of those that begin later

    def map(
        self, run: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with what `run` returns for it, in order; a few are under way."""
        if self._pool is None:
            for item in items:
                yield item, run(item)
            return
        under_way: deque[tuple[Item, Future[Result]]] = deque()
        try:
            for item in items:
                under_way.append((item, self._pool.submit(run, item)))
                if len(under_way) > self._count:
                    first, future = under_way.popleft()
                    yield first, future.result()
            while under_way:
                first, future = under_way.popleft()
                yield first, future.result()
        finally:
            for _item, future in under_way:
                future.cancel()
