from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tunesmith.metrics.differences import Difference, describe_changes, difference, mcnemar
from tunesmith.metrics.intervals import (
    Correlation,
    correlation_difference,
    mean_interval,
    paired_fraction_interval,
)
from tunesmith.metrics.score_table import OF_NUMBERS
from tunesmith.metrics.scores import METRICS, Answers, Interval, Metric
from tunesmith.metrics.uncertainty import intervals, is_right

CLASSES = [metric for metric in METRICS.values() if "classes" in metric.kinds]
NUMBERS = [metric for metric in METRICS.values() if "numbers" in metric.kinds]
few_examples = settings(max_examples=8)


def classes(rows: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int64, rows, elements=st.integers(0, 2))


pairs = st.integers(1, 40).flatmap(lambda n: st.tuples(classes(n), classes(n)))
triples = st.integers(1, 40).flatmap(lambda n: st.tuples(classes(n), classes(n), classes(n)))


def of(predicted: object, truth: object, *names: str, **more: object) -> Answers:
    metrics = [METRICS[name] for name in names or ("accuracy",)]
    return Answers(metrics, np.array(predicted), np.array(truth), **more)  # type: ignore[arg-type]


def changed(fixed: int, broken: int, rows: int, *names: str) -> tuple[Answers, Answers]:
    """Two models of which the second has so many rows right, and so many wrong, as the only one."""
    truth = np.arange(rows) % 2
    one, two = truth.copy(), truth.copy()
    one[:fixed] = 1 - one[:fixed]
    two[rows - broken :] = 1 - two[rows - broken :]
    return of(one, truth, *names), of(two, truth, *names)


# laws


@given(triples)
@few_examples
def test_exchanged_models_are_mirror_images(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, one, two = triple
    first, second = Answers(CLASSES, one, truth), Answers(CLASSES, two, truth)
    there, back = difference(first, second, draws=100), difference(second, first, draws=100)
    for name, reported in there.items():
        mirror = back[name]
        assert (reported.first, reported.second) == (mirror.second, mirror.first)
        assert reported.interval is not None and mirror.interval is not None
        assert reported.interval.low == pytest.approx(-mirror.interval.high, abs=1e-9)
        assert reported.interval.high == pytest.approx(-mirror.interval.low, abs=1e-9)
        assert reported.is_sure == mirror.is_sure


@given(pairs)
@few_examples
def test_a_model_that_differs_nowhere_may_yet_do_so(pair: tuple[np.ndarray, np.ndarray]) -> None:
    answers = Answers(CLASSES, *pair)
    for reported in difference(answers, answers).values():
        assert (reported.change, reported.is_sure) == (0, False)
        assert reported.interval is not None
        assert reported.interval.low == pytest.approx(-reported.interval.high, abs=1e-9)


@given(triples)
@few_examples
def test_the_order_of_rows_changes_nothing(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    order = np.random.default_rng(0).permutation(len(triple[0]))
    reported = [
        difference(Answers(CLASSES, one, truth), Answers(CLASSES, two, truth))
        for truth, one, two in (triple, [column[order] for column in triple])
    ]
    assert reported[0] == reported[1]


@given(triples)
@few_examples
def test_fewer_than_six_changed_rows_are_no_difference(
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, one, two = triple
    two = np.where(np.cumsum(one != two) <= 5, two, one)
    result = difference(Answers(CLASSES, one, truth), Answers(CLASSES, two, truth), draws=100)
    assert not any(reported.is_sure for reported in result.values())


# against other hands


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(fixed: int, broken: int) -> None:
    expected = stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(fixed, broken) == mcnemar(broken, fixed)


def test_mcnemar_of_a_hundred_thousand_rows() -> None:
    expected = stats.binomtest(25_500, 51_500).pvalue
    assert mcnemar(25_500, 26_000) == pytest.approx(expected, rel=1e-6)


def test_a_clear_difference_is_one() -> None:
    truth = np.arange(400) % 2
    worse = np.where(np.arange(400) % 5 == 0, 1 - truth, truth)
    better = np.where(np.arange(400) % 40 == 0, 1 - truth, truth)
    result = difference(of(worse, truth, "accuracy", "f1"), of(better, truth, "accuracy", "f1"))
    assert all(reported.is_sure and reported.change > 0.1 for reported in result.values())
    assert result["accuracy"].interval is not None
    assert result["accuracy"].change in result["accuracy"].interval


def test_differences_of_numbers_and_losses() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=300)
    near, far = truth + 0.2 * random.normal(size=300), truth + 2 * random.normal(size=300)
    first, second = (
        Answers(NUMBERS, result, truth, losses=(result - truth) ** 2) for result in (far, near)
    )
    result = difference(first, second)
    assert set(result) == {*OF_NUMBERS, "loss"}
    assert all(reported.is_sure for reported in result.values())
    assert result["loss"].change == pytest.approx(result["mean_squared_error"].change)


def test_a_score_that_one_model_lacks_has_no_difference() -> None:
    truth = np.arange(8.0)
    result = difference(of(np.ones(8), truth, "pearson"), of(truth, truth, "pearson"))
    assert result == {}


@pytest.mark.parametrize(
    ("fixed", "broken"), [(5, 0), (6, 0), (0, 6), (8, 1), (7, 1), (9, 2), (10, 2), (2, 10), (20, 9)]
)
def test_of_accuracy_mcnemar_decides(fixed: int, broken: int) -> None:
    """The interval holds zero unless the exact test is sure, whatever the score test says."""
    reported = difference(*changed(fixed, broken, 60))["accuracy"]
    expected = bool(stats.binomtest(fixed, fixed + broken).pvalue < 0.05)
    assert reported.is_sure is expected
    assert reported.interval is not None and (0.0 in reported.interval) is not expected
    tango = paired_fraction_interval(fixed, broken, 60)
    assert reported.interval == Interval(
        tango.low if expected else min(0.0, tango.low),
        tango.high if expected else max(0.0, tango.high),
    )
    assert reported.change == pytest.approx((fixed - broken) / 60)


def test_five_rows_that_change_are_no_difference_of_any_score() -> None:
    """Of 30 rows five that all fall one way: the interval of F1 alone would be sure."""
    for fixed, expected in ((5, False), (6, True)):
        reported = difference(*changed(fixed, 0, 30, "f1_macro"))["f1_macro"]
        assert reported.is_sure is expected
        assert reported.interval is not None
        assert (reported.interval.low == 0.0) is not expected
        assert reported.interval.high > reported.change > 0


def test_a_difference_of_f1_is_as_wide_as_that_of_accuracy_where_classes_are_even() -> None:
    result = difference(*changed(60, 30, 400, "accuracy", "f1_macro"))
    one, two = result["accuracy"].interval, result["f1_macro"].interval
    assert one is not None and two is not None
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=0.004)


def test_the_differences_of_numbers_are_those_of_the_formulas() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=90)
    one, two = truth + random.normal(size=90), truth + random.normal(size=90)
    first, second = (Answers(NUMBERS, column, truth, losses=column**2) for column in (one, two))
    result = difference(first, second)
    assert list(result) == [*(metric.name for metric in NUMBERS), "loss"]
    expected = {
        "mean_squared_error": mean_interval((two - truth) ** 2 - (one - truth) ** 2),
        "loss": mean_interval(two**2 - one**2),
    }
    for name, coefficient in (("pearson", Correlation.pearson), ("spearman", Correlation.spearman)):
        was, now = coefficient(one, truth), coefficient(two, truth)
        assert was is not None and now is not None
        expected[name] = correlation_difference(was, now)
        assert (result[name].first, result[name].second) == (was.value, now.value)
    for name, interval in expected.items():
        reported = result[name]
        assert interval is not None and reported.interval is not None
        assert reported.is_sure is (0.0 not in interval)
        assert (reported.interval.low, reported.interval.high) == (interval.low, interval.high)
    assert result["loss"].first == pytest.approx((one**2).mean())
    assert result["loss"].second == pytest.approx((two**2).mean())


def middle(predicted: np.ndarray, truth: np.ndarray, _positive: int) -> float:
    return float(np.median(np.abs(predicted - truth)))


def test_custom_scores_are_drawn_in_pairs() -> None:
    random = np.random.default_rng(0)
    truth, noise = random.normal(size=(2, 60))
    metric = Metric("middle", (), middle, higher_is_better=False, by_example=True)
    far, near = (Answers([metric], truth + scale * noise, truth) for scale in (2.0, 1.0))
    reported, back = difference(far, near, draws=200), difference(near, far, draws=200)
    change = reported["middle"]
    assert (change.first, change.second) == (
        middle(far.predicted, truth, 1), middle(near.predicted, truth, 1)
    )  # fmt: skip
    assert change.is_sure and change.interval is not None
    alone = intervals(far, draws=200)["middle"]
    assert change.interval.high - change.interval.low < alone.high - alone.low
    assert back["middle"].interval == Interval(-change.interval.high, -change.interval.low)
    same = difference(far, far, draws=200)["middle"]
    assert (same.change, same.interval, same.is_sure) == (0.0, None, False)
    hidden = Metric("middle", (), middle)
    assert difference(Answers([hidden], truth, truth), Answers([hidden], noise, truth)) == {}


def test_models_that_trade_rows_have_an_interval_about_zero() -> None:
    values = np.arange(1.0, 13.0)
    truth = np.concatenate([values, values])
    one, two = np.concatenate([values, -values]), np.concatenate([-values, values])
    metric = Metric("middle", (), middle, by_example=True)
    reported = difference(Answers([metric], one, truth), Answers([metric], two, truth), draws=99)
    interval = reported["middle"].interval
    assert interval is not None and interval.low == -interval.high < 0


def test_of_losses_six_rows_must_differ() -> None:
    truth = np.zeros(40, dtype=int)
    for count in (5, 6):
        losses = np.where(np.arange(40) < count, 1.0 + np.arange(40) / 1000, 0.0)
        first = of(truth, truth, losses=np.zeros(40))
        reported = difference(first, of(truth, truth, losses=losses))["loss"]
        plain = mean_interval(losses)
        assert plain is not None and plain.low > 0
        assert reported.is_sure is (count == 6)
        assert reported.interval == (plain if count == 6 else Interval(0.0, plain.high))


def test_nothing_has_no_difference() -> None:
    nothing = of(np.zeros(0, int), np.zeros(0, int))
    assert difference(nothing, nothing) == {}


def test_second_minus_first() -> None:
    assert Difference(0.8, 0.9, None, is_sure=False).change == pytest.approx(0.1)
    assert is_right(changed(2, 0, 9)[0]).sum() == 7
    assert math.isclose(mcnemar(0, 0), 1.0)


@pytest.mark.parametrize(
    ("reported", "words"),
    [
        (Difference(0.8, 0.9, Interval(0.05, 0.15), is_sure=True), "a difference"),
        (Difference(0.8, 0.81, Interval(-0.01, 0.03), is_sure=False), "not distinguishable"),
        (Difference(0.8, 0.8, Interval(0.0, 0.0), is_sure=False), "the same"),
    ],
)
def test_a_difference_as_text(reported: Difference, words: str) -> None:
    assert reported.describe() == words


def test_changes_as_text() -> None:
    assert describe_changes(0, 0) == "the same"
    assert describe_changes(5, 0) == "not distinguishable"
    assert describe_changes(6, 0) == describe_changes(0, 6) == "a difference"
    assert describe_changes(3, 3) == "not distinguishable"
