from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith.data.columns import Roles
from tunesmith.errors import ModelError, RecipeError
from tunesmith.inference.decisions import choose_calibration, decided_answers, decided_scores
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.scores import METRICS
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

ROLES = Roles("text", None, "label")
ONE = TextClassification(ROLES, ("no", "yes"))
SEVERAL = MultiLabelClassification(ROLES, ("a", "b"))
NUMBER = TextRegression(ROLES)
KEPT = Calibration("classes", 2.0, "positive", {"no": 0.7, "yes": 0.3}, "f1")
FACTS: dict[str, Any] = {"calibration": {**KEPT.as_json(), "rows": 9}}


def chosen(task: Any, facts: Any = None, **requested: Any) -> Calibration | None:
    arguments = {"calibrated": False, "threshold": None, **requested}
    return choose_calibration(task, facts or {}, name="model", **arguments)


def test_what_is_followed() -> None:
    assert chosen(ONE, FACTS) is None
    assert chosen(ONE, FACTS, calibrated=True) == KEPT
    plain = chosen(ONE, FACTS, threshold=0.9)
    assert plain == Calibration("classes", 1.0, "unsure", {"no": 0.9, "yes": 0.9})
    both = chosen(ONE, FACTS, calibrated=True, threshold=0.9)
    assert both == Calibration("classes", 2.0, "unsure", {"no": 0.9, "yes": 0.9})
    several = chosen(SEVERAL, threshold=0.2)
    assert several == Calibration("labels", 1.0, "each", {"a": 0.2, "b": 0.2})


def test_what_cannot_be_followed() -> None:
    with pytest.raises(ModelError, match="M152"):
        chosen(ONE, calibrated=True)
    with pytest.raises(RecipeError, match="R187"):
        chosen(ONE, threshold=1.5)
    with pytest.raises(RecipeError, match="R184"):
        chosen(NUMBER, threshold=0.5)


LOGITS = np.array([[2.0, 1.0], [2.0, -4.0], [0.0, 3.0]], np.float32)


def test_the_score_is_that_of_the_answer() -> None:
    answers = decided_answers(ONE, KEPT, {"logits": LOGITS}, ())
    assert [answer["label"] for answer in answers] == ["yes", "no", "yes"]
    shares = 1 / (1 + np.exp(-(LOGITS[:, 1] - LOGITS[:, 0]) / 2))
    assert [answer["score"] for answer in answers] == pytest.approx(
        [shares[0], 1 - shares[1], shares[2]]
    )


def test_an_abstained_answer_has_no_label_but_its_probabilities() -> None:
    abstained = Calibration("classes").with_threshold(ONE.output, 0.9)
    answers = decided_answers(ONE, abstained, {"logits": LOGITS}, ())
    plain = ONE.decode({"logits": LOGITS}, ())
    assert [answer["label"] for answer in answers] == [None, "no", "yes"]
    for one, other in zip(answers, plain, strict=True):
        assert one["scores"] == pytest.approx(other["scores"])
        assert one["score"] == pytest.approx(other["score"])


def test_several_labels_from_their_own_thresholds_on() -> None:
    result = Calibration("labels", 1.0, "each", {"a": 0.9, "b": 0.2})
    answers = decided_answers(SEVERAL, result, {"logits": LOGITS}, ())
    assert [answer["label"] for answer in answers] == [["b"], [], ["b"]]


def test_scores_of_what_is_answered() -> None:
    metrics = [METRICS["accuracy"], METRICS["f1"]]
    abstained = Calibration("classes").with_threshold(ONE.output, 0.9)
    scores = decided_scores(ONE, abstained, metrics, {"logits": LOGITS}, np.array([1, 0, 0]))
    assert list(scores.values) == ["accuracy", "f1", "loss", "ece", "coverage"]
    assert scores["accuracy"] == 0.5
    assert scores["coverage"] == pytest.approx(2 / 3)
    assert scores.higher_is_better["ece"] is False
    scores = decided_scores(ONE, KEPT, metrics, {"logits": LOGITS}, np.array([1, 0, 1]))
    assert scores["accuracy"] == 1
    assert "coverage" not in scores


def test_scores_of_nothing() -> None:
    never = Calibration("classes").with_threshold(ONE.output, 1.0)
    scores = decided_scores(
        ONE, never, [METRICS["accuracy"]], {"logits": LOGITS}, np.array([1, 0, 0])
    )
    assert scores["accuracy"] is None
    assert scores["coverage"] == 0
