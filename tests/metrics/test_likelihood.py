from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tunesmith.metrics.counts import CountedUnits, Floats, score_of
from tunesmith.metrics.intervals import Z, paired_fraction_interval
from tunesmith.metrics.likelihood import few_rows_quantile, profile_interval, supported


def plain(_weights: Floats, _slope: Floats, _rows: float, _side: int) -> float:
    """As for a normal score."""
    return Z


def mean_of(values: np.ndarray):  # type: ignore[no-untyped-def]
    """A mean of the units' values, as a score and its slope."""
    return lambda weights: (float(weights @ values), values)


@pytest.mark.parametrize(("part", "whole"), [(48, 60), (1, 30), (29, 30), (250, 1000)])
def test_of_a_fraction_it_is_wilsons(part: int, whole: int) -> None:
    weights = np.array([part, whole - part]) / whole
    reported = profile_interval(
        mean_of(np.array([1.0, 0.0])), weights, part / whole, rows=whole, quantile=plain
    )
    expected = stats.binomtest(part, whole).proportion_ci(0.95, method="wilson")
    width = expected.high - expected.low
    assert reported == pytest.approx((expected.low, expected.high), abs=0.002 * width)


@pytest.mark.parametrize(
    ("fixed", "broken", "rows"), [(10, 3, 60), (20, 20, 200), (40, 2, 100), (3, 5, 30)]
)
def test_of_a_paired_difference_it_is_tangos(fixed: int, broken: int, rows: int) -> None:
    weights = np.array([fixed, broken, rows - fixed - broken]) / rows
    reported = profile_interval(
        mean_of(np.array([1.0, -1.0, 0.0])),
        weights,
        (fixed - broken) / rows,
        rows=rows,
        quantile=plain,
    )
    expected = paired_fraction_interval(fixed, broken, rows)
    width = expected.high - expected.low
    assert reported == pytest.approx((expected.low, expected.high), abs=0.01 * width)


def test_more_rows_and_fewer_errors_are_narrower() -> None:
    weights, score = np.array([0.8, 0.2]), mean_of(np.array([1.0, 0.0]))

    def width(rows: float, errors: float) -> float:
        low, high = profile_interval(
            score, weights, 0.8, rows=rows, quantile=lambda *_asked: errors
        )
        return high - low

    assert width(400, Z) == pytest.approx(width(100, Z) / 2, rel=0.05)
    assert width(400, 1.0) == pytest.approx(width(400, Z) / Z, rel=0.02)


def test_the_quantile_grows_where_few_rows_decide() -> None:
    even, slope = np.array([0.5, 0.5]), np.array([0.5, -0.5])
    for rows in (20, 2000):
        for side in (-1, 1):
            reported = few_rows_quantile(even, slope, rows, side)
            assert reported == pytest.approx(stats.t.ppf(0.975, rows - 1), abs=1e-4)
    rare = np.array([0.1, 0.9])
    slope = np.array([-0.9, 0.1])  # a row in ten pulls the score down
    fourth, second = rare @ slope**4, rare @ slope**2
    freedom = 3 * 60 / (fourth / second**2 - 1)
    student = stats.t.ppf(0.975, min(59, freedom))
    assert few_rows_quantile(rare, slope, 60, -1) == pytest.approx(student, abs=1e-3)
    skewness = (rare @ slope**3) / second**1.5 / math.sqrt(60)
    expected = student - skewness * (Z**2 - 1) / 6
    assert few_rows_quantile(rare, slope, 60, 1) == pytest.approx(expected, abs=1e-3)
    assert few_rows_quantile(rare, -slope, 60, -1) == pytest.approx(expected, abs=1e-3)
    rarer = np.array([0.001, 0.999])
    slope = np.array([-0.999, 0.001])
    assert few_rows_quantile(rarer, slope, 30, 1) == 2 * Z
    assert few_rows_quantile(rarer, slope, 30, -1) == pytest.approx(stats.t.ppf(0.975, 4), abs=3e-3)


def test_it_holds_the_value_observed_wherever_the_weights_begin() -> None:
    """Imaginary rows shift the beginning; the value of the real rows is held all the same."""
    weights, score = np.array([0.9, 0.1]), mean_of(np.array([1.0, 0.0]))
    low, high = profile_interval(score, weights, 1.0, rows=20, quantile=plain)
    assert high == 1.0
    assert low == pytest.approx(20 / (20 + Z**2), abs=1e-3)  # Wilson's of 20 of 20
    low, high = profile_interval(score, np.array([0.1, 0.9]), 0.0, rows=20, quantile=plain)
    assert low == 0.0
    assert high == pytest.approx(Z**2 / (20 + Z**2), abs=1e-3)


def test_what_no_row_moves_has_no_width() -> None:
    assert profile_interval(mean_of(np.array([0.5, 0.5])), np.array([0.5, 0.5]), 0.5, rows=9) == (
        0.5,
        0.5,
    )


def test_a_score_that_bends_is_followed() -> None:
    """The square of a fraction has the squares of the fraction's interval for its own."""

    def squared(weights: Floats) -> tuple[float, Floats]:
        share = float(weights[0])
        return share**2, np.array([2 * share, 0.0])

    low, high = profile_interval(squared, np.array([0.8, 0.2]), 0.64, rows=200, quantile=plain)
    wilson = stats.binomtest(160, 200).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((wilson.low**2, wilson.high**2), abs=0.006)


# what might have come up


def test_each_class_gets_a_quarter_of_a_row() -> None:
    truth, predicted = np.array([0] * 8 + [1] * 2), np.array([0] * 6 + [1] * 4)
    result = supported(truth, [predicted])
    rows = {
        (int(t), int(p)): w * 10.5
        for t, p, w in zip(result.truth, result.predicted[0], result.weights, strict=True)
    }
    right = 8.5 / 11
    assert rows == {
        (0, 0): pytest.approx(6 + 0.25 * right),
        (1, 1): pytest.approx(2 + 0.25 * right),
        (0, 1): pytest.approx(2 + 0.25 * (1 - right)),
        (1, 0): pytest.approx(0.25 * (1 - right)),
    }
    assert result.weights.sum() == pytest.approx(1.0)


def test_a_class_is_mistaken_as_it_mostly_is() -> None:
    truth = np.array([0] * 9 + [1] * 5 + [2] * 3)
    predicted = truth.copy()
    predicted[:2] = [2, 2]  # 0 is read as 2, twice
    result = supported(truth, [predicted])
    cells = set(zip(result.truth.tolist(), result.predicted[0].tolist(), strict=True))
    assert cells == {(0, 0), (1, 1), (2, 2), (0, 2), (2, 0), (1, 0), (0, 1)}
    (weight,) = result.weights[(result.truth == 0) & (result.predicted[0] == 2)]
    wrong = 2.5 / 18  # both from the side of 0 and from that of 2
    assert weight * 17.75 == pytest.approx(2 + 0.25 * wrong)


def test_of_two_models_each_pattern_might_come_up() -> None:
    truth = np.array([0] * 10 + [1] * 10)
    result = supported(truth, [truth, truth])
    cells = set(zip(result.truth.tolist(), *(p.tolist() for p in result.predicted), strict=True))
    assert cells == {(t, one, two) for t in (0, 1) for one in (0, 1) for two in (0, 1)}
    fixed = sum(
        w for t, one, two, w in zip(result.truth, *result.predicted, result.weights, strict=True)
        if one != t and two == t
    )  # fmt: skip
    assert fixed * 20.5 == pytest.approx(0.5 * 0.25 / 21)


def test_labels_might_be_missed_and_made_up() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    result = supported(truth, [truth])
    rows = {
        (tuple(map(int, t)), tuple(map(int, p))): w * 4.5
        for t, p, w in zip(result.truth, result.predicted[0], result.weights, strict=True)
    }
    right = 4.5 / 5  # of the four labels that are there
    assert rows == {
        ((1, 1), (1, 1)): pytest.approx(1),
        ((0, 0), (0, 0)): pytest.approx(1),
        ((1, 0), (1, 0)): pytest.approx(1 + 0.25 * right),
        ((0, 1), (0, 1)): pytest.approx(1 + 0.25 * right),
        ((1, 0), (0, 0)): pytest.approx(0.125 * (1 - right)),
        ((0, 1), (0, 0)): pytest.approx(0.125 * (1 - right)),
        ((0, 0), (1, 0)): pytest.approx(0.125 * (1 - right)),
        ((0, 0), (0, 1)): pytest.approx(0.125 * (1 - right)),
    }


def test_a_rare_class_that_is_all_right_is_the_least_sure() -> None:
    """28 of one class and 2 of another, all right: macro F1 may be far below accuracy."""
    truth = np.array([0] * 28 + [1] * 2)
    result = supported(truth, [truth])
    tally = CountedUnits.of(result.truth, result.predicted[0])

    def macro(weights: Floats) -> tuple[float, Floats]:
        score, slopes = score_of("f1_macro", tally.count(weights), 1)
        return score, tally.slope_of_units(slopes)

    low, high = profile_interval(macro, result.weights, 1.0, rows=30)
    assert high == 1.0
    assert 0.6 < low < stats.binomtest(30, 30).proportion_ci(0.95, method="wilson").low
    assert not math.isnan(low)
