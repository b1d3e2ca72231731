from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tunesmith.errors import RecipeError
from tunesmith.metrics.scores import GLUE, METRICS, Scores, choose_metrics, compute, scoring

pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=st.integers(0, 2)),
        hnp.arrays(np.int64, n, elements=st.integers(0, 2)),
    )
)


def one(name: str, predicted: object, truth: object, positive: int = 1) -> float | None:
    return compute([METRICS[name]], np.array(predicted), np.array(truth), positive=positive)[name]


def brute_f1(predicted: np.ndarray, truth: np.ndarray, label: int) -> float:
    both = sum(p == label and t == label for p, t in zip(predicted, truth, strict=True))
    claimed = sum(p == label for p in predicted)
    real = sum(t == label for t in truth)
    return 2 * both / (claimed + real) if claimed + real else 0.0


@given(pairs)
def test_counting_metrics_equal_their_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    right = sum(p == t for p, t in zip(predicted, truth, strict=True))
    assert one("accuracy", *pair) == pytest.approx(right / len(truth))
    assert one("f1", *pair) == pytest.approx(brute_f1(predicted, truth, 1))
    assert one("f1", *pair, positive=0) == pytest.approx(brute_f1(predicted, truth, 0))
    labels = sorted(set(predicted) | set(truth))
    each = [brute_f1(predicted, truth, label) for label in labels]
    weights = [sum(t == label for t in truth) for label in labels]
    assert one("f1_macro", *pair) == pytest.approx(np.mean(each))
    assert one("f1_micro", *pair) == pytest.approx(right / len(truth))
    assert one("f1_weighted", *pair) == pytest.approx(np.average(each, weights=weights))


@given(pairs)
def test_order_does_not_matter(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    order = np.random.default_rng(0).permutation(len(truth))
    for name, metric in METRICS.items():
        if "classes" in metric.kinds:
            assert one(name, predicted, truth) == one(name, predicted[order], truth[order])


def test_the_figures_of_the_course() -> None:
    """Chapter 3 prints these for its two runs on MRPC; the counts give them to the digit."""
    for counts, accuracy, f1 in (
        ((260, 39, 19, 90), 0.8578431372549019, 0.8996539792387542),
        ((261, 46, 18, 83), 0.8431372549019608, 0.8907849829351535),
    ):
        hit, false_alarm, missed, rejected = counts
        predicted = [1] * hit + [1] * false_alarm + [0] * missed + [0] * rejected
        truth = [1] * hit + [0] * false_alarm + [1] * missed + [0] * rejected
        assert one("accuracy", predicted, truth) == pytest.approx(accuracy, abs=1e-12)
        assert one("f1", predicted, truth) == pytest.approx(f1, abs=1e-12)


def test_the_majority_of_mrpc() -> None:
    truth = [1] * 279 + [0] * 129
    assert one("accuracy", [1] * 408, truth) == pytest.approx(0.6838, abs=1e-4)
    assert one("f1", [1] * 408, truth) == pytest.approx(0.8122, abs=1e-4)


def test_matthews_by_its_formula() -> None:
    predicted, truth = [1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0]
    expected = (2 * 2 - 1 * 1) / math.sqrt(3 * 3 * 3 * 3)
    assert one("matthews_correlation", predicted, truth) == pytest.approx(expected)


def test_correlations_and_their_silence_on_constants() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert one("pearson", 2 * truth + 1, truth) == pytest.approx(1)
    assert one("spearman", truth**3, truth) == pytest.approx(1)
    assert one("spearman", -truth, truth) == pytest.approx(-1)
    assert one("pearson", np.ones(4), truth) is None
    assert one("pearson", [1.0], [2.0]) is None
    assert one("mean_squared_error", truth + 2, truth) == pytest.approx(4)


def test_sets_of_labels() -> None:
    truth = np.array([[1, 0, 1], [0, 1, 0]])
    predicted = np.array([[1, 0, 0], [0, 1, 0]])
    assert one("accuracy", predicted, truth) == 0.5
    assert one("f1_micro", predicted, truth) == pytest.approx(0.8)
    assert one("f1_macro", predicted, truth) == pytest.approx(2 / 3)


def test_each_says_its_direction() -> None:
    scores = compute([METRICS["mean_squared_error"]], np.ones(3), np.zeros(3), loss=1.5)
    assert scores.higher_is_better == {"mean_squared_error": False, "loss": False}
    assert "loss" in scores


def test_only_a_finite_better_value_is_better() -> None:
    scores = Scores({"f1": 0.8, "nan": None}, {})
    assert scores.is_better("f1", None, higher=True)
    assert scores.is_better("f1", 0.7, higher=True)
    assert not scores.is_better("f1", 0.8, higher=True)
    assert scores.is_better("f1", 0.9, higher=False)
    assert not scores.is_better("nan", None, higher=True)
    assert not scores.is_better("missing", None, higher=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("macro_f1", 'did you mean "f1_macro"'),
        ("mcc", 'did you mean "matthews_correlation"'),
        ("acuracy", 'did you mean "accuracy"'),
        ("pearson", '"pearson" does not score text-classification'),
    ],
)
def test_unknown_scores(name: str, words: str) -> None:
    with pytest.raises(RecipeError, match="R110") as caught:
        choose_metrics([name], scoring("classes"), "text-classification")
    assert words in str(caught.value)


def test_loss_is_always_there_and_nothing_twice() -> None:
    chosen = choose_metrics(["f1", "loss", "f1", "accuracy"], scoring("classes"), "t")
    assert [metric.name for metric in chosen] == ["f1", "accuracy"]


def test_glue_names_real_scores() -> None:
    for names in GLUE.values():
        assert set(names) <= set(METRICS)
