"""Scores of rankings: hand-checkable cases, all orders of ties, scikit-learn, another library."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from tunesmith.metrics import ranking
from tunesmith.metrics.ranking import RANKING_METRICS, Rankings, rank
from tunesmith.metrics.scores import compute
from tunesmith.metrics.uncertainty import intervals


def ranked(scores: list[float], gains: list[float], queries: list[int] | None = None) -> Rankings:
    relevant = np.array(gains) > 0
    numbers = np.zeros(len(scores), np.int64) if queries is None else np.array(queries)
    return rank(np.array(scores), numbers, np.array(gains), relevant, np.array(scores) >= 0)


@pytest.mark.parametrize(
    ("scores", "gains", "expected"),
    [  # ndcg, mrr, map, recall
        ([3, 2, 1], [1, 0, 0], [1, 1, 1, 1]),
        ([1, 2, 3], [1, 0, 0], [0.5, 1 / 3, 1 / 3, 1]),
        ([4, 3, 2, 1], [0, 1, 0, 1],
         [(1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3)), 1 / 2, 1 / 2, 1]),
        ([3, 2, 1], [1, 0, 2], [(1 + 2 / 2) / (2 + 1 / math.log2(3)), 1, (1 + 2 / 3) / 2, 1]),
        ([1, 1], [1, 0], [(1 + 1 / math.log2(3)) / 2, 3 / 4, 3 / 4, 1]),
        ([0] * 3, [1, 0, 0], [(1 + 1 / math.log2(3) + 0.5) / 3, 11 / 18, 11 / 18, 1]),
        ([*range(12, 0, -1)], [0] * 10 + [1, 0], [0, 0, 1 / 11, 0]),
        ([1, 2], [0, 0], [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_cases_by_hand(scores: list[float], gains: list[float], expected: list[float]) -> None:
    assert ranked(scores, gains).statistics[0, :4] == pytest.approx(expected)


def by_all_orders(scores: list[float], gains: list[float], depth: int) -> list[float]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    blocks = [list(block) for _score, block in itertools.groupby(order, key=lambda i: scores[i])]
    ideal = sum(g / math.log2(i + 2) for i, g in enumerate(sorted(gains)[::-1][:depth])) or 1.0
    total, count, relevant = np.zeros(4), 0, sum(gain > 0 for gain in gains) or 1
    for orders in itertools.product(*map(itertools.permutations, blocks)):
        listed = [gains[i] for block in orders for i in block]
        places = [i for i, gain in enumerate(listed) if gain > 0]
        total += [
            sum(gain / math.log2(i + 2) for i, gain in enumerate(listed[:depth])) / ideal,
            1 / (places[0] + 1) if places and places[0] < depth else 0.0,
            sum((j + 1) / (i + 1) for j, i in enumerate(places)) / relevant,
            sum(i < depth for i in places) / relevant,
        ]
        count += 1
    return list(total / count)


def test_equal_scores_count_as_the_mean_of_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "DEPTH", 3)
    random = np.random.default_rng(0)
    for _case in range(60):
        sizes = random.integers(1, 7, size=3)
        scores = [random.integers(0, 3, size).tolist() for size in sizes]
        gains = [random.integers(0, 3, size).tolist() for size in sizes]
        expected = [by_all_orders(s, g, 3) for s, g in zip(scores, gains, strict=True)]
        columns = [*(list(itertools.chain(*one)) for one in (scores, gains))]
        columns.append(np.repeat([5, -7, 2], sizes).tolist())
        order = random.permutation(int(sizes.sum()))
        result = ranked(*([column[i] for i in order] for column in columns))
        for query, statistics in zip((5, -7, 2), expected, strict=True):
            place = result.queries.tolist().index(query)
            assert result.statistics[place, :4] == pytest.approx(statistics)


def test_scikit_learn_computes_the_same() -> None:
    random = np.random.default_rng(1)
    for _case in range(20):
        scores = random.choice([random.normal(size=30), random.integers(0, 5, 30)])
        gains = random.integers(0, 4, 30) * (random.random(30) < 0.4)
        gains[0] = 1
        statistics = ranked(scores.tolist(), gains.tolist()).statistics[0]
        assert statistics[0] == pytest.approx(ndcg_score([gains], [scores], k=10))
        if len(set(scores)) == 30:  # of equal scores it takes the last place
            assert statistics[2] == pytest.approx(average_precision_score(gains > 0, scores))


def test_sentence_transformers_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = pytest.importorskip("sentence_transformers.cross_encoder.evaluation")
    random = np.random.default_rng(2)
    samples = [
        {
            "query": f"q{i}",
            "positive": [f"{i} p{j}" for j in range(1 + i % 3)],
            "negative": [f"{i} n{j}" for j in range(4 + i)],
        }
        for i in range(12)
    ]
    scores: dict[tuple[str, str], float] = {}

    class Model:
        def predict(self, pairs: list[list[str]], **_options: object) -> np.ndarray:
            return np.array([scores.setdefault((q, p), random.normal()) for q, p in pairs])

    monkeypatch.setattr(
        evaluation.CrossEncoderRerankingEvaluator, "store_metrics_in_model_card_data", print
    )
    evaluator = evaluation.CrossEncoderRerankingEvaluator(samples, write_csv=False)
    theirs = evaluator(Model())
    rows = [(q, p, " p" in p) for q, p in scores]
    queries = [int(q[1:]) for q, _p, _label in rows]
    result = ranked([*scores.values()], [float(label) for *_pair, label in rows], queries)
    means = result.statistics.mean(axis=0)
    assert means[:3] == pytest.approx([theirs["ndcg@10"], theirs["mrr@10"], theirs["map"]])


def test_ranks_of_rows() -> None:
    result = ranked([1, 5, 5, 2, 9], [0, 1, 0, 0, 0], [1, 1, 1, 1, 2])
    assert result.ranks.tolist() == [4, 1.5, 1.5, 3, 1]
    assert result.sizes.tolist() == [4, 1]
    assert result.relevant.tolist() == [1, 0]
    assert result.counted.tolist() == [True, False]
    assert result.best_ranks.tolist() == [1.5, np.inf]


def test_intervals_draw_queries() -> None:
    """Twice as many passages of the same queries are no more evidence."""
    random = np.random.default_rng(3)
    queries = np.repeat(np.arange(40), 8)
    gains = np.tile([1.0, *[0.0] * 7], 40)
    scores = random.normal(size=320) + gains
    relevant = gains > 0
    metrics = tuple(RANKING_METRICS.values())
    widths = []
    for copies in (1, 2):
        result = rank(*(np.tile(a, copies) for a in (scores, queries, gains, relevant, relevant)))
        done = compute(
            metrics, result.statistics, result.relevant, groups=result.queries,
            grouped_rows=320 * copies,
        )  # fmt: skip
        assert done.answers is not None and done.answers.num_rows == 320 * copies
        assert set(done.values) == set(RANKING_METRICS)
        by_name = intervals(done.answers, draws=400)
        widths.append(by_name["mrr_at_10"].high - by_name["mrr_at_10"].low)
        for name in ("ndcg_at_10", "mrr_at_10", "map"):
            assert done.values[name] in by_name[name]  # type: ignore[operator]
    assert widths[0] > 0.08 and widths[1] > 0.6 * widths[0]


def test_nothing_to_rank() -> None:
    empty = np.zeros(0)
    result = rank(empty, empty.astype(np.int64), empty, empty > 0, empty > 0)
    assert result.statistics.shape == (0, 6)
    done = compute(tuple(RANKING_METRICS.values()), result.statistics, empty)
    assert set(done.values.values()) == {None}
