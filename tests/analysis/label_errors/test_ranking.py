from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.label_errors.ranking import confused, slices, suspect, worst
from tunesmith.data.columns import Roles
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Concatenated, Row, Source
from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.tasks import Task
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

ROLES = Roles("text", None, "label")
CLASSES = TextClassification(ROLES, ("a", "b", "c"))


def answered(
    task: Task, labels: list[Any], outputs: list[Any], source: Source | None = None
) -> HeldOut:
    rows = [Row(10 + i, {"text": f"text {i}", "label": label}) for i, label in enumerate(labels)]
    return HeldOut("test", task, rows, answers_of(task, rows, np.array(outputs, float)), source)


def answers_of(task: Task, rows: list[Row], outputs: np.ndarray) -> RowAnswers:
    """Answers with these probabilities, or these numbers."""
    kind, truth = task.output.label_kind, task.targets(rows)
    return RowAnswers(truth, outputs) if kind is None else kind.of_probabilities(outputs, truth)


def test_classes() -> None:
    result = answered(
        CLASSES,
        ["a", "b", "b", "c"],
        [[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.0, 0.0, 1.0]],
    )
    first, second = worst(result, 2)
    assert (first.row, first.gold, first.predicted, first.share) == (11, "b", "a", 0.2)
    assert first.loss == pytest.approx(-np.log(0.2)) and second.row == 12
    assert str(first.place) == "test[11]" and first.text == "text 1"
    (pair,) = confused(result)
    assert (pair.gold, pair.predicted, pair.count, pair.worst.row) == ("b", "a", 2, 11)
    assert pair.as_json()["worst"]["place"] == "test[11]"  # type: ignore[index]


def test_a_loss_is_never_endless() -> None:
    (row,) = worst(answered(CLASSES, ["a"], [[0.0, 1.0, 0.0]]))
    assert np.isfinite(row.loss) and row.share == 0


def test_suspects_are_reported_with_what_they_should_be() -> None:
    labels = ["a"] * 5 + ["b"] * 5 + ["a"]
    sure = [[0.9, 0.05, 0.05]] * 5 + [[0.05, 0.9, 0.05]] * 5 + [[0.02, 0.97, 0.01]]
    (row,) = suspect(answered(CLASSES, labels, sure))
    assert (row.row, row.gold, row.suggested) == (20, "a", "b")
    assert row.margin == pytest.approx(-0.95)


def test_several_labels() -> None:
    task = MultiLabelClassification(ROLES, ("x", "y"))
    result = answered(task, [["x"], ["x", "y"], []], [[0.9, 0.7], [0.2, 0.9], [0.1, 0.1]])
    first, second, _third = worst(result)
    assert (first.gold, first.predicted) == ("x|y", "y")
    assert (second.gold, second.predicted) == ("x", "x|y")
    assert first.share == pytest.approx(0.2 * 0.9)
    assert first.loss == pytest.approx(-np.log(0.2 * 0.9))
    assert [(p.gold, p.predicted, p.count) for p in confused(result)] == [
        ("without y", "y", 1),
        ("x", "without x", 1),
    ]
    assert task.output.format(np.array([0, 0])) == "none"


def test_numbers() -> None:
    result = answered(TextRegression(ROLES), [1.0, 2.0, 9.0], [1.1, 2.5, 3.0])
    first, second, _third = worst(result)
    assert (first.gold, first.predicted, first.share) == ("9", "3", None)
    assert first.loss == pytest.approx(36) and second.gold == "2"
    assert confused(result) == []
    assert [row.suggested for row in suspect(result)] == ["3"]


def test_slices_of_two_files() -> None:
    parts = [
        Memory.of_records([{"text": text, "label": "a"}] * 12, name)
        for text, name in (("short", "one.csv"), ("一个更长的句子", "two.csv"))
    ]
    source = Concatenated(tuple(parts))
    rows = [row for chunk in source.chunks() for row in chunk]
    outputs = np.array([[0.9, 0.1, 0]] * 12 + [[0.1, 0.9, 0]] * 12)
    result = slices(HeldOut("test", CLASSES, rows, answers_of(CLASSES, rows, outputs), source))
    assert {(part.by, part.value, part.score) for part in result} == {
        ("length", "short", 1.0), ("length", "above the median", 0.0),
        ("language", "latin", 1.0), ("language", "chinese", 0.0),
        ("file", "one.csv", 1.0), ("file", "two.csv", 0.0),
    }  # fmt: skip
    assert result[0].score == 0
