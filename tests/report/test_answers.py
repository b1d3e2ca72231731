"""Answers read back from predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from tunesmith.report.answers import ClassAnswers, NumberAnswers, read_answers

NAMES = ("a", "b", "c")


@st.composite
def answers(draw: st.DrawFn) -> ClassAnswers:
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    chances = rng.dirichlet(np.ones(3), size=count)
    return ClassAnswers(np.arange(count), [], NAMES, rng.integers(0, 3, count), chances)


@given(answers())
def test_confusions_are_those_of_scikit_learn(found: ClassAnswers) -> None:
    expected = confusion_matrix(found.gold, found.predicted, labels=range(3))
    assert (found.confusion() == expected).all()


@given(answers())
def test_the_worst_are_wrong_and_in_order(found: ClassAnswers) -> None:
    worst = found.worst(10)
    losses = found.losses[worst]
    assert (found.predicted[worst] != found.gold[worst]).all()
    assert (np.diff(losses) <= 0).all()
    rest = set(np.flatnonzero(found.predicted != found.gold)) - set(worst)
    assert not rest or found.losses[list(rest)].max() <= losses.min()


def write(path: Path, labels: list[object], task: str) -> dict[str, object]:
    scores = {"no": 0.25, "yes": 0.75} if task == "text-classification" else {"stars": 3.0}
    table = {
        "row": list(range(len(labels))),
        "text": [f"text {i}" for i in range(len(labels))],
        "label": labels,
        "predicted": ["yes"] * len(labels),
        "score": [3.0] * len(labels),
        "scores": [scores] * len(labels),
    }
    pq.write_table(pa.table(table), path)
    return {
        "task": task,
        "roles": {"text": "text", "text_pair": None, "label": "label"},
        "labels": ["no", "yes"],
        "class_names": ["no", "yes"] if isinstance(labels[0], int) else None,
    }


@pytest.mark.parametrize("labels", [[0, 1, 1], ["no", "yes", "yes"]])
def test_classes_as_numbers_and_as_names(tmp_path: Path, labels: list[object]) -> None:
    task = write(tmp_path / "test.parquet", labels, "text-classification")
    found = read_answers(tmp_path / "test.parquet", task)
    assert isinstance(found, ClassAnswers)
    assert found.gold.tolist() == [0, 1, 1]
    assert found.predicted.tolist() == [1, 1, 1]
    assert found.worst(5) == [0]
    assert found.text_of(0) == "text 0"


def test_numbers(tmp_path: Path) -> None:
    task = write(tmp_path / "test.parquet", ["2.5", "7", "3"], "text-regression")
    found = read_answers(tmp_path / "test.parquet", task)
    assert isinstance(found, NumberAnswers)
    assert found.worst(2) == [1, 0]


def test_what_holds_no_labels_gives_none(tmp_path: Path) -> None:
    assert read_answers(tmp_path / "none.parquet", {"task": "masked-lm", "roles": {}}) is None
