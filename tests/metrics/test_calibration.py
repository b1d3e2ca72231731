from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.logits import KINDS, NAMES, ONE, SEVERAL, drawn
from tunesmith.errors import RecipeError
from tunesmith.metrics.calibration import Calibration, calibrate, measure
from tunesmith.metrics.concrete_kinds import LabelSet, SingleClass
from tunesmith.metrics.output_kinds import LabelKind
from tunesmith.metrics.thresholds import Goal

seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.5, 0.8, 0.95])
TWO = SingleClass(("n", "y"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_temperature_alone(kind: LabelKind) -> None:
    logits, truth = drawn(kind, 3000, seed=0)
    fit = calibrate(kind, logits * 3, truth)
    assert fit.calibration == Calibration(kind.name, fit.calibration.temperature)
    assert fit.after.loss < fit.before.loss
    assert fit.after.ece < fit.before.ece / 2
    assert fit.after.accuracy == fit.before.accuracy
    assert fit.after.classes == fit.before.classes
    assert fit.rows == 3000
    assert fit.warnings == []


@given(seeds, shares)
def test_answers_are_as_accurate_as_requested(seed: int, at_least: float) -> None:
    logits, truth = drawn(ONE, 60, seed=seed)
    try:
        fit = calibrate(ONE, logits, truth, goal=Goal("accuracy", at_least))
    except RecipeError as error:
        assert error.problems[0].code == "R182"
        return
    assert fit.after.accuracy is not None
    assert fit.after.accuracy >= at_least - 1e-12
    assert 0 < fit.after.coverage <= 1
    assert len(set((fit.calibration.thresholds or {}).values())) == 1


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, at_least=shares)
def test_each_label_is_as_precise_as_requested(kind: LabelKind, seed: int, at_least: float) -> None:
    logits, truth = drawn(kind, 60, seed=seed)
    try:
        fit = calibrate(kind, logits, truth, goal=Goal("precision", at_least))
    except RecipeError as error:
        assert error.problems[0].code == "R182"
        return
    thresholds = fit.calibration.thresholds or {}
    for name, tally in fit.after.classes.items():
        if thresholds[name] is None:
            assert tally.predicted == 0
            assert any(name in problem.message for problem in fit.warnings)
        else:
            assert tally.precision is not None
            assert tally.precision >= at_least - 1e-12


@given(seeds)
def test_f1_is_not_below_that_of_one_half(seed: int) -> None:
    logits, truth = drawn(SEVERAL, 40, seed=seed)
    fit = calibrate(SEVERAL, logits, truth, goal=Goal("f1"))
    for name in NAMES:
        assert (fit.after.classes[name].f1 or 0) >= (fit.before.classes[name].f1 or 0) - 1e-12
    logits, truth = drawn(TWO, 40, seed=seed)
    for name in "ny":
        fit = calibrate(SingleClass(("n", "y"), name), logits, truth, goal=Goal("f1"))
        assert (fit.after.classes[name].f1 or 0) >= (fit.before.classes[name].f1 or 0) - 1e-12
        assert fit.after.coverage == 1


def test_thresholds_are_the_lowest_that_reach_their_goal() -> None:
    """Probabilities of "y": 0.9 is right, 0.8 and 0.6 are wrong; "n" is right both times."""
    shares = np.array([0.9, 0.1, 0.8, 0.3, 0.6])
    logits = np.stack([np.zeros(5), np.log(shares / (1 - shares))], axis=1)
    truth = np.array([1, 0, 0, 0, 0])
    for goal, rule in ((Goal("accuracy", 1.0), "unsure"), (Goal("precision", 1.0), "positive")):
        fit = calibrate(TWO, logits, truth, goal=goal)
        assert (fit.calibration.rule, fit.calibration.goal) == (rule, str(goal))
        tally = fit.after.classes["y"]
        assert (tally.predicted, tally.precision, tally.recall) == (1, 1.0, 1.0)
        assert fit.after.accuracy == 1.0
        assert fit.after.coverage == (0.4 if rule == "unsure" else 1.0)
    labels, has = logits[:, 1:], truth[:, np.newaxis]
    fit = calibrate(LabelSet(("y",)), labels, has, goal=Goal("precision", 1.0))
    assert (fit.after.classes["y"].predicted, fit.after.accuracy) == (1, 1.0)


def test_each_class_has_its_own_precision() -> None:
    """Three classes, each answered four times; only the surest two answers of "b" are right."""
    confident = np.array([4.0, 3.0, 2.0, 1.0] * 3)
    answer = np.repeat([0, 1, 2], 4)
    logits = np.zeros((12, 3))
    logits[np.arange(12), answer] = confident
    truth = np.where((answer == 1) & (confident < 2.5), 0, answer)
    fit = calibrate(ONE, logits, truth, goal=Goal("precision", 0.9))
    assert [fit.after.classes[name].predicted for name in NAMES] == [4, 2, 4]
    assert fit.after.coverage == pytest.approx(10 / 12)
    assert fit.after.accuracy == 1.0


@pytest.mark.parametrize(("factor", "codes"), [(1.02, []), (1.0, ["M151"]), (1.005, ["M151"])])
def test_the_coldest_and_hottest_areat_a_bound(factor: float, codes: list[str]) -> None:
    from tunesmith.metrics.calibration import at_a_bound
    from tunesmith.metrics.temperature import COLDEST, HOTTEST

    for temperature in (COLDEST * factor, HOTTEST / factor):
        assert [problem.code for problem in at_a_bound(temperature)] == codes


def test_a_goal_out_of_reach() -> None:
    logits, truth = np.tile([0.0, 1.0], (10, 1)), np.array([0, 1] * 5)
    for goal in (Goal("accuracy", 0.9), Goal("precision", 0.9)):
        with pytest.raises(RecipeError, match="R182"):
            calibrate(TWO, logits, truth, goal=goal)


def test_a_label_without_a_true_row_keeps_its_half() -> None:
    logits, truth = drawn(SEVERAL, 40, seed=0)
    truth[:, 1] = 0
    fit = calibrate(SEVERAL, logits, truth, goal=Goal("f1"))
    assert (fit.calibration.thresholds or {})["b"] == 0.5


def test_rows_that_are_all_right_say_little() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 3.0]])
    fit = calibrate(TWO, logits, np.array([0, 1]))
    assert [problem.code for problem in fit.warnings] == ["M151"]
    assert fit.calibration.temperature == 1
    fit = calibrate(TWO, logits, np.array([1, 0]))
    assert "knows nothing" in fit.warnings[0].message


def test_the_numbers_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    logits, truth = drawn(ONE, 200, seed=5)
    result = measure(ONE, Calibration("classes"), logits, truth)
    theirs = precision_recall_fscore_support(truth, logits.argmax(-1))
    for i, name in enumerate(NAMES):
        tally = result.classes[name]
        assert (tally.precision, tally.recall, tally.f1) == pytest.approx(
            tuple(values[i] for values in theirs[:3])
        )
    assert result.accuracy == accuracy_score(truth, logits.argmax(-1))


def test_where_nothing_is_answered_there_is_no_accuracy() -> None:
    logits, truth = drawn(ONE, 10, seed=0)
    result = measure(ONE, Calibration("classes").with_threshold(ONE, 1.0), logits, truth)
    assert result.coverage == 0
    assert result.accuracy is None


@pytest.mark.parametrize(
    ("kind", "goal", "rule"),
    [
        (TWO, "f1", "positive"),
        (TWO, "accuracy=0.1", "unsure"),
        (ONE, "precision=0.1", "unsure"),
        (SEVERAL, "f1", "each"),
        (ONE, "f1", r"R181.*\n.*precision=0.9 or accuracy"),
        (SEVERAL, "accuracy=0.9", "R181"),
    ],
)
def test_what_thresholds_do_for_a_goal(kind: LabelKind, goal: str, rule: str) -> None:
    logits, truth = drawn(kind, 60, seed=2)
    if rule.startswith("R181"):
        with pytest.raises(RecipeError, match=rule):
            calibrate(kind, logits, truth, goal=Goal.read(goal))
    else:
        assert calibrate(kind, logits, truth, goal=Goal.read(goal)).calibration.rule == rule
