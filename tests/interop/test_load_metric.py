from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

import tunesmith as ts
from tunesmith.errors import RecipeError
from tunesmith.interop.load_metric import GLUE_SCORES, SCORES, load_metric
from tunesmith.metrics.scores import GLUE

COURSE = [(1, 1)] * 260 + [(1, 0)] * 39 + [(0, 1)] * 19 + [(0, 0)] * 90
"""Predictions and truths that give the figures of the course's chapter 3."""


def test_the_courses_own_figures() -> None:
    predictions, references = zip(*COURSE, strict=True)
    scores = ts.load_metric("glue", "mrpc").compute(predictions=predictions, references=references)
    assert scores["accuracy"] == 0.8578431372549019
    assert scores["f1"] == pytest.approx(0.8996539792387542, rel=1e-15)


binary = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


@given(binary, st.integers(1, 7))
def test_batch_by_batch_is_all_at_once(pairs: list[tuple[int, int]], size: int) -> None:
    metric = load_metric("glue", "mrpc")
    predictions, references = map(list, zip(*pairs, strict=True))
    whole = metric.compute(predictions=predictions, references=references)
    for start in range(0, len(pairs), size):
        part = slice(start, start + size)
        metric.add_batch(
            predictions=torch.tensor(predictions[part]), references=np.array(references[part])
        )
    assert metric.compute() == whole
    for prediction, truth in pairs:
        metric.add(prediction=prediction, reference=truth)
    assert metric.compute() == whole


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
def test_options_reach_the_score(average: str | None) -> None:
    predictions, references = [0, 1, 2, 2, 1, 0], [0, 2, 2, 1, 1, 0]
    scores = load_metric("f1").compute(
        predictions=predictions, references=references, average=average
    )
    expected = reference.f1_score(references, predictions, average=average)
    np.testing.assert_allclose(scores["f1"], expected)


def test_numbers() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=30)
    guess = truth + random.normal(size=30)
    scores = load_metric("glue", "stsb").compute(predictions=guess, references=truth)
    assert scores == {
        "pearson": pytest.approx(stats.pearsonr(guess, truth).statistic),
        "spearmanr": pytest.approx(stats.spearmanr(guess, truth).statistic),
    }
    (error,) = load_metric("mse").compute(predictions=guess, references=truth).values()
    assert error == pytest.approx(np.mean((guess - truth) ** 2))


@pytest.mark.parametrize("name", [*SCORES, *(f"glue/{config}" for config in GLUE_SCORES)])
def test_every_name_scores(name: str) -> None:
    set_, _slash, config = name.partition("/")
    pairs: dict[str, Any] = {"predictions": [0, 1, 1, 0], "references": [0, 1, 0, 0]}
    scores = load_metric(set_, config or None).compute(**pairs)
    assert all(np.isfinite(value) for value in scores.values())


def test_every_glue_set_of_ours_is_known() -> None:
    assert set(GLUE) <= set(GLUE_SCORES)


def test_what_cannot_be_scored_is_reported() -> None:
    with pytest.raises(RecipeError, match="R119"):
        load_metric("f1").compute()
    with pytest.raises(RecipeError, match="R119"):
        load_metric("f1").compute(predictions=[1])
    with pytest.raises(TypeError, match="avrage"):
        load_metric("f1").compute(predictions=[1], references=[1], avrage="macro")
    with pytest.raises(RecipeError, match="R118"):
        load_metric("f1").add_batch(predictions=[1, 0], references=[1])
    with pytest.raises(RecipeError, match="glue/mrpc"):
        load_metric("glue", "mrcp")
    with pytest.raises(RecipeError, match='did you mean "accuracy"'):
        load_metric("acuracy")
