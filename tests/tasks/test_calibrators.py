"""Calibration of answers with known labels: the functions of `metrics.calibration` on logits."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged
from tunesmith.metrics.calibration import Calibration, calibrate, measure
from tunesmith.metrics.thresholds import Goal
from tunesmith.tasks.calibrators import LabelCalibrator, of_rows
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

TASK = TextClassification(Roles("text", None, "label"), ("no", "yes"))
LOGITS = np.random.default_rng(2).normal(size=(40, 2)) * 4
TRUTH = (LOGITS[:, 1] + np.random.default_rng(3).normal(size=40) * 3 > 0).astype(np.int64)


def test_a_task_with_known_labels_has_one() -> None:
    assert TASK.calibrator == LabelCalibrator(TASK.output)
    assert TASK.calibrator.labels == ("no", "yes")
    assert TextRegression(Roles("text", None, "label")).calibrator is None


def test_it_fits_scales_and_decides_on_logits() -> None:
    calibrator, predictions = LabelCalibrator(TASK.output), {"logits": LOGITS}
    fit = calibrator.fit(predictions, TRUTH, goal=Goal("f1"))
    assert fit == calibrate(TASK.output, LOGITS, TRUTH, goal=Goal("f1"))
    report = calibrator.measure(fit.calibration, predictions, TRUTH)
    assert report == measure(TASK.output, fit.calibration, LOGITS, TRUTH)
    scaled = calibrator.scaled(fit.calibration, predictions)["logits"]
    np.testing.assert_allclose(scaled, LOGITS / fit.calibration.temperature)
    decision, answered = calibrator.decide(fit.calibration, predictions)
    assert set(np.unique(decision["logits"])) == {-1.0, 1.0} and answered.all()


def test_stored_answers_give_their_logits_back() -> None:
    answers = TASK.decode({"logits": LOGITS}, ())
    again = LabelCalibrator(TASK.output).recorded(answers)["logits"]
    np.testing.assert_allclose(np.diff(again), np.diff(LOGITS), rtol=1e-6)


def test_one_threshold_replaces_those_of_a_goal() -> None:
    calibrator = LabelCalibrator(TASK.output)
    fitted = Calibration("classes", 2.0, "positive", {"no": 0.7, "yes": 0.3}, "f1")
    result = calibrator.with_threshold(fitted, 0.9)
    assert result == Calibration("classes", 2.0, "unsure", {"no": 0.9, "yes": 0.9})
    assert calibrator.with_threshold(None, 0.9).temperature == 1.0


@pytest.mark.parametrize("chosen", [[True, False, True], [False] * 3])
def test_predictions_of_some_rows(chosen: list[bool]) -> None:
    values = {"a": np.arange(3), "b": Ragged(np.arange(6), np.array([1, 2, 3]))}
    some = of_rows(values, np.array(chosen))
    assert [len(each) for each in some.values()] == [sum(chosen)] * 2
