"""From logits of words to entities with scores."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.encoded import Ragged
from tunesmith.tasks.token_classification.answers import mark_rows
from tunesmith.tasks.token_classification.entity_kind import as_objects

LABELS = ("O", "B-A", "I-A")
TEXT = "Ann Lee in Rome"
SPANS = [(0, 3), (4, 7), (8, 10), (11, 11), (11, 15)]


def of_shares(shares: list[list[float]], lengths: list[int]) -> dict[str, Ragged]:
    counts = np.array(lengths, dtype=np.int64)
    spans = [SPANS[i] for length in lengths for i in range(length)]
    return {
        "logits": Ragged(np.log(np.array(shares, dtype=np.float32).reshape(-1, 3)), counts),
        "spans": Ragged(np.array(spans, dtype=np.int32).reshape(-1, 2), counts),
    }


def test_an_entity_is_as_sure_as_its_least_sure_word() -> None:
    shares = [
        [0.1, 0.8, 0.1],
        [0.3, 0.1, 0.6],
        [0.9, 0.05, 0.05],
        [0.1, 0.8, 0.1],
        [0.05, 0.1, 0.85],
    ]
    (marked,) = mark_rows(of_shares([*shares], [5]), LABELS, are_plain=False)
    answer = marked.as_answer(TEXT)
    first, second = answer["label"]  # type: ignore[misc]
    assert first == {
        "start": 0,
        "end": 7,
        "label": "A",
        "text": "Ann Lee",
        "score": pytest.approx(0.6),
    }
    assert second["text"] == "Rome" and second["score"] == pytest.approx(0.8)
    assert answer["score"] == pytest.approx(0.6)


def test_what_begins_inside_does_not_count_strictly() -> None:
    (marked,) = mark_rows(of_shares([[0.1, 0.1, 0.8]], [1]), LABELS, are_plain=False)
    assert marked.as_answer(TEXT)["label"][0]["strict"] is False  # type: ignore[index]


def test_rows_without_words_and_without_entities() -> None:
    empty, outside = mark_rows(of_shares([[0.8, 0.1, 0.1]], [0, 1]), LABELS, are_plain=False)
    assert empty.as_answer(TEXT) == {"label": [], "score": 1.0, "scores": {}}
    assert outside.as_answer(TEXT)["label"] == []
    assert outside.score == pytest.approx(0.8)


def test_each_word_may_have_a_class() -> None:
    shares = [[0.9, 0.05, 0.05], [0.9, 0.05, 0.05]]
    (marked,) = mark_rows(of_shares(shares, [2]), ("N", "V", "X"), are_plain=True)
    assert [entity[:3] for entity in marked.entities] == [(0, 3, "N"), (4, 7, "N")]


def test_known_entities_are_sure() -> None:
    (marked,) = mark_rows({"entities": as_objects([()])}, LABELS, are_plain=False)
    assert marked.as_answer("") == {"label": [], "score": 1.0, "scores": {}}
