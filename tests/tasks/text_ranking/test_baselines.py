"""BM25, compared with its formula for each word."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunesmith.tasks.text_ranking.baselines import bm25


def by_the_formula(query: str, passage: str, passages: list[str]) -> float:
    count = len(passages)
    mean = sum(len(text.split()) for text in passages) / count
    total = 0.0
    for word in query.split():
        frequency = sum(word in text.split() for text in passages)
        idf = math.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
        times = passage.split().count(word)
        norm = 1.2 * (1 - 0.75 + 0.75 * len(passage.split()) / mean)
        total += idf * times / (times + norm)
    return total


def test_bm25() -> None:
    passages = ["the soup was cold cold soup", "hot tea", "the tea was cold and the soup hot"]
    pairs = [(query, text) for query in ("cold soup", "the the tea", "salt") for text in passages]
    expected = [by_the_formula(*pair, passages) for pair in pairs]
    assert bm25(pairs, []) == pytest.approx(expected, rel=1e-5)
    more = bm25(pairs, ["a tea", "hot tea"])
    assert more == pytest.approx(
        [by_the_formula(*pair, [*passages, "a tea"]) for pair in pairs], rel=1e-5
    )
    assert np.count_nonzero(bm25([("汤是凉的", "汤凉了")], ["茶是热的"])) == 1
    assert bm25([("?", "!")], []).tolist() == [0.0]
