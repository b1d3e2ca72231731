"""Sections: what they say is what the run folder holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tunesmith.analysis.label_errors import RowError
from tunesmith.analysis.label_errors.held_out import HeldOut
from tunesmith.analysis.report import sections
from tunesmith.analysis.report.page import Charts, Listed, Section, Table, Words
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import Place
from tunesmith.metrics.headline import headline
from tunesmith.metrics.output_kinds import RowAnswers
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.text_regression import TextRegression

EVENTS = [
    {"event": "step", "step": 10, "loss": 0.9},
    {"event": "step", "step": 20, "loss": None},
    {"event": "evaluated", "step": 20, "scores": {"f1": 0.5, "loss": 0.8}},
    {"event": "evaluated", "step": 40, "scores": {"f1": None, "loss": 0.7}},
]
NAMES = ("a", "b", "c")


def cells(section: Section | None, index: int = 0) -> list[list[str]]:
    assert section is not None
    table = [part for part in section.parts if isinstance(part, Table)][index]
    return [[cell.text for cell in row] for row in table.rows]


def answered(task: Any, targets: list[Any], outputs: list[Any]) -> HeldOut:
    rows = [Row(i, {"text": f"text {i}", "label": target}) for i, target in enumerate(targets)]
    kind, truth, values = task.output, np.array(targets), np.array(outputs)
    answers = (
        RowAnswers(truth, values)
        if kind.label_kind is None
        else kind.of_probabilities(values, truth)
    )
    return HeldOut("test", task, rows, answers, None)


def test_a_table_per_split_with_intervals_and_baselines() -> None:
    metadata = {
        "scores": {"validation": {"f1": 0.5}, "test": {"f1": None, "accuracy": 0.25}},
        "intervals": {"validation": {"f1": [0.4, 0.6]}},
        "baselines": {"validation": {"tfidf": {"f1": 0.45}}},
        "verdicts": {split: {"code": "M135", "rows": 9} for split in ("validation", "test")},
    }
    section = sections.scores(metadata, headline(metadata))
    assert section is not None
    listed, test, validation, _about = section.parts
    assert isinstance(listed, Listed) and isinstance(test, Table) and isinstance(validation, Table)
    (other,) = listed.items
    assert other.startswith("M135 validation: collapsed")
    assert test.head == ["test", "score", "95%"]
    assert cells(section) == [["f1", "-", "-"], ["accuracy", "0.2500", "-"]]
    assert validation.head == ["validation", "score", "95%", "TF-IDF"]
    assert [[cell.text for cell in row] for row in validation.rows] == [
        ["f1", "0.5000", "0.4000 to 0.6000", "0.4500"]
    ]
    assert sections.scores({}, headline({})) is None


def test_curves_of_loss_and_of_the_score_that_chose() -> None:
    events = [*EVENTS, {"event": "evaluated", "step": 60, "scores": {"f1": 0.6, "loss": 0.6}}]
    section = sections.curves(events, {"best": "f1", "best_step": 20}, ["improving"])
    assert section is not None
    listed, charts = section.parts
    assert isinstance(charts, Charts) and len(charts.charts) == 2 and "step 20" in charts.caption
    assert listed == Listed(["improving"])
    assert sections.curves([], {}, []) is None
    alone = sections.curves(events[:1] + events[-1:], {}, [])
    assert alone is not None and len(alone.parts) == 1


def test_one_step_is_a_line_of_text() -> None:
    """A score at one step, and a loss: no axes, but the number."""
    section = sections.curves(EVENTS, {"best": "f1", "best_step": 20}, [])
    assert section is not None
    listed, charts = section.parts
    assert listed == Listed(["f1: 0.5 at step 20, the only one recorded"])
    assert isinstance(charts, Charts) and len(charts.charts) == 1
    section = sections.curves(EVENTS[:1], {}, [])
    assert section is not None
    assert section.parts == [Listed(["training loss: 0.9 at step 10, the only one recorded"])]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_classes_are_counted_as_scikit_learn_does(pairs: list[tuple[int, int]]) -> None:
    task = TextClassification(Roles("text", None, "label"), NAMES)
    gold, result = [g for g, _f in pairs], [f for _g, f in pairs]
    outputs = [[0.8 if i == f else 0.1 for i in range(3)] for f in result]
    rows = cells(sections.predictions(answered(task, gold, outputs)), -1)
    expected = precision_recall_fscore_support(gold, result, labels=range(3), zero_division=np.nan)
    for number, row in enumerate(rows):
        shown = [None if cell == "-" else float(cell) for cell in row[2:5]]
        for value, column in zip(shown, expected[:3], strict=True):
            expectation = column[number]
            assert (
                value is None
                if np.isnan(expectation)
                else value == pytest.approx(expectation, abs=1e-4)
            )
        assert int(row[1]) == gold.count(number)


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_the_confusion_matrix_has_every_count(counts: list[list[int]]) -> None:
    table = sections._confusion_matrix(np.array(counts), NAMES)
    assert table.head == ["", *NAMES]
    assert [row[0].text for row in table.rows] == list(NAMES)
    shown = [[cell.text for cell in row[1:]] for row in table.rows]
    assert shown == [[str(count) if count else "·" for count in row] for row in counts]
    assert all(row[i + 1].kind.startswith("right") for i, row in enumerate(table.rows))


def test_numbers_are_drawn_as_points() -> None:
    task = TextRegression(Roles("text", None, "label"))
    section = sections.predictions(answered(task, [1.0, 5.0], [1.5, 2.0]))
    (charts,) = (part for part in section.parts if isinstance(part, Charts))
    assert str(charts.charts[0]).count("<circle") == 2
    same = sections.predictions(answered(task, [5.0, 5.0], [1.5, 2.0]))
    assert same.parts[1:] == [Words("All labels are the same.")]


def test_one_confidence_is_a_line_of_text() -> None:
    task = TextClassification(Roles("text", None, "label"), NAMES)
    section = sections.predictions(answered(task, [0, 1], [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1]]))
    assert section.parts[-1] == Words(
        "All predictions are equally confident. Calibration error 0.300."
    )


def judged(
    gold: str, predicted: str, text: str = "a text", suggested: str | None = None
) -> RowError:
    return RowError("test", 7, Place("a.csv"), (text,), gold, predicted, 2.0, 0.125, suggested)


def test_only_wrong_answers_are_mistakes_and_long_texts_are_cut() -> None:
    rows = cells(sections.mistakes([judged("a", "b", "x" * 1000), judged("a", "a")], "test"))
    ((number, text, gold, predicted, share),) = rows
    assert (number, gold, predicted, share) == ("7", "a", "b", "12.5%")
    assert len(text) < 500
    assert sections.mistakes([judged("a", "a")], "test") is None


def test_doubtful_labels_come_with_what_they_should_be() -> None:
    assert cells(sections.label_errors([judged("a", "b", suggested="b")], "mine")) == [
        ["7", "a text", "a", "b"]
    ]
    assert sections.label_errors([], "mine") is None


def test_data_counts_tokens_per_row() -> None:
    plan: dict[str, Any] = {"data": {"train": {"source": "a.csv", "examples": 4, "tokens": 40}}}
    assert cells(sections.data(plan, ["D401 leak"])) == [["train", "a.csv", "4", "10"]]
    plan["data"]["train"]["source"] = "/home/me/a.csv"
    assert cells(sections.data(plan, [])) == [["train", "a.csv", "4", "10"]]
