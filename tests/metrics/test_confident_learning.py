from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunesmith.metrics.confident_learning import (
    suspect_classes,
    suspect_labels,
    suspect_numbers,
)

Answers = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    """Probabilities, no two of a row alike, and labels for them."""
    rows, classes = draw(st.integers(1, 20)), draw(st.integers(2, 5))
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    probabilities = chance.dirichlet(np.full(classes, draw(st.sampled_from([0.2, 1.0, 5.0]))), rows)
    return probabilities, chance.integers(0, classes, rows)


def by_definition(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> list[bool]:
    """The off-diagonal of the confident joint, row by row as the paper words it."""
    rows, classes = probabilities.shape
    limits = [
        np.mean([probabilities[i, k] for i in range(rows) if labels[i] == k])
        if k in labels
        else np.inf
        for k in range(classes)
    ]
    result = []
    for i in range(rows):
        sure = [k for k in range(classes) if probabilities[i, k] >= limits[k] - 1e-9]
        best = max(sure, key=lambda k: probabilities[i, k]) if sure else labels[i]
        is_likelier = probabilities[i, best] > probabilities[i, labels[i]]
        result.append(bool(best != labels[i] and is_likelier))
    return result


@given(answers())
def test_as_the_paper_defines_it(drawn: Answers) -> None:
    probabilities, labels = drawn
    result = suspect_classes(probabilities, labels)
    assert result.is_suspect.tolist() == by_definition(probabilities, labels)
    assert (result.suggested != labels).tolist() == result.is_suspect.tolist()
    ordered = result.margin[result.order]
    assert (np.diff(ordered) >= 0).all() and len(ordered) == result.is_suspect.sum()
    assert (result.margin[result.is_suspect] < 0).all()


@given(answers())
def test_the_order_of_rows_and_of_classes_means_nothing(drawn: Answers) -> None:
    probabilities, labels = drawn
    rng = np.random.default_rng(len(labels))
    rows, classes = rng.permutation(len(labels)), rng.permutation(probabilities.shape[1])
    plain = suspect_classes(probabilities, labels)
    mixed = suspect_classes(probabilities[rows][:, np.argsort(classes)], classes[labels[rows]])
    assert (mixed.is_suspect == plain.is_suspect[rows]).all()
    assert (mixed.suggested == classes[plain.suggested[rows]]).all()
    assert np.allclose(mixed.margin, plain.margin[rows])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_perfect_answers_suspect_no_one(labels: list[int]) -> None:
    truth = np.array(labels)
    assert not suspect_classes(np.eye(4)[truth], truth).is_suspect.any()
    assert not suspect_labels(np.eye(4)[truth], np.eye(4, dtype=np.uint8)[truth]).is_suspect.any()
    assert not suspect_numbers(truth.astype(float), truth.astype(float)).is_suspect.any()


def test_a_class_that_is_never_sure_needs_less() -> None:
    """0.6 is much for class 1, whose rows have 0.55; not for class 0, whose rows have 0.95."""
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.45, 0.55]] * 8 + [[0.4, 0.6], [0.6, 0.4]])
    labels = np.array([0] * 4 + [1] * 8 + [0, 1])
    assert np.flatnonzero(suspect_classes(probabilities, labels).is_suspect).tolist() == [12]


@given(answers())
def test_one_label_is_two_classes(drawn: Answers) -> None:
    probabilities, labels = drawn
    share, truth = probabilities[:, 1:2], (labels == 1).astype(np.uint8)[:, None]
    as_label = suspect_labels(share, truth)
    as_class = suspect_classes(np.hstack([1 - share, share]), truth[:, 0].astype(np.int64))
    assert (as_label.is_suspect == as_class.is_suspect).all()
    assert (as_label.suggested[:, 0] == as_class.suggested).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_numbers_far_out_whatever_the_unit(scale: float) -> None:
    chance = np.random.default_rng(1)
    predicted = chance.normal(size=200) * scale
    targets = predicted + chance.normal(size=200) * 0.1 * scale
    targets[[3, 50]] += scale
    result = suspect_numbers(predicted, targets)
    assert set(result.order[:2].tolist()) == {3, 50} and result.is_suspect.sum() <= 4
    assert result.suggested[3] == predicted[3] and result.suggested[4] == targets[4]


def test_without_spread_only_what_differs() -> None:
    result = suspect_numbers(np.zeros(5), np.array([0.0, 0, 0, 0, 2]))
    assert result.is_suspect.tolist() == [False] * 4 + [True]
    assert not suspect_numbers(np.zeros(0), np.zeros(0)).is_suspect.any()
