from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tunesmith.metrics import bootstrap
from tunesmith.metrics.bootstrap import Units, interval_of_draws, scores_of_draws, values_of_draws
from tunesmith.metrics.scores import Interval, Metric


def classes(rows: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int64, rows, elements=st.integers(0, 3))


pairs = st.integers(1, 25).flatmap(lambda n: st.tuples(classes(n), classes(n)))


@given(pairs)
def test_units_are_the_rows_whatever_their_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(len(pair[0]))
    units = Units.of(*pair)
    assert units.key == Units.of(*(column[order] for column in pair)).key
    assert units.counts.sum() == len(order)
    written_out = np.repeat(np.stack(units.columns), units.counts, axis=1)
    assert sorted(map(tuple, written_out.T)) == sorted(zip(*pair, strict=True))


def test_units_keep_shapes_and_types() -> None:
    truth, predicted = np.array([[1, 0], [1, 0], [0, 0]]), np.array([0.5, 0.5, 0.25], np.float32)
    units = Units.of(truth, predicted)
    assert len(units) == 2
    assert units.columns[0].tolist() == [[0, 0], [1, 0]]
    assert units.columns[1].tolist() == [0.25, 0.5]
    assert [column.dtype for column in units.columns] == [truth.dtype, np.float32]
    assert units.counts.tolist() == [1, 2]
    assert units.key != Units.of(truth[1:], predicted[1:]).key


@given(pairs)
@settings(max_examples=20)
def test_draws_are_as_large_as_the_data(pair: tuple[np.ndarray, np.ndarray]) -> None:
    units = Units.of(*pair)
    weights = np.concatenate(list(units.draws(7, seed=3)))
    assert weights.shape == (7, len(units))
    assert (weights.sum(axis=1) == len(pair[0])).all()
    again = np.concatenate(list(units.draws(7, seed=3)))
    assert (weights == again).all()


def test_rows_are_drawn_independently() -> None:
    units = Units((np.arange(2),), np.array([30, 10]))
    drawn = np.concatenate(list(units.draws(20_000, seed=0)))[:, 0]
    assert drawn.mean() == pytest.approx(30, abs=0.1)
    assert drawn.var() == pytest.approx(7.5, rel=0.05)


def test_very_many_units_are_drawn_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Units((np.arange(1_000.0),), np.ones(1_000, dtype=np.int64))
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 3_000)
    for most, expected in ((500_000, 500), (1_000, 200), (10_000_000, 2_000)):
        monkeypatch.setattr(bootstrap, "_MOST", most)
        shapes = [part.shape for part in units.draws(2_000, seed=0)]
        assert sum(rows for rows, _units in shapes) == expected
        assert shapes[0] == (3, 1_000)
        assert sum(len(part) for part in units.draws(50, seed=0)) == 50


def test_only_scores_of_single_examples_are_drawn() -> None:
    def total(predicted: np.ndarray, truth: np.ndarray, positive: int) -> float:
        return float(predicted[:, 0].sum() / truth.sum() + positive)

    predicted, truth = np.array([[1.0, 9.0], [3.0, 9.0]]), np.array([2.0, 2.0])
    metrics = [Metric("total", (), total, by_example=True), Metric("other", (), total)]
    result = scores_of_draws(metrics, 7)((truth, predicted), np.array([[2, 0], [1, 1]]))
    assert {name: list(values) for name, values in result.items()} == {"total": [7.5, 8.0]}


def test_the_value_unchanged_and_those_of_draws() -> None:
    units = Units((np.array([1.0, 2.0]), np.zeros(2)), np.array([1, 3]))
    mean = Metric("mean", (), lambda _predicted, truth, _p: float(truth.mean()), by_example=True)
    points, values = values_of_draws(units, scores_of_draws([mean], 1), seed=0, draws=50)
    assert points == {"mean": 1.75}
    weights = np.concatenate(list(units.draws(50, seed=0)))
    assert values["mean"].tolist() == (weights @ units.columns[0] / 4).tolist()


# from draws to an interval


def test_it_is_as_wide_as_students() -> None:
    """Draws of a mean of n rows vary less than the rows by (n - 1) / n."""
    for rows in (10, 400):
        drawn = stats.norm.ppf(np.linspace(0, 1, 200_001)[1:-1]) / np.sqrt(rows)
        reported = interval_of_draws(0.0, drawn * np.sqrt((rows - 1) / rows), rows)
        expected = stats.t.ppf(0.975, rows - 1) / np.sqrt(rows)
        assert reported is not None
        assert (reported.low, reported.high) == pytest.approx((-expected, expected), rel=2e-3)


def test_it_holds_the_value_and_leaves_out_what_is_not_finite() -> None:
    drawn = np.linspace(1, 2, 11)
    reported = interval_of_draws(5.0, drawn, 1_000)
    assert reported == Interval(pytest.approx(1.025, abs=2e-3), 5.0)
    assert interval_of_draws(0.0, drawn, 1_000) == Interval(0.0, pytest.approx(1.975, abs=2e-3))
    half = np.concatenate([drawn, np.full(11, np.nan)])
    assert interval_of_draws(1.5, half, 1_000) == interval_of_draws(1.5, drawn, 1_000)
    assert interval_of_draws(1.5, np.append(half, np.inf), 1_000) is None


def test_draws_that_do_not_differ_give_no_interval() -> None:
    assert interval_of_draws(1.0, np.ones(50), 50) is None
    assert interval_of_draws(np.nan, np.arange(9.0), 50) is None
    assert interval_of_draws(3.0, np.arange(9.0), 1) is None
    assert interval_of_draws(3.0, np.arange(9.0), 2) is not None
