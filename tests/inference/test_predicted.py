"""Answers and numbers of several parts fit together row by row."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.rows import Row
from tunesmith.inference.predicted import (
    Predicted,
    PredictedPart,
    joined,
    mean_loss,
    with_empty_answers,
)
from tunesmith.training.predict import Evaluation


def part(count: int, *, loss: float | None = None, targets: int = 0) -> PredictedPart:
    logits = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    ids = np.arange(count)
    rows = [Row(i, {}) for i in range(count)]
    answers = [{"label": str(i), "score": 1.0, "scores": {}} for i in range(count)]
    return PredictedPart(
        rows, answers, Evaluation({"logits": logits, "ids": ids}, loss, targets), None
    )


def test_empty_answers_in_their_places() -> None:
    rows = [Row(i, {}) for i in range(10, 15)]
    done = with_empty_answers(part(3), rows, {10: "D310", 13: "D311"})
    assert [answer["label"] for answer in done.answers] == [None, "0", "1", None, "2"]
    assert [answer.get("problem") for answer in done.answers] == ["D310", None, None, "D311", None]
    assert done.rows == rows
    assert done.evaluation is not None
    logits, ids = done.evaluation.predictions["logits"], done.evaluation.predictions["ids"]
    assert np.isnan(logits).all(axis=1).tolist() == [True, False, False, True, False]
    assert logits[[1, 2, 4]].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert logits.dtype == np.float32
    assert ids.tolist() == [-1, 0, 1, -1, 2]


def test_parts_without_any_prediction() -> None:
    nothing = with_empty_answers(None, [Row(0, {}), Row(1, {})], {0: "D310", 1: "D310"})
    assert nothing.evaluation is None
    assert [answer["problem"] for answer in nothing.answers] == ["D310", "D310"]
    whole = joined([nothing, part(1), nothing])
    assert np.isnan(whole["logits"][:, 0]).tolist() == [True, True, False, True, True]
    assert whole["ids"].tolist() == [-1, -1, 0, -1, -1]
    assert joined([nothing]) == {}
    assert joined([part(2), part(1)])["ids"].tolist() == [0, 1, 0]


def test_the_mean_is_over_targets() -> None:
    nothing = with_empty_answers(None, [Row(0, {})], {0: "D310"})
    parts = [part(1, loss=1.0, targets=1), nothing, part(3, loss=3.0, targets=3)]
    assert mean_loss(parts) == pytest.approx((1 * 1 + 3 * 3) / 4)


def test_a_sequence_of_answers() -> None:
    answers = part(2).answers
    result = Predicted(answers, joined([part(2)]), None, None)
    assert len(result) == 2
    assert list(result) == [result[0], result[1]] == list(answers)
    assert result.logits.shape == (2, 2)


def test_the_first_answers_in_a_notebook() -> None:
    answers = [
        {"label": "a<b>", "score": 0.51239, "scores": {}},
        {"label": ["x", "y"], "score": 0.75, "scores": {}},
        {"label": None, "score": 0.4, "scores": {}},
        {"label": None, "score": None, "scores": None, "problem": "D310"},
    ] * 3
    texts = [{"text": "word " * 40, "other": None}] * 11
    result = Predicted(answers, {}, None, None, texts)
    html = result._repr_html_()
    assert repr(result) == "Predicted(12 answers)"
    rows = html.split("<tr>")[1:]
    assert len(rows) == 11
    assert "<caption>12 rows</caption>" in html
    assert ">a&lt;b&gt;</td>" in rows[1] and ">0.5124</td>" in rows[1]
    assert ">x, y</td>" in rows[2]
    assert ">abstained</td>" in rows[3] and ">0.4000</td>" in rows[3]
    assert ">D310</td>" in rows[4] and "None" not in html
    assert rows[1].count("word") == 24 and "word…" in rows[1]
    assert ">a&lt;b&gt;</td>" in Predicted(answers, {}, None, None)._repr_html_()
