"""Answers that are one of a row's own choices."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.errors import RecipeError
from tunesmith.metrics.calibration import calibrate
from tunesmith.metrics.thresholds import Goal
from tunesmith.tasks.multiple_choice.choice_kind import ChoiceKind, letter

NONE = -np.inf
RAW = np.array([[1.0, 1.0, NONE], [0.0, 1.0, 2.0]])


def test_letters_then_numbers() -> None:
    assert [letter(i) for i in (0, 1, 25, 26)] == ["A", "B", "Z", "27"]


def test_the_first_of_equally_likely_choices_is_taken() -> None:
    kind = ChoiceKind.of(3)
    assert kind.decide(RAW).tolist() == [0, 2]
    np.testing.assert_allclose(kind.probabilities(RAW)[0], [0.5, 0.5, 0.0])
    assert kind.losses(RAW, np.array([1, 2]))[0] == pytest.approx(np.log(2))


def test_stored_answers_give_the_same() -> None:
    kind = ChoiceKind.of(3)
    answers = [
        {"label": "A", "score": 0.5, "scores": {"A": 0.5, "B": 0.5}},
        {"label": "C", "score": 0.6, "scores": {"A": 0.1, "B": 0.3, "C": 0.6}},
    ]
    raw = kind.raw_values(answers)
    assert raw[0, 2] == NONE and np.isfinite(raw[1]).all()
    recorded = kind.recorded(answers, np.array([1, 2]))
    assert recorded.predicted.tolist() == [0, 2]
    np.testing.assert_allclose(kind.truth_probabilities(recorded), [0.5, 0.6])
    assert kind.is_right(recorded).tolist() == [False, True]  # type: ignore[union-attr]


def test_letters_are_no_classes() -> None:
    kind = ChoiceKind.of(3)
    answers = kind.answers(RAW, np.array([1, 2]))
    assert not list(kind.confusions(answers))
    assert kind.groups(answers.truth) is None
    assert kind.suspects(answers) is None and kind.raw_kind is None


def test_a_temperature_and_one_threshold_for_all() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(400, 4)) * 3
    raw[::2, 3] = NONE
    truth = np.where(rng.random(400) < 0.6, raw.argmax(axis=1), rng.integers(0, 3, 400))
    kind = ChoiceKind.of(4)
    fit = calibrate(kind, raw, truth, goal=Goal.read("accuracy=0.8"))
    assert fit.calibration.temperature > 1.2 and fit.after.loss < fit.before.loss
    assert fit.calibration.rule == "unsure"
    assert len(set((fit.calibration.thresholds or {}).values())) == 1
    for goal in ("f1", "precision=0.9"):
        with pytest.raises(RecipeError, match="R181"):
            calibrate(kind, raw, truth, goal=Goal.read(goal))
