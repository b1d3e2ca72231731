"""Calibrated entities: the temperature is that of words, thresholds are those of types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged
from tunesmith.data.rows import Row
from tunesmith.errors import RecipeError
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.concrete_kinds import SingleClass
from tunesmith.metrics.temperature import fit_temperature
from tunesmith.metrics.thresholds import Goal
from tunesmith.tasks.token_classification.rows import joined
from tunesmith.tasks.token_classification.task import TokenClassification

RANDOM = np.random.default_rng(4)
WORDS = ["Ann", "Lee", "in", "Paris"]
TAGS = ["B-PER", "I-PER", "O", "B-LOC"]
ROWS = [Row(i, {"tokens": WORDS, "tags": TAGS}) for i in range(60)]
TASK = TokenClassification(Roles("tokens", None, "tags")).fit(ROWS)
SPANS = np.array(joined(WORDS)[1])


def predictions_of(logits: Any) -> dict[str, Ragged]:
    """Of so many rows of four words."""
    flat = np.asarray(logits, dtype=np.float32).reshape(-1, len(TASK.labels))
    lengths = np.full(len(flat) // 4, 4)
    return {
        "logits": Ragged(flat, lengths),
        "spans": Ragged(np.tile(SPANS, (len(lengths), 1)), lengths),
    }


def noisy(scale: float = 12.0) -> dict[str, Ragged]:
    """Right four times out of five, and too sure."""
    right = np.array([TASK.labels.index(tag) for tag in TAGS])
    chosen = np.tile(right, (60, 1))
    wrong = RANDOM.random(chosen.shape) < 0.2
    chosen[wrong] = RANDOM.integers(0, len(TASK.labels), wrong.sum())
    sure = scale * (0.2 + RANDOM.random(chosen.shape)) * np.where(wrong, 0.4, 1.0)
    logits = np.zeros((*chosen.shape, len(TASK.labels)))
    np.put_along_axis(logits, chosen[..., None], sure[..., None], axis=2)
    return predictions_of(logits)


TRUTH = TASK.targets(ROWS)
NOISY = noisy()


def test_the_temperature_is_that_of_words() -> None:
    fit = TASK.calibrator.fit(NOISY, TRUTH, goal=None)
    true = np.tile([TASK.labels.index(tag) for tag in TAGS], 60)
    expected = fit_temperature(SingleClass(TASK.labels), NOISY["logits"].flat, true)
    assert fit.calibration.temperature == pytest.approx(expected)
    assert expected > 1 and fit.rows == 60
    assert fit.after.loss < fit.before.loss
    assert fit.calibration.kind == "entities" and fit.calibration.thresholds is None


def test_an_entity_is_as_sure_as_its_least_sure_word() -> None:
    logits = np.zeros((4, 5))
    logits[range(4), [TASK.labels.index(tag) for tag in TAGS]] = [3.0, 1.0, 9.0, 2.0]
    predictions = predictions_of(logits)
    scaled = TASK.calibrator.scaled(Calibration("entities", 2.0), predictions)
    (answer,) = TASK.decode(scaled, ROWS[:1])
    shares = np.exp([0.5, 1.0]) / (np.exp([0.5, 1.0]) + 4)
    listed: Any = answer["label"]
    assert [one["score"] for one in listed] == pytest.approx(shares)


def test_thresholds_leave_out_entities_and_no_row() -> None:
    logits = np.zeros((8, 5))
    logits[range(8), [TASK.labels.index(tag) for tag in TAGS * 2]] = [3, 3, 9, 1, 1, 1, 9, 3]
    result = TASK.calibrator.with_threshold(None, 0.7)
    assert result.thresholds == {"LOC": 0.7, "PER": 0.7}
    decided, answered = TASK.calibrator.decide(result, predictions_of(logits))
    labels: Any = [answer["label"] for answer in TASK.decode(decided, ROWS[:2])]
    assert [[one["label"] for one in each] for each in labels] == [["PER"], ["LOC"]]
    assert answered.all()
    scores = TASK.score([TASK.metrics["recall"]], decided, TRUTH[:2], None)
    assert scores["recall"] == 0.5


def test_a_goal_gives_each_type_its_threshold() -> None:
    plain = TASK.calibrator.measure(Calibration("entities"), NOISY, TRUTH)
    fit = TASK.calibrator.fit(NOISY, TRUTH, goal=Goal("precision", 0.75))
    thresholds = fit.calibration.thresholds
    assert thresholds is not None and list(thresholds) == ["LOC", "PER"]
    for name, report in fit.after.classes.items():
        assert report.precision is not None and report.precision >= 0.75
        assert plain.classes[name].rows == report.rows == 60
    best = TASK.calibrator.fit(NOISY, TRUTH, goal=Goal("f1")).after.classes
    for name, report in plain.classes.items():
        assert (best[name].f1 or 0.0) >= (report.f1 or 0.0)
    with pytest.raises(RecipeError, match="R181"):
        TASK.calibrator.fit(NOISY, TRUTH, goal=Goal("accuracy", 0.9))


def test_classes_of_words_are_left_out_likewise() -> None:
    rows = [Row(0, {"tokens": ["a", "b"], "tags": ["N", "V"]})]
    task = TokenClassification(Roles("tokens", None, "tags")).fit(rows)
    lengths = np.array([2])
    predictions = {
        "logits": Ragged(np.array([[2.0, 0.0], [0.0, 0.5]], np.float32), lengths),
        "spans": Ragged(np.array([[0, 1], [2, 3]]), lengths),
    }
    decided, _answered = task.calibrator.decide(
        task.calibrator.with_threshold(None, 0.7), predictions
    )
    (answer,) = task.decode(decided, rows)
    label: Any = answer["label"]
    assert [one["text"] for one in label] == ["a"]


def test_nothing_marked_is_measured() -> None:
    logits = np.zeros((4, 5))
    logits[:, 0] = 5.0
    report = TASK.calibrator.measure(Calibration("entities"), predictions_of(logits), TRUTH[:1])
    assert (report.ece, report.curve, report.accuracy) == (0.0, [], 0.0)
