from __future__ import annotations

import numpy as np
import pytest

from tunesmith.data.encoded import Ragged
from tunesmith.errors import RecipeError
from tunesmith.metrics.thresholds import Goal
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.question_answering.answer_kind import as_objects
from tunesmith.tasks.question_answering.answers import answer_rows
from tunesmith.tasks.question_answering.calibrator import AnswerCalibrator
from tunesmith.tasks.question_answering.rows import Asked, Span

COUNT = 200
CONTEXT = "Paris or Rome"
PLACES = np.array([[0, 5], [9, 13]], dtype=np.int32)


@pytest.fixture(scope="module")
def rows() -> tuple[Predictions, np.ndarray]:
    """Scores four times as large as they ought to be; a third of the rows has no answer."""
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(COUNT, 3))
    powers = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    truth = [draw.choice(3, p=each) for each in powers]
    golds = [(Span("Paris", 0),), (Span("Rome", 9),), ()]
    best = scores[:, :2].argsort(axis=1)[:, ::-1]
    predictions = {
        "spans": Ragged(PLACES[best].reshape(-1, 2), np.full(COUNT, 2)),
        "scores": Ragged(4 * np.take_along_axis(scores, best, 1).reshape(-1), np.full(COUNT, 2)),
        "null": 4 * scores[:, 2],
    }
    return predictions, as_objects(Asked("Where?", CONTEXT, golds[i]) for i in truth)


def test_the_temperature_makes_answers_as_probable_as_they_are_right(
    rows: tuple[Predictions, np.ndarray],
) -> None:
    predictions, truth = rows
    calibrator = AnswerCalibrator("answers", 0.5)
    fit = calibrator.fit(predictions, truth, goal=None)
    assert fit.calibration.temperature == pytest.approx(4, rel=0.35)
    assert fit.after.ece < fit.before.ece / 2 and fit.after.loss < fit.before.loss
    assert (fit.after.accuracy, fit.after.coverage) == (fit.before.accuracy, 1.0)
    contexts = [CONTEXT] * COUNT
    plain, scaled = (
        list(answer_rows(each, contexts, threshold=0.5))
        for each in (predictions, calibrator.scaled(fit.calibration, predictions))
    )
    assert [one.chosen for one in plain] == [one.chosen for one in scaled]
    assert any(one.is_empty for one in plain)


def test_uncertain_answers_are_not_given(rows: tuple[Predictions, np.ndarray]) -> None:
    predictions, truth = rows
    calibrator = AnswerCalibrator("answers", 0.0)
    fit = calibrator.fit(predictions, truth, goal=Goal.read("accuracy=0.7"))
    assert fit.after.accuracy is not None and fit.after.accuracy >= 0.7
    assert 0 < fit.after.coverage < 1
    _decided, answered = calibrator.decide(fit.calibration, predictions)
    assert answered.mean() == fit.after.coverage
    sure = calibrator.with_threshold(None, 0.9)
    confidence = [one.score for one in answer_rows(predictions, [CONTEXT] * COUNT, threshold=0.0)]
    np.testing.assert_array_equal(
        calibrator.decide(sure, predictions)[1], np.array(confidence) >= 0.9
    )
    with pytest.raises(RecipeError, match="R181"):
        calibrator.fit(predictions, truth, goal=Goal.read("f1"))


def test_where_there_always_is_an_answer_none_has_no_probability() -> None:
    predictions = {
        "spans": Ragged(PLACES, np.array([2, 0])),
        "scores": Ragged(np.array([1.0, 1.0]), np.array([2, 0])),
        "null": np.array([50.0, 50.0]),
    }
    truth = as_objects([Asked("Where?", CONTEXT, (Span("Paris", 0),))] * 2)
    report = AnswerCalibrator("answers", None)
    measured = report.measure(report.with_threshold(None, 0.0), predictions, truth)
    assert measured.accuracy == 0.5
