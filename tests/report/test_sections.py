"""Sections: what they say is what the run folder holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tunesmith.report import sections
from tunesmith.report.answers import ClassAnswers, NumberAnswers
from tunesmith.report.page import Charts, Section, Table

EVENTS = [
    {"event": "step", "step": 10, "loss": 0.9},
    {"event": "step", "step": 20, "loss": None},
    {"event": "evaluated", "step": 20, "scores": {"f1": 0.5, "loss": 0.8}},
    {"event": "evaluated", "step": 40, "scores": {"f1": None, "loss": 0.7}},
]


def table_of(section: Section | None) -> Table:
    assert section is not None
    return next(part for part in section.parts if isinstance(part, Table))


def test_a_row_for_each_score() -> None:
    facts = {"scores": {"validation": {"f1": 0.5}, "test": {"f1": None, "accuracy": 0.25}}}
    rows = [
        [cell.text for cell in row]
        for row in table_of(sections.scores_section(facts, ["test", "validation"])).rows
    ]
    assert rows == [
        ["test", "f1", "-"],
        ["test", "accuracy", "0.2500"],
        ["validation", "f1", "0.5000"],
    ]
    assert sections.scores_section({}, ["test"]) is None


def test_curves_of_loss_and_of_the_score_that_chose() -> None:
    section = sections.curves(EVENTS, {"best": "f1", "best_step": 20}, [])
    assert section is not None
    (charts,) = (part for part in section.parts if isinstance(part, Charts))
    assert len(charts.charts) == 2
    assert sections.curves([], {}, []) is None


def test_classes_with_their_usual_confusion() -> None:
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6]])
    found = ClassAnswers(np.arange(4), [], ("no", "yes"), np.array([0, 1, 1, 1]), chances)
    rows = [[c.text for c in row] for row in table_of(sections.answers_section(found, "test")).rows]
    assert rows == [
        ["no", "1", "0.5000", "1.0000", "0.6667", "-"],
        ["yes", "3", "1.0000", "0.6667", "0.8000", "no (1)"],
    ]
    assert sections.mistakes(found, "test", count=0) is None


def test_numbers_are_shown_by_how_far_off_they_are() -> None:
    texts = [pa.chunked_array([["text 0", "text 1"]])]
    found = NumberAnswers(np.arange(2), texts, np.array([1.0, 5.0]), np.array([1.5, 2.0]))
    rows = [[c.text for c in row] for row in table_of(sections.mistakes(found, "test")).rows]
    assert rows[0] == ["1", "text 1", "5.0000", "2.0000", "-3.0000"]


def test_data_counts_tokens_per_row() -> None:
    plan = {"data": {"train": {"source": "a.csv", "examples": 4, "tokens": 40}}}
    rows = [[c.text for c in row] for row in table_of(sections.data(plan, ["D401 leak"])).rows]
    assert rows == [["train", "a.csv", "4", "10"]]
