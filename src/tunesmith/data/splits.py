"""Random splits: seeded, stratified, with equal texts in one split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.near_duplicates import Groups
from tunesmith.rng import seed_of, splitmix64

__all__ = ["random_splits"]

Indices = NDArray[np.int64]


def random_splits(
    text_hashes: NDArray[np.int64],
    strata: NDArray[np.integer[Any]],
    fractions: Sequence[float],
    *,
    seed: int,
) -> list[Indices]:
    """Split rows at random into disjoint parts.

    Rows with equal text stay together, each stratum is split in proportion, and some rows of each
    stratum remain. The part of a row depends on its text, the seed and the fractions, not on its
    position in the file.

    Args:
        text_hashes: of each row, shape (n,); rows with equal hashes stay together.
        strata: of each row, shape (n,); a group of equal texts has that of its first row.
        fractions: of all rows; their sum is below one.
        seed: of the random order.

    Returns:
        The row numbers of each part in rising order, then those of the remaining rows.
    """
    groups = Groups.of(text_hashes)
    stratum = strata[groups.first]
    order = np.lexsort((_shuffled_key(text_hashes[groups.first], seed), stratum))
    part = np.full(len(stratum), len(fractions), dtype=np.int8)
    free = order
    rest = 1.0
    for number, fraction in enumerate(fractions):
        # every 1/fraction-th row along the list of strata: exact in total, in proportion in each
        taken = _reached_whole(groups.sizes[free], fraction / rest)
        part[free[taken]] = number
        free = free[~taken]
        rest -= fraction
    _leave_one_of_each(part, stratum, order, len(fractions))
    by_row = groups.by_row(part)
    del groups, order, free
    return [np.flatnonzero(by_row == number) for number in range(len(fractions) + 1)]


def _reached_whole(sizes: Indices, fraction: float) -> NDArray[np.bool_]:
    """The groups of a list at which a fraction of the rows so far reaches another whole number."""
    reached = sizes.cumsum(dtype=np.float64)
    reached *= fraction
    reached += 0.5
    np.floor(reached, out=reached)
    return np.diff(reached, prepend=0.0) > 0


def _leave_one_of_each(
    part: NDArray[np.int8], stratum: NDArray[np.integer[Any]], order: Indices, remaining: int
) -> None:
    """Return one group of each stratum that was drawn completely to the remaining rows."""
    has_rest = np.isin(stratum, stratum[part == remaining])
    for group in order[~has_rest[order]]:
        if not np.any((stratum == stratum[group]) & (part == remaining)):
            part[group] = remaining


def _shuffled_key(hashes: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A pseudorandom number per hash and seed."""
    return splitmix64(hashes.view(np.uint64) ^ np.uint64(seed_of(seed)))
