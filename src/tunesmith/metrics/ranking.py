"""Scores of rankings: how high the relevant passages of each query come. No torch.

Every score is a mean over queries of a statistic of one query, so intervals and comparisons draw
queries, not passages. Passages with equal scores are in no order: a statistic is its expected value
over all orders of them, by the closed forms of McSherry and Najork, "Computing information
retrieval performance measures efficiently in the presence of tied scores" (ECIR 2008). So the order
of the rows never matters, and a model that gives all passages one score gets what a random order
gets. Queries without a relevant passage are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.metrics.scores import Metric

__all__ = ["DEPTH", "RANKING_METRICS", "Rankings", "rank"]

DEPTH = 10
"""How many of the highest passages `mrr_at_10`, `ndcg_at_10` and `recall_at_10` look at."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_COLUMNS = ("ndcg_at_10", "mrr_at_10", "map", "recall_at_10", "right", "passages")
"""Of `Rankings.statistics`; the last two are counts, of which `accuracy` is made."""


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """The passages of each query in the order of their scores.

    Attributes:
        queries: of all rows, rising, shape (Q,).
        of_row: which of them each row belongs to, shape (n,).
        ranks: the rank of each row among those of its query, from 1; rows with equal scores share
            the mean of their ranks, shape (n,).
        sizes: passages of each query, shape (Q,).
        relevant: relevant passages of each query, shape (Q,).
        statistics: see `_COLUMNS`, shape (Q, 6).
        best_ranks: the rank of the highest relevant passage; infinite without one, shape (Q,).
    """

    queries: Indices
    of_row: Indices
    ranks: Floats
    sizes: Indices
    relevant: Indices
    statistics: Floats
    best_ranks: Floats

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which queries have a relevant passage, shape (Q,)."""
        return self.relevant > 0


def rank(
    scores: NDArray[Any],
    queries: NDArray[np.int64],
    gains: NDArray[Any],
    is_relevant: NDArray[np.bool_],
    is_right: NDArray[np.bool_],
) -> Rankings:
    """Rank the passages of each query.

    Args:
        scores: of each row, shape (n,); the higher, the more relevant.
        queries: a number of the query of each row, shape (n,).
        gains: how relevant each row is, 0 or more, shape (n,), for `ndcg_at_10`.
        is_relevant: which rows count as relevant, shape (n,).
        is_right: which rows are rightly said to be relevant or not, shape (n,).
    """
    names, of_row = np.unique(queries, return_inverse=True)
    of_row = of_row.reshape(-1)
    count = len(names)
    order = np.lexsort((-scores, of_row))
    rows = _Sorted.of(of_row[order], scores[order], is_relevant[order])
    place = rows.place
    discounts = np.where(place < DEPTH, 1 / np.log2(place + 2), 0.0)
    ideal = gains[np.lexsort((-gains, of_row))]
    relevant = rows.sums(is_relevant[order])
    statistics = np.stack(
        [
            _ratio(
                rows.sums(rows.means(gains[order]) * discounts),
                rows.sums(ideal * discounts),
            ),
            _reciprocal_ranks(rows, count),
            _ratio(rows.sums(rows.precisions()), relevant),
            _ratio(rows.sums(rows.share * (place < DEPTH)), relevant),
            rows.sums(is_right[order]),
            rows.sums(np.ones(len(order))),
        ],
        axis=1,
    )
    ranks = np.empty(len(order))
    ranks[order] = rows.ahead + (rows.size + 1) / 2
    best_ranks = np.full(count, np.inf)
    np.minimum.at(best_ranks, of_row[is_relevant], ranks[is_relevant])
    sizes, num_relevant = (values.astype(np.int64) for values in (statistics[:, -1], relevant))
    return Rankings(names, of_row, ranks, sizes, num_relevant, statistics, best_ranks)


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """Rows by query, then by falling score; a run of equal scores of one query is a block.

    Attributes:
        query: of each row.
        block: of each row.
        place: among the rows of its query, from 0.
        ahead: rows of the query in higher blocks.
        size: rows of the block.
        hits: relevant ones of the block.
        before: relevant ones of the query in higher blocks.
    """

    query: Indices
    block: Indices
    place: Indices
    ahead: Indices
    size: Indices
    hits: Floats
    before: Floats

    @classmethod
    def of(cls, query: Indices, scores: NDArray[Any], is_relevant: NDArray[np.bool_]) -> _Sorted:
        sizes = np.bincount(query)
        first = np.cumsum(sizes) - sizes
        is_new = (scores[1:] != scores[:-1]) | (query[1:] != query[:-1])
        block = np.concatenate([np.zeros(min(1, len(query)), np.int64), np.cumsum(is_new)])
        width = np.bincount(block)
        start = (np.cumsum(width) - width)[block]
        up_to = np.concatenate([[0.0], np.cumsum(is_relevant)])
        return cls(
            query,
            block,
            np.arange(len(query)) - first[query],
            start - first[query],
            width[block],
            np.bincount(block, is_relevant)[block],
            up_to[start] - up_to[first[query]],
        )

    @property
    def share(self) -> Floats:
        """How likely a row of its block is relevant, if nothing else is known."""
        return self.hits / self.size

    def sums(self, values: NDArray[Any]) -> Floats:
        """The sum for each query, shape (Q,)."""
        return np.asarray(np.bincount(self.query, values), dtype=np.float64)

    def means(self, values: NDArray[Any]) -> Floats:
        """The mean of its block for each row."""
        means: Floats = np.bincount(self.block, values)[self.block] / self.size
        return means

    def precisions(self) -> Floats:
        """What is expected of the precision at each place where a relevant row is."""
        others = np.divide(
            self.hits - 1, self.size - 1, out=np.zeros(len(self.size)), where=self.size > 1
        )
        so_far = self.before + 1 + (self.place - self.ahead) * others
        precisions: Floats = self.share * so_far / (self.place + 1)
        return precisions


def _reciprocal_ranks(rows: _Sorted, count: int) -> Floats:
    """What is expected of the reciprocal rank of the first relevant row of each query, (Q,)."""
    first = np.flatnonzero((rows.hits > 0) & (rows.before == 0))
    first = first[np.unique(rows.query[first], return_index=True)[1]]
    hits, size, ahead = rows.hits[first], rows.size[first], rows.ahead[first]
    expected, none_yet = np.zeros(len(first)), np.ones(len(first))
    for place in range(DEPTH):
        chance = none_yet * np.clip(hits / np.maximum(size - place, 1), 0.0, 1.0)
        expected += np.where(ahead + place < DEPTH, chance / (ahead + place + 1), 0.0)
        none_yet = none_yet - chance
    by_query = np.zeros(count)
    by_query[rows.query[first]] = expected
    return by_query


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _mean(columns: NDArray[Any], _truth: NDArray[Any], _positive: int, *, column: int) -> float:
    return float(columns[:, column].mean()) if len(columns) else float("nan")


def _accuracy(columns: NDArray[Any], _truth: NDArray[Any], _positive: int) -> float:
    return float(columns[:, -2].sum() / columns[:, -1].sum()) if len(columns) else float("nan")


RANKING_METRICS: Mapping[str, Metric] = {
    **{
        name: Metric(name, ("rankings",), partial(_mean, column=i), by_example=True)
        for i, name in enumerate(_COLUMNS[:4])
    },
    "accuracy": Metric("accuracy", ("rankings",), _accuracy, by_example=True),
}
"""Of the statistics of queries, (Q, 6)."""
