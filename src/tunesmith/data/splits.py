"""Random splits: seeded, stratified, with equal texts, and rows of one group, in one split."""

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
    groups: NDArray[np.int64] | None = None,
) -> list[Indices]:
    """Split rows at random into disjoint parts.

    Rows with equal text stay together, each stratum is split in proportion, and some rows of each
    stratum remain. The part of a row depends on its text, the seed and the fractions, not on its
    position in the file. Rows of one group stay together as well, and then parts are in proportion
    as far as the sizes of groups allow.

    Args:
        text_hashes: of each row, shape (n,); rows with equal hashes stay together.
        strata: of each row, shape (n,); a group of equal texts has that of its first row.
        fractions: of all rows; their sum is below one.
        seed: of the random order.
        groups: hashes of the group of each row, shape (n,); a group has the stratum of most of
            its rows.

    Returns:
        The row numbers of each part in rising order, then those of the remaining rows.
    """
    if groups is not None:
        return _grouped_splits(_joined(text_hashes, groups), strata, fractions, seed=seed)
    texts = Groups.of(text_hashes)
    stratum = strata[texts.first]
    order = np.lexsort((_shuffled_key(text_hashes[texts.first], seed), stratum))
    part = np.full(len(stratum), len(fractions), dtype=np.int8)
    free = order
    rest = 1.0
    for number, fraction in enumerate(fractions):
        # every 1/fraction-th row along the list of strata: exact in total, in proportion in each
        taken = _reached_whole(texts.sizes[free], fraction / rest)
        part[free[taken]] = number
        free = free[~taken]
        rest -= fraction
    _leave_one_of_each(part, stratum, order, len(fractions))
    by_row = texts.by_row(part)
    del texts, order, free
    return [np.flatnonzero(by_row == number) for number in range(len(fractions) + 1)]


def _grouped_splits(
    hashes: Indices,
    strata: NDArray[np.integer[Any]],
    fractions: Sequence[float],
    *,
    seed: int,
) -> list[Indices]:
    """Draw groups of rows with equal hashes, of which some may be large.

    Within a stratum the largest come first, by powers of two: what they are too large to give is
    made up for by smaller ones, and a part has groups of all sizes that fit into it.
    """
    groups = Groups.of(hashes)
    stratum = _most_frequent(groups, strata)
    size_class = np.frexp(groups.sizes.astype(np.float64))[1]
    key = _shuffled_key(hashes[groups.first], seed)
    order = np.lexsort((key, -size_class, stratum))
    part = np.full(len(stratum), len(fractions), dtype=np.int8)
    free, rest = order, 1.0
    for number, fraction in enumerate(fractions):
        taken = _nearest_to(groups.sizes[free], fraction / rest)
        part[free[taken]] = number
        free = free[~taken]
        rest -= fraction
    _leave_one_of_each(part, stratum, order, len(fractions))
    by_row = groups.by_row(part)
    return [np.flatnonzero(by_row == number) for number in range(len(fractions) + 1)]


def _nearest_to(sizes: Indices, fraction: float) -> NDArray[np.bool_]:
    """The groups of a list whose taking brings the rows taken nearer to a fraction of those so far.

    For groups of one row these are the ones of `_reached_whole`.
    """
    taken = np.zeros(len(sizes), dtype=np.bool_)
    rows = 0
    for i, (size, reached) in enumerate(zip(sizes.tolist(), sizes.cumsum().tolist(), strict=True)):
        if reached * fraction + size / 2 >= rows + size:
            taken[i] = True
            rows += size
    return taken


def _joined(texts: Indices, groups: Indices) -> Indices:
    """One hash for rows that a chain of equal texts and equal groups connects: its least."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    by_text, by_group = Groups.of(texts), Groups.of(groups)
    text = by_text.by_row(np.arange(len(by_text.first)))
    group = by_group.by_row(np.arange(len(by_group.first))) + len(by_text.first)
    count = len(by_text.first) + len(by_group.first)
    edges = coo_array((np.ones(len(text), np.int8), (text, group)), shape=(count, count))
    chain = connected_components(edges, directed=False)[1][group]
    least = np.full(int(chain.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, chain, groups)
    joined: Indices = least[chain]
    return joined


def _most_frequent(groups: Groups, strata: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """The stratum of most rows of each group, the lowest of several."""
    number = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    pairs, counts = np.unique(
        np.stack([number, strata[groups.order]], axis=1), axis=0, return_counts=True
    )
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    first = np.searchsorted(pairs[order, 0], np.arange(len(groups.sizes)))
    frequent: NDArray[np.integer[Any]] = pairs[order][first, 1]
    return frequent


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
