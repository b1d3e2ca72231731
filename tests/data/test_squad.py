"""The nested objects of SQuAD, CMRC 2018 and MRQA as flat rows."""

from __future__ import annotations

from tunesmith.data import squad
from tunesmith.data.findings import Finding

ANSWER = {"text": "Rome", "answer_start": 3}
QUESTION = {"id": "1", "question": "Where?", "answers": [ANSWER]}
PARAGRAPH = {"context": "In Rome", "qas": [QUESTION]}
ROW = {"id": "1", "question": "Where?", "context": "In Rome", "answers": [ANSWER]}


def rows(value: object) -> list[object]:
    return [
        row
        for title, paragraph in squad.paragraphs_of(value)
        for row in squad.questions_of(paragraph, title)
    ]


def test_files_articles_and_paragraphs() -> None:
    article = {"paragraphs": [PARAGRAPH, PARAGRAPH], "title": "Rome"}
    titled = {**ROW, "title": "Rome", "is_impossible": None}
    assert rows(article) == [titled] * 2
    assert rows({"version": "1.1", "data": [article]}) == [titled] * 2
    assert rows({"version": 1.1, "data": article}) == [titled] * 2
    assert rows([PARAGRAPH]) == [{**ROW, "title": None, "is_impossible": None}]
    for other in ({"data": "x"}, {"qas": "x"}, {"paragraphs": ["x"]}, "x", None):
        assert rows(other) == []


def test_plausible_answers_are_left_out() -> None:
    question = {**QUESTION, "answers": [], "plausible_answers": [ANSWER], "is_impossible": True}
    (row,) = rows({**PARAGRAPH, "qas": [question]})
    assert isinstance(row, dict)
    assert (row["answers"], row["is_impossible"]) == ([], True)
    assert "plausible_answers" not in row


def test_cmrc_2018() -> None:
    row = {
        "context_id": "T",
        "context_text": "在罗马",
        "title": "罗马",
        "qas": [{"query_id": "Q1", "query_text": "在哪里？", "answers": ["罗马", "罗马"]}],
    }
    values = ("Q1", "罗马", "在哪里？", "在罗马", ["罗马", "罗马"], None)
    assert rows(row) == [dict(zip(squad.COLUMNS, values, strict=True))]


def test_mrqa_marks_the_answers() -> None:
    question = {
        "qid": "7",
        "question": "Where?",
        "answers": ["rome"],
        "detected_answers": [{"text": "Rome", "char_spans": [[3, 6]], "token_spans": [[1, 1]]}],
    }
    (row,) = rows({"context": "In Rome", "qas": [question]})
    assert isinstance(row, dict)
    assert (row["id"], row["answers"]) == ("7", [ANSWER])


def test_what_is_no_question_is_refused() -> None:
    finding, row = rows({"context": "In Rome", "qas": ["Where?", QUESTION]})
    assert isinstance(finding, Finding) and finding.code == "D365"
    assert isinstance(row, dict)


def test_columns_are_those_that_rows_have() -> None:
    matches = [row for row in rows(PARAGRAPH) if isinstance(row, dict)]
    assert [c.name for c in squad.columns_of(matches)] == ["id", "question", "context", "answers"]
    assert [c.name for c in squad.columns_of([])] == ["question", "context", "answers"]
