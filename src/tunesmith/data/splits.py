"""Drawing shares: seeded, in proportion, with equal texts on one side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.near_duplicates import Groups
from tunesmith.rng import seed_of, splitmix64

__all__ = ["draw_shares"]

Indices = NDArray[np.int64]


def draw_shares(
    text_hashes: NDArray[np.int64],
    strata: NDArray[np.integer[Any]],
    shares: Sequence[float],
    *,
    seed: int,
) -> list[Indices]:
    """Draw disjoint shares of the rows.

    Rows with equal text stay together, each stratum is drawn in proportion, and no stratum is drawn
    empty of the rows that remain. A row's fate hangs on its text, the seed and the share, not on
    its place in the file.

    Args:
        text_hashes: for each row, shape (n,); equal means together.
        strata: for each row, shape (n,); a group of equal texts takes that of its first row.
        shares: fractions of all rows, their sum below one.
        seed: another seed, another draw.

    Returns:
        The row numbers of each share in rising order, then those that remain.
    """
    groups = Groups.of(text_hashes)
    stratum = strata[groups.first]
    order = np.lexsort((_shuffled_key(text_hashes[groups.first], seed), stratum))
    part = np.full(len(stratum), len(shares), dtype=np.int8)
    free = order
    rest = 1.0
    for number, share in enumerate(shares):
        # every 1/share-th row along the list of strata: exact in total, in proportion in each
        taken = _reached_whole(groups.sizes[free], share / rest)
        part[free[taken]] = number
        free = free[~taken]
        rest -= share
    _leave_one_of_each(part, stratum, order, len(shares))
    by_row = groups.by_row(part)
    del groups, order, free
    return [np.flatnonzero(by_row == number) for number in range(len(shares) + 1)]


def _reached_whole(sizes: Indices, share: float) -> NDArray[np.bool_]:
    """The groups along a list at which a share of the rows so far reaches another whole number."""
    reached = sizes.cumsum(dtype=np.float64)
    reached *= share
    reached += 0.5
    np.floor(reached, out=reached)
    return np.diff(reached, prepend=0.0) > 0


def _leave_one_of_each(
    part: NDArray[np.int8], stratum: NDArray[np.integer[Any]], order: Indices, remaining: int
) -> None:
    """Give back a group of each stratum that was drawn whole: what is not seen is not learnt."""
    has_rest = np.isin(stratum, stratum[part == remaining])
    for group in order[~has_rest[order]]:
        if not np.any((stratum == stratum[group]) & (part == remaining)):
            part[group] = remaining


def _shuffled_key(hashes: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A pseudorandom number per hash and seed."""
    return splitmix64(hashes.view(np.uint64) ^ np.uint64(seed_of(seed)))
