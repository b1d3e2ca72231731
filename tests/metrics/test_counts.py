from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tunesmith.metrics.counts import (
    CountedUnits,
    class_reports,
    is_counted,
    score_of,
    standard_metrics,
)
from tunesmith.metrics.scores import METRICS, Answers, Metric, compute

CLASSES, LABELS = (
    [metric for metric in METRICS.values() if kind in metric.kinds]
    for kind in ("classes", "labels")
)
KINDS = [("classes", CLASSES), ("labels", LABELS)]


def arrays(kind: str, rows: int) -> st.SearchStrategy[np.ndarray]:
    if kind == "classes":
        return hnp.arrays(np.int64, rows, elements=st.integers(0, 3))
    return hnp.arrays(np.int64, (rows, 3), elements=st.integers(0, 1))


def both(kind: str) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 12).flatmap(lambda n: st.tuples(arrays(kind, n), arrays(kind, n)))


@pytest.mark.parametrize(("kind", "metrics"), KINDS)
@given(data=st.data(), positive=st.integers(0, 4))
@settings(max_examples=15)
def test_a_score_of_counts_is_that_of_the_rows(
    kind: str, metrics: list[Metric], data: st.DataObject, positive: int
) -> None:
    """The law of the module: weights give what scikit-learn gives for the rows written out."""
    truth, predicted = data.draw(both(kind))
    weights = data.draw(hnp.arrays(np.int64, len(truth), elements=st.integers(0, 3)))
    rows = np.repeat(np.arange(len(truth)), weights)
    if not len(rows):
        return
    counts = CountedUnits.of(truth, predicted).count(weights.astype(float))
    expected = compute(metrics, predicted[rows], truth[rows], positive=positive)
    assert counts.rows == len(rows)
    for metric in metrics:
        reported = score_of(metric.name, counts, positive)[0]
        assert reported == pytest.approx(expected[metric.name], abs=1e-12), metric.name


@pytest.mark.parametrize(("kind", "metrics"), KINDS)
@given(data=st.data(), positive=st.integers(0, 3))
@settings(max_examples=10)
def test_slopes_are_the_derivatives(
    kind: str, metrics: list[Metric], data: st.DataObject, positive: int
) -> None:
    truth, predicted = data.draw(both(kind))
    units = CountedUnits.of(truth, predicted)
    weights = np.random.default_rng(len(truth)).uniform(0.5, 1.5, len(truth))
    small = 1e-6
    for metric in metrics:
        if metric.name == "matthews_correlation" and min(map(np.ptp, (truth, predicted))) == 0:
            continue  # it jumps where one side has one class only
        _score, slopes = score_of(metric.name, units.count(weights), positive)
        reported = units.slope_of_units(slopes)
        for unit in range(len(truth)):
            near = [weights.copy(), weights.copy()]
            near[0][unit] -= small
            near[1][unit] += small
            below, above = (score_of(metric.name, units.count(w), positive)[0] for w in near)
            expected = (above - below) / (2 * small)
            assert reported[unit] == pytest.approx(expected, abs=1e-6), (metric.name, unit)


def test_what_is_counted() -> None:
    truth, predicted = np.array([0, 1, 1, 3]), np.array([0, 1, 3, 3])
    counts = CountedUnits.of(truth, predicted).count(np.array([1.0, 2.0, 4.0, 8.0]))
    assert (counts.rows, counts.exact) == (15, 11)
    assert counts.both.tolist() == [1, 2, 0, 8]
    assert counts.claimed.tolist() == [1, 2, 0, 12]
    assert counts.real.tolist() == [1, 6, 0, 8]
    assert counts.averaged.tolist() == [True, True, False, True]
    sets = CountedUnits.of(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    counts = sets.count(np.array([1.0, 2.0]))
    assert (counts.rows, counts.exact) == (3, 1)
    assert counts.both.tolist() == [1, 2]
    assert counts.claimed.tolist() == [1, 2]
    assert counts.real.tolist() == [3, 2]
    assert counts.averaged.tolist() == [True, True]


def test_what_kind_is_counted() -> None:
    accuracy = METRICS["accuracy"]
    assert is_counted(Answers([accuracy], np.zeros(3, int), np.zeros(3, int)))
    assert is_counted(Answers([accuracy], np.zeros((3, 2)), np.zeros((3, 2))))
    assert not is_counted(Answers([METRICS["pearson"]], np.zeros(3), np.zeros(3)))
    own = Metric("accuracy", ("classes",), accuracy.function)  # of the name, yet another function
    assert not is_counted(Answers([own], np.zeros(3, int), np.zeros(3, int)))
    mixed = Answers([own, accuracy], np.zeros(3, int), np.zeros(3, int))
    assert is_counted(mixed)
    assert standard_metrics(mixed) == [accuracy]
    assert is_counted(Answers([], np.zeros(3, int), np.zeros(3, int)))


def test_a_report_for_each_class_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    random = np.random.default_rng(0)
    truth, predicted = random.random((50, 3)) < 0.4, random.random((50, 3)) < 0.5
    reports = class_reports("abc", truth, predicted)
    theirs = np.transpose(precision_recall_fscore_support(truth, predicted))
    for i, name in enumerate("abc"):
        one = reports[name]
        assert [one.precision, one.recall, one.f1, one.rows] == pytest.approx(theirs[i])
        assert one.predicted == predicted[:, i].sum()
    nothing = class_reports("a", np.zeros((2, 1), bool), np.zeros((2, 1), bool))["a"]
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)
