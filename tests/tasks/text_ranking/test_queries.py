"""What training rows of a ranking hold, and when nothing can be learned from them."""

from __future__ import annotations

import pytest

from tunesmith.errors import DataError
from tunesmith.tasks.text_ranking.queries import QueryCounts, query_hash


def counted(*queries: list[float]) -> QueryCounts:
    counts = QueryCounts()
    for number, labels in enumerate(queries):
        for label in labels:
            counts.add(f"q {number}", label)
    return counts


def test_grades_and_fractions() -> None:
    counts = counted([0, 1], [3, 0, 0])
    assert (counts.queries, counts.passages, counts.highest) == (2, 5, 3)
    assert counts.relevant_from() == 1 and counts.relevant(1) == 2 and counts.relevant(2) == 1
    assert counted([0.2, 0.8]).relevant_from() == 0.4


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([[0.0, 0.0]], "none of 2 passages is relevant"),
        ([[1.0, 1.0]], "all 2 passages are relevant"),
        ([[1.0, 1.0], [0.0]], "no query has relevant passages and others"),
    ],
)
def test_nothing_to_rank(queries: list[list[float]], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        counted(*queries).check(1.0)
    assert caught.value.problems[0].code == "D204"


def test_queries_without_an_order_are_counted() -> None:
    counts = counted([1, 0], [0, 0], [0], [1])
    counts.check(1.0)
    messages = [(p.code, p.message) for p in counts.warnings(1.0)]
    assert messages == [
        ("D371", "2 of 4 queries have no relevant passage"),
        ("D371", "1 of 4 queries have only relevant passages"),
    ]
    assert not list(counted([1, 0]).warnings(1.0))


def test_queries_are_equal_but_for_case_and_spaces() -> None:
    assert query_hash("Where  is it?") == query_hash("where is it? ") != query_hash("where?")
