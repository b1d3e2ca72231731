from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tunesmith.metrics import METRICS, Answers, Metric, compute
from tunesmith.resampling import Units, counted_kind, statistic_of

CLASSES, LABELS, NUMBERS = (
    [metric for metric in METRICS.values() if kind in metric.kinds]
    for kind in ("classes", "labels", "numbers")
)


def arrays(kind: str, rows: int) -> st.SearchStrategy[np.ndarray]:
    if kind == "classes":
        return hnp.arrays(np.int64, rows, elements=st.integers(0, 3))
    if kind == "labels":
        return hnp.arrays(np.int64, (rows, 3), elements=st.integers(0, 1))
    return hnp.arrays(np.float64, rows, elements=st.integers(-3, 3).map(float))


def both(kind: str) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 25).flatmap(lambda n: st.tuples(arrays(kind, n), arrays(kind, n)))


@pytest.mark.parametrize(
    ("kind", "metrics"), [("classes", CLASSES), ("labels", LABELS), ("numbers", NUMBERS)]
)
@given(data=st.data(), positive=st.integers(0, 3))
@settings(max_examples=8)
def test_a_draw_scores_as_its_rows_do(
    kind: str, metrics: list[Metric], data: st.DataObject, positive: int
) -> None:
    """The law of the module: weights give what the metric gives for the rows written out."""
    truth, predicted = data.draw(both(kind))
    answers = Answers(metrics, predicted, truth, positive)
    assert counted_kind(answers) == (None if kind == "numbers" else kind)
    units = Units.of(truth, predicted)
    weights = np.concatenate(list(units.draws(2, by_class=kind == "classes", seed=1)))
    found = statistic_of(answers)(units.columns, weights)
    for draw, row in enumerate(weights):
        label, answer = (np.repeat(column, row.astype(int), axis=0) for column in units.columns)
        expected = compute(metrics, answer, label, positive=positive)
        for metric in metrics:
            value = expected[metric.name]
            told = found[metric.name][draw]
            assert told == pytest.approx(np.nan if value is None else value, nan_ok=True), metric


@given(both("classes"))
def test_units_are_the_rows_whatever_their_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(len(pair[0]))
    units = Units.of(*pair)
    assert units.key == Units.of(*(column[order] for column in pair)).key
    assert units.counts.sum() == len(order)
    written_out = np.repeat(np.stack(units.columns), units.counts, axis=1)
    assert sorted(map(tuple, written_out.T)) == sorted(zip(*pair, strict=True))


@given(both("classes"), st.booleans())
def test_draws_are_as_large_as_the_data(
    pair: tuple[np.ndarray, np.ndarray], by_class: bool
) -> None:
    units = Units.of(*pair)
    weights = np.concatenate(list(units.draws(7, by_class=by_class, seed=3)))
    assert weights.shape == (7, len(units))
    assert (weights.sum(axis=1) == len(pair[0])).all()
    if by_class:
        for name in set(pair[0].tolist()):
            drawn = weights[:, units.columns[0] == name].sum(axis=1)
            assert (drawn == (pair[0] == name).sum()).all()


def test_both_ways_of_drawing_have_one_distribution() -> None:
    """Few units come from binomial numbers, many from rows; means and variances agree."""
    few = Units((np.zeros(2), np.arange(2)), np.array([30, 10]))
    many = Units((np.zeros(40), np.arange(40)), np.ones(40, dtype=np.int64))
    one = np.concatenate(list(few.draws(20_000, by_class=False, seed=0)))[:, 0]
    two = np.concatenate(list(many.draws(20_000, by_class=False, seed=0)))[:, :30].sum(axis=1)
    assert one.mean() == pytest.approx(30, abs=0.1) and two.mean() == pytest.approx(30, abs=0.1)
    assert one.var() == pytest.approx(7.5, rel=0.05) and two.var() == pytest.approx(7.5, rel=0.05)


def test_very_many_units_are_drawn_less_often() -> None:
    units = Units((np.arange(2_000_000.0),), np.ones(2_000_000, dtype=np.int64))
    first = next(units.draws(2_000, by_class=False, seed=0))
    assert first.shape == (1, 2_000_000)


def test_a_score_of_a_task_alone_is_drawn_if_it_says_so() -> None:
    def total(predicted: np.ndarray, truth: np.ndarray, _positive: int) -> float:
        return float(predicted[:, 0].sum() / truth.sum())

    predicted, truth = np.array([[1.0, 9.0], [3.0, 9.0]]), np.array([2.0, 2.0])
    for by_example in (True, False):
        metric = Metric("total", (), total, by_example=by_example)
        found = statistic_of(Answers([metric], predicted, truth))
        values = found((truth, predicted), np.array([[2.0, 0.0], [1.0, 1.0]]))
        assert {name: list(v) for name, v in values.items()} == (
            {"total": [0.5, 1.0]} if by_example else {}
        )


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_ranks_are_those_of_scipy(decimals: int) -> None:
    from scipy import stats

    random = np.random.default_rng(2)
    predicted = random.normal(size=500).round(decimals)
    truth = (predicted + random.normal(size=500)).round(decimals)
    units = Units.of(truth, predicted)
    (weights,) = units.draws(20, by_class=False, seed=1)
    statistic = statistic_of(Answers([METRICS["spearman"]], predicted, truth))
    found = statistic(units.columns, weights)["spearman"]
    for told, draw in zip(found, weights, strict=True):
        label, answer = (np.repeat(column, draw.astype(int)) for column in units.columns)
        assert told == pytest.approx(stats.spearmanr(answer, label).statistic, abs=1e-14)
