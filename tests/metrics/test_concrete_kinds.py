from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.logits import KINDS, ONE, SEVERAL, drawn
from tunesmith.metrics.concrete_kinds import LabelSet, Number, SingleClass
from tunesmith.metrics.output_kinds import LabelKind, RowAnswers

NUMBER = Number(("stars",))


def recorded(kind: Any, raw: np.ndarray, truth: np.ndarray) -> RowAnswers:
    """The answers as they come back from a predictions file."""
    return kind.recorded(kind.decode(raw), truth)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
def test_stored_answers_are_those_of_the_raw_values(kind: LabelKind, seed: int) -> None:
    """And the raw values made of stored probabilities give them once more."""
    raw, truth = drawn(kind, 12, seed=seed)
    stored, direct = recorded(kind, raw, truth), kind.answers(raw, truth)
    assert (stored.predicted == direct.predicted).all()
    assert (stored.predicted == kind.decide(raw)).all()
    assert stored.probabilities == pytest.approx(direct.probabilities)
    again = kind.raw_values(kind.decode(raw))
    assert kind.probabilities(again) == pytest.approx(direct.probabilities)
    assert kind.losses(again, truth) == pytest.approx(kind.losses(raw, truth))


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_the_probabilities(kind: LabelKind) -> None:
    raw, truth = drawn(kind, 50, seed=1)
    answers, width = kind.answers(raw, truth), 1 if kind is ONE else 3
    assert kind.row_losses(answers) == pytest.approx(kind.losses(raw, truth) * width)
    right = kind.is_right(answers)
    assert right is not None
    assert (kind.merits(answers) == right).all()
    has = kind.indicators(truth)
    assert (right == (kind.indicators(answers.predicted) == has).all(axis=1)).all()
    assert {row for row, *_pair in kind.confusions(answers)} == set(np.flatnonzero(~right))


def test_one_class() -> None:
    raw = np.log([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    answers = ONE.answers(raw, np.array([0, 0]))
    assert list(ONE.confusions(answers)) == [(1, "a", "b")]
    assert ONE.confusion_matrix(answers).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert ONE.truth_probabilities(answers) == pytest.approx([0.7, 0.3])
    assert ONE.groups(answers.truth) == ["a", "a"]
    assert ONE.positive == 2 and SingleClass(("x", "y"), "x").positive == 0
    with pytest.raises(ValueError, match="not in tuple"):
        _index = SingleClass(("x", "y"), "z").positive
    assert ONE.decode(raw)[1]["label"] == "b"


def test_the_score_is_that_of_the_class_decided_on() -> None:
    probabilities = np.array([[0.2, 0.8], [0.4, 0.6]])
    assert ONE.certainties(probabilities, np.array([0, 1])).tolist() == [0.2, 0.6]
    assert SEVERAL.certainties(probabilities, np.array([[0, 0], [1, 1]])).tolist() == [0.8, 0.6]


def test_several_labels() -> None:
    answers = SEVERAL.answers(np.array([[1.0, -1.0, 2.0]]), np.array([[0, 0, 1]]))
    assert list(SEVERAL.confusions(answers)) == [(0, "without a", "a")]
    assert SEVERAL.confusion_matrix(answers) is None and SEVERAL.groups(answers.truth) is None
    assert [SEVERAL.format(np.array(e)) for e in ([1, 0, 1], [0, 0, 0])] == ["a|c", "none"]
    assert LabelSet(tuple("abc"), "; ").format([1, 1, 0]) == "a; b"
    assert SEVERAL.as_truth(np.array([[0.0, 1.0]])).dtype == np.int64


def test_numbers() -> None:
    raw, truth = np.array([[1.5], [4.0]], np.float32), np.array([1.0, 8.0])
    answers = recorded(NUMBER, raw, truth)
    assert NUMBER.row_losses(answers).tolist() == [0.25, 16.0]
    assert NUMBER.losses(raw, truth).tolist() == [0.25, 16.0]
    assert NUMBER.merits(answers).tolist() == [0.5, 4.0] and not NUMBER.higher_is_better
    assert NUMBER.is_right(answers) is None and list(NUMBER.confusions(answers)) == []
    assert NUMBER.format(0.12345678) == "0.123457"
    assert NUMBER.decode(raw)[0] == {"label": "stars", "score": 1.5, "scores": {"stars": 1.5}}


@pytest.mark.parametrize("kind", [ONE, SEVERAL])
def test_labels_in_another_order(kind: LabelKind) -> None:
    raw, truth = drawn(kind, 20, seed=4)
    other = type(kind)(("c", "a", "b"))
    order = [kind.names.index(name) for name in other.names]
    theirs = other.answers(raw[:, order], kind.answers(raw, truth).predicted)
    assert (kind.aligned(theirs.predicted, other) == kind.answers(raw, truth).predicted).all()


def test_strata_of_folds() -> None:
    assert ONE.strata(np.array([2, 0, 2])).tolist() == [1, 0, 1]
    assert SEVERAL.strata(np.array([[1, 0], [0, 0], [1, 0]])).tolist() == [1, 0, 1]
    assert set(NUMBER.strata(np.arange(100.0))) == set(range(10))
