from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from tunesmith.metrics.intervals import (
    CORRELATIONS,
    Correlation,
    Z,
    correlation_difference,
    fraction_interval,
    mean_interval,
    paired_fraction_interval,
    t_quantile,
)
from tunesmith.metrics.scores import Interval


@pytest.mark.parametrize(("degrees", "margin"), [(5, 1e-3), (10, 1e-4), (29, 1e-6), (1999, 1e-9)])
def test_quantiles_are_those_of_scipy(degrees: int, margin: float) -> None:
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=margin)


HANDBOOK = (
    (4, {3: 1, 1: 1}),
    (96, {5: 5, 3: 16, 1: 3}),
    (384, {7: 3, 5: 19, 3: 17, 1: -15}),
    (92160, {9: 79, 7: 776, 5: 1482, 3: -1920, 1: -945}),
)
"""Divisors and coefficients by power, of 26.7.5 in Abramowitz and Stegun."""


@pytest.mark.parametrize("degrees", [1, 2, 7.5])
def test_quantiles_are_the_expansion_of_the_handbook(degrees: float) -> None:
    terms = [sum(c * Z**power for power, c in row.items()) / by for by, row in HANDBOOK]
    expected = Z + sum(term / degrees**i for i, term in enumerate(terms, start=1))
    assert t_quantile(degrees) == pytest.approx(expected, rel=1e-13)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_of_a_fraction_it_is_wilsons(case: tuple[int, int]) -> None:
    part, whole = case
    expected = stats.binomtest(part, whole).proportion_ci(0.95, method="wilson")
    reported = fraction_interval(part, whole)
    assert reported.low == pytest.approx(expected.low, abs=1e-12)
    assert reported.high == pytest.approx(expected.high, abs=1e-12)
    assert part / whole in reported


def test_the_ends_of_a_fraction_are_exact() -> None:
    assert fraction_interval(0, 9).low == 0.0
    assert fraction_interval(9, 9).high == 1.0
    assert fraction_interval(0, 0) == Interval(0.0, 1.0)
    assert fraction_interval(48, 60) == Interval(
        pytest.approx(0.6822, abs=1e-4), pytest.approx(0.8817, abs=1e-4)
    )


def score_statistic(difference: float, fixed: int, broken: int, rows: int) -> float:
    """Tango's by its definition: the likeliest cells with this difference, found by a search."""

    def loss(share: float) -> float:  # of broken rows; fixed ones are this and the difference
        cells = (share + difference, share, 1 - 2 * share - difference)
        counts = (fixed, broken, rows - fixed - broken)
        return -sum(n * math.log(max(p, 1e-300)) for n, p in zip(counts, cells, strict=True) if n)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = optimize.minimize_scalar(
        loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    variance = rows * (2 * share + difference - difference**2)
    return (fixed - broken - rows * difference) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("fixed", "broken", "rows"), [(10, 2, 60), (6, 0, 30), (1, 1, 30), (40, 55, 400), (30, 1, 32)]
)
def test_the_ends_of_a_paired_difference_are_just_not_rejected(
    fixed: int, broken: int, rows: int
) -> None:
    reported = paired_fraction_interval(fixed, broken, rows)
    for end, sign in ((reported.low, 1), (reported.high, -1)):
        assert sign * score_statistic(end, fixed, broken, rows) == pytest.approx(Z, abs=2e-3)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
def test_a_paired_difference_turns_with_its_sides(fixed: int, broken: int, same: int) -> None:
    rows = fixed + broken + same + 1
    reported = paired_fraction_interval(fixed, broken, rows)
    back = paired_fraction_interval(broken, fixed, rows)
    assert (reported.low, reported.high) == (-back.high, -back.low)
    assert -1 <= reported.low < (fixed - broken) / rows < reported.high <= 1


def test_no_row_that_differs_is_no_proof_that_none_will() -> None:
    reported = paired_fraction_interval(0, 0, 60)
    assert reported.high == pytest.approx(Z**2 / (60 + Z**2), abs=1e-9)
    assert reported.low == -reported.high


def test_of_a_mean_it_is_students_where_nothing_is_skewed() -> None:
    values = np.random.default_rng(0).normal(3, 2, 40)
    values = np.concatenate([values, 6 - values])
    reported = mean_interval(values)
    expected = stats.t.interval(0.95, 79, values.mean(), stats.sem(values))
    assert reported is not None
    assert (reported.low, reported.high) == pytest.approx(expected, abs=1e-9)


def test_of_skewed_values_it_reaches_further_to_the_long_side() -> None:
    values = np.random.default_rng(1).exponential(size=80)
    reported, mirrored = mean_interval(values), mean_interval(-values)
    assert reported is not None and mirrored is not None
    mean = values.mean()
    plain = stats.t.interval(0.95, 79, mean, stats.sem(values))
    assert reported.high - mean > plain[1] - mean > 0
    assert 0 < mean - reported.low < mean - plain[0]
    assert (reported.low, reported.high) == pytest.approx((-mirrored.high, -mirrored.low))
    bend = stats.skew(values, bias=True) * (79 / 80) ** 1.5 / math.sqrt(80)
    for end in (reported.low, reported.high):  # Hall's polynomial of the end is Student's quantile
        t = (mean - end) / stats.sem(values)
        polynomial = t + bend * t**2 / 3 + bend**2 * t**3 / 27 + bend / 6
        assert abs(polynomial) == pytest.approx(stats.t.ppf(0.975, 79), abs=1e-4)


def test_a_mean_without_spread_has_no_interval() -> None:
    assert mean_interval(np.full(30, 0.5)) is None
    assert mean_interval(np.array([0.5])) is None
    assert mean_interval(np.array([0.5, 0.6])) is not None


def test_of_normal_columns_it_is_fishers() -> None:
    random = np.random.default_rng(4)
    x = random.uniform(size=100)  # of a uniform column the rows move less than the formula says
    y = x + random.uniform(size=100)
    reported = CORRELATIONS["pearson"](x, y)
    assert reported is not None
    assert reported.value == pytest.approx(stats.pearsonr(x, y).statistic)
    half = stats.t.ppf(0.975, 98) / math.sqrt(97)
    middle = math.atanh(reported.value)
    expected = (math.tanh(middle - half), math.tanh(middle + half))
    assert (reported.interval.low, reported.interval.high) == pytest.approx(expected, abs=1e-6)


def test_of_ranks_it_is_bonetts_and_wrights() -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=60)
    y = x + 2 * random.normal(size=60)
    reported = CORRELATIONS["spearman"](x, y)
    assert reported is not None
    assert reported.value == pytest.approx(stats.spearmanr(x, y).statistic)
    half = stats.t.ppf(0.975, 58) * math.sqrt((1 + reported.value**2 / 2) / 57)
    middle = math.atanh(reported.value)
    expected = (math.tanh(middle - half), math.tanh(middle + half))
    assert (reported.interval.low, reported.interval.high) == pytest.approx(expected, abs=1e-6)


def test_rows_that_pull_make_a_correlation_less_sure() -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=200)
    y = x + random.standard_t(2.1, size=200)
    reported = Correlation.pearson(x, y)
    assert reported is not None
    robust = (reported.influence**2).mean() / (1 - reported.value**2) ** 2
    assert robust > 1.2
    half = stats.t.ppf(0.975, 198) * math.sqrt(robust / 197)
    assert reported.interval.high == pytest.approx(
        math.tanh(math.atanh(reported.value) + half), abs=1e-6
    )


@given(st.integers(0, 50), st.booleans())
def test_the_influence_of_a_row_is_what_it_moves(seed: int, by_ranks: bool) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=50).round(1)
    y = x + random.normal(size=50)
    reported = Correlation.pearson(x, y)
    assert reported is not None
    assert reported.influence.mean() == pytest.approx(0, abs=1e-12)
    weights, small = np.ones(50), 1e-5
    weights[3] += small

    def weighted(w: np.ndarray) -> float:
        return float(np.cov(x, y, aweights=w)[0, 1] / math.sqrt(
            np.cov(x, aweights=w) * np.cov(y, aweights=w)
        ))  # fmt: skip

    moved = (weighted(weights) - reported.value) / small * 50
    assert reported.influence[3] == pytest.approx(moved, abs=1e-3)


@pytest.mark.parametrize("rows", [30, 300])
def test_rows_on_a_line_are_no_certainty(rows: int) -> None:
    x = np.arange(rows, dtype=float)
    for pearson in (Correlation.pearson(x, 2 * x), Correlation.spearman(x, x**3)):
        assert pearson is not None
        assert pearson.value == pytest.approx(1.0)
        assert 1 - 3 / rows < pearson.interval.low < 1 - 0.5 / rows
        assert pearson.interval.high == pytest.approx(1.0, abs=1e-9)
    turned = Correlation.pearson(x, -x)
    assert turned is not None and turned.interval.low == pytest.approx(-1.0, abs=1e-9)


def test_what_has_no_correlation() -> None:
    x = np.arange(9.0)
    assert Correlation.pearson(x, np.ones(9)) is None
    assert Correlation.spearman(np.ones(9), x) is None
    assert Correlation.pearson(x[:3], x[:3]) is None
    assert Correlation.pearson(x[:4], x[:4]) is not None


def test_what_two_models_share_cancels() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=200)
    noise, others = random.normal(size=(2, 200))
    first = Correlation.pearson(truth + noise, truth)
    alike = Correlation.pearson(truth + noise + 0.01 * others, truth)
    apart = Correlation.pearson(truth + others, truth)
    assert first is not None and alike is not None and apart is not None
    near, far = correlation_difference(first, alike), correlation_difference(first, apart)
    assert near.high - near.low < 0.1 * (far.high - far.low)
    back = correlation_difference(apart, first)
    assert (back.low, back.high) == pytest.approx((-far.high, -far.low))
    assert apart.value - first.value in far
    same = correlation_difference(first, first)
    assert (same.low, same.high) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_of_independent_models_it_is_zous() -> None:
    low, high = np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    first = Correlation(0.5, Interval(0.4, 0.55), low)
    second = Correlation(0.7, Interval(0.66, 0.82), high)
    reported = correlation_difference(first, second)
    assert reported.low == pytest.approx(0.2 - math.hypot(0.7 - 0.66, 0.55 - 0.5))
    assert reported.high == pytest.approx(0.2 + math.hypot(0.82 - 0.7, 0.5 - 0.4))
    alike = correlation_difference(first, Correlation(0.7, Interval(0.66, 0.82), low))
    sizes = ((0.55 - 0.4) / 2, (0.82 - 0.66) / 2)  # what is left where all that is random is shared
    assert alike.low == pytest.approx(0.2 - (sizes[1] - sizes[0]))
    assert alike.high == pytest.approx(0.2 + (sizes[1] - sizes[0]))
    against = correlation_difference(first, Correlation(0.7, Interval(0.66, 0.82), -low))
    assert against.low == pytest.approx(0.2 - (0.04 + 0.05))
    assert against.high == pytest.approx(0.2 + (0.12 + 0.1))
