"""Linear algebra on one thread, for models too small to share among several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread in a `with` block.

    A step of L-BFGS is a few hundred operations on vectors, after each of which threads wait for
    each other; with torch's threads next to them that takes three to ten times as long. On one
    thread the result does not depend on the number of CPUs either.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
