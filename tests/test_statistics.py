from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tunesmith.metrics import METRICS, Answers, Interval, compute
from tunesmith.statistics import (
    difference,
    gives_one_answer,
    intervals,
    is_right,
    mcnemar,
    spread,
    with_intervals,
)

CLASSES = [metric for metric in METRICS.values() if "classes" in metric.kinds]
NUMBERS = [metric for metric in METRICS.values() if "numbers" in metric.kinds]
FEW = {"draws": 100}
few_examples = settings(max_examples=12)


def classes(rows: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int64, rows, elements=st.integers(0, 2))


pairs = st.integers(1, 40).flatmap(lambda n: st.tuples(classes(n), classes(n)))
triples = st.integers(1, 40).flatmap(lambda n: st.tuples(classes(n), classes(n), classes(n)))


def of(predicted: object, truth: object, *names: str, **more: object) -> Answers:
    metrics = [METRICS[name] for name in names or ("accuracy",)]
    return Answers(metrics, np.array(predicted), np.array(truth), **more)  # type: ignore[arg-type]


# laws


@given(pairs)
@few_examples
def test_an_interval_holds_its_score(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    found = intervals(Answers(CLASSES, predicted, truth), **FEW)
    scores = compute(CLASSES, predicted, truth)
    for metric in CLASSES:
        told, value = found[metric.name], scores[metric.name]
        assert value is not None
        assert told.low - 1e-12 <= value <= told.high + 1e-12
        assert told.low >= (-1 if metric.name == "matthews_correlation" else 0)
        assert told.high <= 1 + 1e-12


@given(triples, st.integers(0, 3))
@few_examples
def test_the_order_of_rows_changes_nothing(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    order = np.random.default_rng(0).permutation(len(triple[0]))
    truth, one, two = triple
    told = []
    for rows in (np.arange(len(truth)), order):
        first, second = (
            Answers(CLASSES, one[rows], truth[rows]),
            Answers(CLASSES, two[rows], truth[rows]),
        )
        told.append(
            (intervals(first, seed=seed, **FEW), difference(first, second, seed=seed, **FEW))
        )
    assert told[0] == told[1]


@given(triples)
@few_examples
def test_exchanged_models_are_mirror_images(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, one, two = triple
    first, second = Answers(CLASSES, one, truth), Answers(CLASSES, two, truth)
    there, back = difference(first, second, **FEW), difference(second, first, **FEW)
    for name, told in there.items():
        mirror = back[name]
        assert (told.first, told.second) == (mirror.second, mirror.first)
        assert told.interval is not None and mirror.interval is not None
        assert told.interval.low == pytest.approx(-mirror.interval.high, abs=1e-12)
        assert told.interval.high == pytest.approx(-mirror.interval.low, abs=1e-12)
        assert told.is_sure == mirror.is_sure


@given(pairs, st.integers(0, 5))
@few_examples
def test_a_model_never_differs_from_itself(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    answers = Answers(CLASSES, *pair)
    for told in difference(answers, answers, seed=seed, **FEW).values():
        assert told.change == 0
        assert told.interval == Interval(0.0, 0.0)
        assert not told.is_sure


@given(triples)
@few_examples
def test_fewer_than_six_changed_rows_are_no_difference(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, one, two = triple
    two = np.where(np.cumsum(one != two) <= 5, two, one)
    found = difference(Answers(CLASSES, one, truth), Answers(CLASSES, two, truth), **FEW)
    assert not any(told.is_sure for told in found.values())


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    random = np.random.default_rng(0)
    answers = Answers([METRICS["pearson"]], random.normal(size=50), random.normal(size=50))
    one, again, other = (intervals(answers, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


# against other hands


def squared_error(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    return ((x - y) ** 2).mean(axis=axis)


def correlation(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    return (x * y).sum(axis) / np.sqrt((x * x).sum(axis) * (y * y).sum(axis))


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("pearson", correlation),
        ("mean_squared_error", squared_error),
        (
            "spearman",
            lambda x, y, axis: correlation(*(stats.rankdata(v, axis=axis) for v in (x, y)), axis),
        ),
    ],
)
def test_intervals_of_numbers_are_those_of_scipy(name: str, score: Callable[..., Any]) -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=80)
    predicted = truth + random.normal(size=80)
    found = intervals(of(predicted, truth, name), draws=10_000)[name]
    expected = stats.bootstrap(
        (predicted, truth), score, paired=True, vectorized=True, n_resamples=10_000,
        method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    margin = 0.06 * (expected.high - expected.low)
    assert found.low == pytest.approx(expected.low, abs=margin)
    assert found.high == pytest.approx(expected.high, abs=margin)


def test_accuracy_within_classes_by_its_variance() -> None:
    """MRPC as the course scores it: 260 of 279 and 90 of 129 right."""
    truth = [1] * 279 + [0] * 129
    predicted = [1] * 260 + [0] * 19 + [0] * 90 + [1] * 39
    found = intervals(of(predicted, truth), draws=20_000)["accuracy"]
    shares = ((279, 260 / 279), (129, 90 / 129))
    deviation = math.sqrt(sum(n * p * (1 - p) for n, p in shares)) / 408
    assert found.low == pytest.approx(350 / 408 - 1.96 * deviation, abs=0.0025)
    assert found.high == pytest.approx(350 / 408 + 1.96 * deviation, abs=0.0025)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(fixed: int, broken: int) -> None:
    expected = stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(fixed, broken) == mcnemar(broken, fixed)


def test_mcnemar_of_a_hundred_thousand_rows() -> None:
    expected = stats.binomtest(25_500, 51_500).pvalue
    assert mcnemar(25_500, 26_000) == pytest.approx(expected, rel=1e-6)


def coverage(metric: str, truth: np.ndarray, error: float, trials: int = 300) -> float:
    """How often the interval holds the score that the same model has on a great many rows."""
    random = np.random.default_rng(11)

    def answers_for(labels: np.ndarray) -> np.ndarray:
        shifted = (labels + random.integers(1, 3, len(labels))) % 3
        rate = error * (1 + labels / 2)  # some classes are harder
        return np.where(random.random(len(labels)) < rate, shifted, labels)

    many = np.repeat(truth, 1_000)
    goal = compute([METRICS[metric]], answers_for(many), many)[metric]
    assert goal is not None
    held = 0
    for _trial in range(trials):
        found = intervals(of(answers_for(truth), truth, metric), draws=200)[metric]
        held += goal in found
    return held / trials


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "matthews_correlation"])
def test_nineteen_of_twenty_intervals_hold_the_truth(metric: str) -> None:
    truth = np.repeat([0, 1, 2], [120, 60, 40])
    assert 0.92 <= coverage(metric, truth, 0.15) <= 0.98


def test_intervals_of_a_correlation_hold_the_truth() -> None:
    random = np.random.default_rng(5)
    held = 0
    for _trial in range(300):
        truth = random.normal(size=150)
        found = intervals(of(truth + random.normal(size=150), truth, "pearson"), draws=200)
        held += math.sqrt(0.5) in found["pearson"]
    assert 0.92 <= held / 300 <= 0.98


# what stands at the edge


def test_all_right_is_not_certainty() -> None:
    """The exact bound: six of six leaves room for 46 % of errors."""
    answers = of([0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0, 1], "accuracy", "f1", "matthews_correlation")
    found = intervals(answers)
    exact = stats.binomtest(6, 6).proportion_ci(method="exact")
    assert found["accuracy"] == Interval(pytest.approx(exact.low), 1.0)
    assert found["f1"].low == pytest.approx(exact.low)
    assert -1 < found["matthews_correlation"].low < 0.1
    wrong = intervals(of([1, 0, 1, 0], [0, 1, 0, 1], "accuracy"))["accuracy"]
    assert wrong.high == pytest.approx(stats.binomtest(0, 4).proportion_ci(method="exact").high)


def test_one_answer_is_drawn_from_all_classes() -> None:
    """Within the classes nothing is left to chance, yet 279 of 408 is no certainty."""
    truth = np.array([1] * 279 + [0] * 129)
    found = intervals(of(np.ones(408, dtype=int), truth))["accuracy"]
    deviation = math.sqrt(0.6838 * 0.3162 / 408)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_losses_have_an_interval() -> None:
    losses = np.random.default_rng(0).exponential(size=500)
    labels = np.arange(500) % 2
    found = intervals(of(labels, labels, "accuracy", losses=losses))["loss"]
    half = 1.96 * losses.std() / math.sqrt(500)
    assert found.low == pytest.approx(losses.mean() - half, abs=0.02)
    assert found.high == pytest.approx(losses.mean() + half, abs=0.02)


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


def test_a_clear_difference_is_one() -> None:
    truth = np.arange(400) % 2
    worse = np.where(np.arange(400) % 5 == 0, 1 - truth, truth)
    better = np.where(np.arange(400) % 40 == 0, 1 - truth, truth)
    found = difference(of(worse, truth, "accuracy", "f1"), of(better, truth, "accuracy", "f1"))
    assert all(told.is_sure and told.change > 0.1 for told in found.values())
    assert found["accuracy"].interval is not None
    assert found["accuracy"].change in found["accuracy"].interval


def test_differences_of_numbers_and_losses() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=300)
    near, far = truth + 0.2 * random.normal(size=300), truth + 2 * random.normal(size=300)
    first, second = (
        Answers(NUMBERS, found, truth, losses=(found - truth) ** 2) for found in (far, near)
    )
    found = difference(first, second)
    assert set(found) == {"pearson", "spearman", "mean_squared_error", "loss"}
    assert all(told.is_sure for told in found.values())
    assert found["loss"].change == pytest.approx(found["mean_squared_error"].change)


def test_a_score_that_one_model_lacks_has_no_difference() -> None:
    truth = np.arange(8.0)
    found = difference(of(np.ones(8), truth, "pearson"), of(truth, truth, "pearson"))
    assert found == {}


def test_one_answer_to_all() -> None:
    assert gives_one_answer(of([1, 1, 1], [0, 1, 1]))
    assert not gives_one_answer(of([1, 0, 1], [0, 1, 1]))
    assert not gives_one_answer(of([1, 1], [1, 1]))  # all of them are right
    sets = np.array([[1, 0], [0, 1], [1, 1]])
    assert gives_one_answer(of(np.ones((3, 2), int), sets, "f1_micro"))
    truth = np.random.default_rng(0).normal(size=90)
    assert gives_one_answer(of(3 + 0.01 * truth, truth, "pearson"))
    assert not gives_one_answer(of(3 + 0.3 * truth, truth, "pearson"))


def test_which_rows_are_right() -> None:
    assert is_right(of([1, 0], [1, 1])).tolist() == [True, False]
    sets = of([[1, 0], [1, 1]], [[1, 0], [1, 0]], "f1_micro")
    assert is_right(sets).tolist() == [True, False]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_the_spread_over_seeds(values: list[float]) -> None:
    found = spread(values)
    assert found.lowest - 1e-12 <= found.mean <= found.highest + 1e-12
    if len(values) == 1:
        assert found.deviation is None
    else:
        assert found.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)
