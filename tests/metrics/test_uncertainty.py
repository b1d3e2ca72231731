from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tunesmith.metrics.intervals import CORRELATIONS, mean_interval
from tunesmith.metrics.scores import METRICS, Answers, Interval, Metric, compute
from tunesmith.metrics.uncertainty import (
    as_floats,
    intervals,
    is_constant,
    is_right,
    spread,
    with_intervals,
)

CLASSES = [metric for metric in METRICS.values() if "classes" in metric.kinds]
few_examples = settings(max_examples=12)


def classes(rows: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int64, rows, elements=st.integers(0, 2))


pairs = st.integers(1, 40).flatmap(lambda n: st.tuples(classes(n), classes(n)))


def of(predicted: object, truth: object, *names: str, **more: object) -> Answers:
    metrics = [METRICS[name] for name in names or ("accuracy",)]
    return Answers(metrics, np.array(predicted), np.array(truth), **more)  # type: ignore[arg-type]


# laws


@given(pairs)
@few_examples
def test_an_interval_holds_its_score(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    result = intervals(Answers(CLASSES, predicted, truth))
    scores = compute(CLASSES, predicted, truth)
    for metric in CLASSES:
        if metric.name == "matthews_correlation" and len(set(truth.tolist())) < 2:
            assert metric.name not in result
            continue
        reported, value = result[metric.name], scores[metric.name]
        assert reported.low < reported.high
        assert value is not None
        assert reported.low - 1e-12 <= value <= reported.high + 1e-12
        assert reported.low >= (-1 if metric.name == "matthews_correlation" else 0)
        assert reported.high <= 1 + 1e-12


@given(pairs)
@few_examples
def test_the_order_of_rows_changes_nothing(pair: tuple[np.ndarray, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(len(pair[0]))
    predicted, truth = pair
    assert intervals(Answers(CLASSES, predicted, truth)) == intervals(
        Answers(CLASSES, predicted[order], truth[order])
    )


def own(by_example: bool = True) -> Metric:
    def middle(predicted: np.ndarray, truth: np.ndarray, _positive: int) -> float:
        return float(np.median(np.abs(predicted - truth)))

    return Metric("middle", (), middle, by_example=by_example)


def test_custom_scores_are_drawn_by_a_seed() -> None:
    random = np.random.default_rng(0)
    answers = Answers([own()], random.normal(size=50), random.normal(size=50))
    one, again, other = (intervals(answers, seed=seed, draws=99) for seed in (1, 1, 2))
    assert one == again != other
    value = own().function(answers.predicted, answers.truth, 1)
    assert one["middle"].low < value < one["middle"].high
    alone = Answers([own(by_example=False)], answers.predicted, answers.truth)
    assert intervals(alone) == {}


def test_a_custom_score_next_to_standard_ones() -> None:
    truth = np.arange(40) % 2
    predicted = np.where(np.arange(40) % 5 == 0, 1 - truth, truth)
    distance = replace(own(), name="distance", function=lambda p, t, _p: float((p != t).mean()))
    both = Answers([distance, METRICS["accuracy"]], predicted, truth)
    result = intervals(both, draws=200)
    assert list(result) == ["distance", "accuracy"]
    assert result["accuracy"] == intervals(of(predicted, truth))["accuracy"]
    assert result["distance"].low < 0.2 < result["distance"].high


def test_a_fraction_of_rows_has_wilsons_interval() -> None:
    """60 rows: all of two classes right, 12 of the third wrong."""
    truth = np.repeat([0, 1, 2], 20)
    predicted = truth.copy()
    predicted[40:52] = 1

    def wilson(part: int, whole: int) -> Interval:
        ends = stats.binomtest(part, whole).proportion_ci(0.95, method="wilson")
        return Interval(pytest.approx(ends.low), pytest.approx(ends.high))

    names = ("accuracy", "f1_micro", "precision_micro", "recall_micro", "precision", "recall")
    result = intervals(of(predicted, truth, *names, positive=1))
    assert list(result) == list(names)
    assert {result[name] for name in names[1:4]} == {result["accuracy"]}
    assert result["accuracy"] == wilson(48, 60)
    assert result["precision"] == wilson(20, 32)
    assert result["recall"] == wilson(20, 20)
    rare = intervals(of(predicted, truth, "precision", "recall", positive=2))
    assert (rare["precision"], rare["recall"]) == (wilson(8, 8), wilson(8, 20))
    sets = intervals(of([[1, 0], [1, 1], [0, 0]], [[1, 0], [0, 1], [0, 0]], "accuracy"))
    assert sets["accuracy"] == wilson(2, 3)


def test_f1_has_the_interval_of_the_fraction_it_grows_with() -> None:
    predicted, truth = [1] * 15 + [0] * 5 + [1] * 4 + [0] * 76, [1] * 20 + [0] * 80
    share = stats.binomtest(15, 24).proportion_ci(0.95, method="wilson")
    reported = intervals(of(predicted, truth, "f1"))["f1"]
    assert reported.low == pytest.approx(2 * share.low / (1 + share.low))
    assert reported.high == pytest.approx(2 * share.high / (1 + share.high))


def test_the_average_over_one_class_is_its_own_score() -> None:
    result = intervals(
        of([3] * 9, [3] * 9, "f1_macro", "precision_macro", "f1_weighted", "accuracy")
    )
    share = stats.binomtest(9, 9).proportion_ci(0.95, method="wilson").low
    assert result["precision_macro"] == result["accuracy"] == Interval(pytest.approx(share), 1.0)
    assert result["f1_macro"] == result["f1_weighted"]
    assert result["f1_macro"].low == pytest.approx(2 * share / (1 + share))


def test_averages_over_classes_bear_the_rows_of_each() -> None:
    """Of as many rows macro F1 is as sure as accuracy; of a rare class's few it is less."""
    right = np.arange(300) % 10 != 0
    even = np.arange(300) % 3
    rare = np.where(np.arange(300) % 30 < 2, np.arange(300) % 30, 2)

    def width(truth: np.ndarray, name: str) -> float:
        result = intervals(of(np.where(right, truth, (truth + 1) % 3), truth, name))[name]
        return result.high - result.low

    for name in ("f1_macro", "recall_macro", "precision_macro"):
        assert width(even, name) == pytest.approx(width(even, "accuracy"), rel=0.1)
        assert width(rare, name) > 1.5 * width(rare, "accuracy")
    assert width(rare, "f1_weighted") < 1.3 * width(rare, "accuracy")


def test_sets_of_labels_bear_what_their_labels_share() -> None:
    """Three copies of one label tell no more than the label: their rows are as many."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, (200, 1))
    predicted = np.where(random.random((200, 1)) < 0.8, truth, 1 - truth)

    def width(copies: int) -> float:
        result = intervals(
            of(np.repeat(predicted, copies, 1), np.repeat(truth, copies, 1), "f1_micro")
        )["f1_micro"]
        return result.high - result.low

    assert width(3) == pytest.approx(width(1), rel=0.03)
    both, real = (predicted * truth).sum(), (predicted | truth).sum()
    share = stats.binomtest(int(both), int(real)).proportion_ci(0.95, method="wilson")
    expected = 2 * share.high / (1 + share.high) - 2 * share.low / (1 + share.low)
    assert width(1) == pytest.approx(expected, rel=0.05)


# what is at the edge


def test_all_right_is_not_certainty() -> None:
    names = ("accuracy", "f1", "f1_macro", "matthews_correlation", "recall_macro")
    result = intervals(of([0, 1] * 15, [0, 1] * 15, *names))
    share = stats.binomtest(30, 30).proportion_ci(method="wilson").low
    assert all(reported.high == 1.0 for reported in result.values())
    assert result["accuracy"].low == pytest.approx(share)
    assert result["f1_macro"].low == pytest.approx(share, abs=0.05)
    assert 0.5 < result["matthews_correlation"].low < 0.85
    wrong = intervals(of([1, 0, 1, 0], [0, 1, 0, 1], "accuracy", "f1_macro"))
    assert wrong["accuracy"].low == wrong["f1_macro"].low == 0.0
    assert wrong["accuracy"].high == pytest.approx(
        stats.binomtest(0, 4).proportion_ci(method="wilson").high
    )
    assert 0.2 < wrong["f1_macro"].high < 0.9


def test_what_never_came_up_is_not_known() -> None:
    result = intervals(of([0, 0, 0], [0, 0, 0], "f1", "recall", "matthews_correlation"))
    assert result == {"f1": Interval(0.0, 1.0), "recall": Interval(0.0, 1.0)}
    assert "matthews_correlation" not in intervals(of([0, 1], [0, 0], "matthews_correlation"))
    assert "matthews_correlation" in intervals(of([0, 0], [0, 1], "matthews_correlation"))
    beyond = intervals(of([0, 0, 0], [0, 0, 0], "recall", positive=7))
    assert beyond == {"recall": Interval(0.0, 1.0)}


def test_numbers_have_their_formulas() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=80)
    predicted = truth + random.normal(size=80)
    result = intervals(of(predicted, truth, "mean_squared_error", "spearman", "pearson"))
    assert list(result) == ["mean_squared_error", "spearman", "pearson"]
    assert result["mean_squared_error"] == mean_interval((predicted - truth) ** 2)
    for name in ("spearman", "pearson"):
        correlation = CORRELATIONS[name](predicted, truth)
        assert correlation is not None and result[name] == correlation.interval
    errors = np.zeros(30)
    errors[0] = 1.0  # Student's interval of one error in thirty would go below zero
    assert intervals(of(errors, np.zeros(30), "mean_squared_error"))["mean_squared_error"].low == 0


def test_losses_have_an_interval() -> None:
    losses = np.random.default_rng(0).exponential(size=500)
    labels = np.arange(500) % 2
    result = intervals(of(labels, labels, "accuracy", losses=losses))
    assert list(result) == ["accuracy", "loss"]
    assert result["loss"] == mean_interval(losses)
    assert "loss" not in intervals(of(labels, labels, losses=np.full(500, 0.3)))
    single = intervals(of(labels, labels, losses=losses.astype(np.float32)))["loss"]
    assert single.low == pytest.approx(result["loss"].low, abs=1e-6)
    assert "loss" not in intervals(of(labels, labels))
    one_error = np.eye(1, 30).ravel()
    assert intervals(of(labels[:30], labels[:30], losses=one_error))["loss"].low == 0.0


def test_what_has_no_score_has_no_interval() -> None:
    truth = np.arange(5.0)
    assert set(intervals(of(np.ones(5), truth, "pearson", "mean_squared_error"))) == {
        "mean_squared_error"
    }
    assert intervals(of(np.zeros(0, int), np.zeros(0, int))) == {}


def test_only_what_counts_examples_is_drawn() -> None:
    scores = compute([METRICS["accuracy"]], np.array([0, 1, 1]), np.array([0, 1, 0]))
    assert with_intervals(scores, examples=3).intervals
    assert not with_intervals(scores, examples=2).intervals


def test_one_answer_to_all() -> None:
    assert is_constant(of([1, 1, 1], [0, 1, 1]))
    assert not is_constant(of([1, 0, 1], [0, 1, 1]))
    assert not is_constant(of([1, 1], [1, 1]))  # all of them are right
    sets = np.array([[1, 0], [0, 1], [1, 1]])
    assert is_constant(of(np.ones((3, 2), int), sets, "f1_micro"))
    truth = np.random.default_rng(0).normal(size=90)
    assert is_constant(of(3 + 0.01 * truth, truth, "pearson"))
    assert not is_constant(of(3 + 0.3 * truth, truth, "pearson"))
    signs = np.array([-1.0, 1.0] * 4)  # their deviation is one
    assert not is_constant(of(0.05 * signs, signs, "pearson"))
    assert is_constant(of(0.0499 * signs, signs, "pearson"))


def test_numbers_in_double_precision() -> None:
    assert as_floats(np.array([1, 2], dtype=np.int32)).dtype == np.float64


def test_which_rows_are_right() -> None:
    assert is_right(of([1, 0], [1, 1])).tolist() == [True, False]
    sets = of([[1, 0], [1, 1]], [[1, 0], [1, 0]], "f1_micro")
    assert is_right(sets).tolist() == [True, False]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_the_spread_over_seeds(values: list[float]) -> None:
    result = spread(values)
    assert result.lowest - 1e-12 <= result.mean <= result.highest + 1e-12
    assert (result.values, result.lowest, result.highest) == (
        tuple(values),
        min(values),
        max(values),
    )
    assert result.mean == pytest.approx(np.mean(values), abs=1e-12)
    if len(values) == 1:
        assert result.deviation is None
    else:
        assert result.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)
