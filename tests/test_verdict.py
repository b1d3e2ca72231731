from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.differences import Difference
from tunesmith.metrics import METRICS, Interval, Scores, compute
from tunesmith.statistics import with_intervals
from tunesmith.verdict import COLLAPSED, LEVEL, Verdict, difference_in_words, judge

TRUTH = np.array([1] * 279 + [0] * 129)


def scored(predicted: np.ndarray, truth: np.ndarray = TRUTH, *names: str) -> Scores:
    """With the interval, beside always the most frequent class or the mean."""
    metrics = [METRICS[name] for name in names or ("accuracy", "f1")]
    same = np.full_like(truth, truth.mean() if truth.dtype.kind == "f" else np.median(truth))
    found = with_intervals(compute(metrics, predicted, truth), examples=len(truth))
    return replace(found, baselines={"constant": compute(metrics, same, truth).values})


def flipped(share: float, truth: np.ndarray = TRUTH) -> np.ndarray:
    """Wrong in so many of a hundred rows, alike in all classes."""
    return np.where(np.arange(len(truth)) * 37 % 100 < 100 * share, 1 - truth, truth)


def test_the_same_answer_to_all_is_called_collapsed() -> None:
    verdict = judge(scored(np.ones(408, dtype=int)))
    assert verdict == Verdict(COLLAPSED, 408)
    problem = verdict.problem("validation")
    assert str(problem).startswith(
        "warning M135: validation: collapsed: the model gives the same answer to all 408 rows"
    )
    assert "learning rate" in str(problem.fix)


def test_a_good_model_is_not_judged() -> None:
    assert judge(scored(flipped(0.14))) is None


def test_the_interval_that_reaches_the_majority_is_level_with_it() -> None:
    """Accuracy 0.70 of 408 rows, where always the same gives 0.68."""
    scores = scored(flipped(0.30))
    verdict = judge(scores, by="accuracy")
    assert verdict is not None and verdict.code == LEVEL and verdict.score == "accuracy"
    assert verdict.constant == pytest.approx(0.6838, abs=1e-4)
    assert verdict.low is not None and verdict.low <= verdict.constant
    assert "M136" in str(verdict.problem("test"))
    assert f"{scores['accuracy']:.4f}" in verdict.in_words()
    worse = judge(scored(flipped(0.6)), by="accuracy")
    assert worse is not None and worse.code == LEVEL


def test_guessing_is_found_where_the_constant_scores_nothing() -> None:
    """F1 of always "no" is zero, so any guess beats it; Matthews' coefficient does not."""
    truth = np.arange(400) % 2
    guesses = np.random.default_rng(0).integers(0, 2, 400)
    scores = replace(scored(guesses, truth, "f1"), baselines={"constant": {"f1": 0.0}})
    verdict = judge(scores)
    assert verdict is not None and verdict.score == "matthews_correlation"
    assert verdict.constant == 0.0


def test_a_rare_class_that_is_found_is_worth_something() -> None:
    truth = (np.arange(1000) % 20 == 0).astype(int)
    predicted = np.where(np.arange(1000) % 40 == 0, 1, 0) | (np.arange(1000) % 111 == 1)
    assert judge(scored(predicted.astype(int), truth, "f1", "accuracy")) is None


def test_numbers() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    names = ("pearson", "mean_squared_error")
    assert judge(scored(truth + random.normal(size=200), truth, *names)) is None
    noise = judge(scored(random.normal(size=200), truth, *names))
    assert noise is not None and (noise.score, noise.constant) == ("pearson", 0.0)
    error = judge(scored(random.normal(size=200), truth, *names), by="mean_squared_error")
    assert error is not None and error.score == "mean_squared_error"
    same = judge(scored(np.full(200, 0.3), truth, *names))
    assert same is not None and same.code == COLLAPSED


def test_sets_of_labels() -> None:
    truth = np.random.default_rng(0).integers(0, 2, (100, 3))
    scores = with_intervals(
        compute([METRICS["f1_micro"]], np.ones_like(truth), truth), examples=100
    )
    assert judge(scores) == Verdict(COLLAPSED, 100)


def test_nothing_is_said_without_intervals() -> None:
    assert judge(compute([METRICS["accuracy"]], np.ones(4, int), np.arange(4) % 2)) is None
    assert judge(Scores({"own": 0.3}, {"own": None})) is None


def test_it_is_kept_and_read_again() -> None:
    for verdict in (judge(scored(np.ones(408, int))), judge(scored(flipped(0.3)), by="accuracy")):
        assert verdict is not None
        assert Verdict.from_json(verdict.as_json()) == verdict


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Difference(0.8, 0.9, Interval(0.05, 0.15), is_sure=True), "a difference"),
        (Difference(0.8, 0.81, Interval(-0.01, 0.03), is_sure=False), "not distinguishable"),
        (Difference(0.8, 0.8, Interval(0.0, 0.0), is_sure=False), "the same"),
    ],
)
def test_a_difference_in_words(told: Difference, words: str) -> None:
    assert difference_in_words(told) == words
