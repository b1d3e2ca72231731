from __future__ import annotations

from typing import Any

import pytest

from tests.tasks.question_answering.asked import ROLES
from tunesmith.data.rows import Row
from tunesmith.tasks.question_answering.rows import Asked, Span, read_asked, validate_asked

ROW = {"question": "Where?", "context": "\U0001f600 in Paris", "answers": None}


def code(**values: Any) -> str | None:
    finding = validate_asked(Row(0, {**ROW, **values}), ROLES)
    return None if finding is None else finding.code


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (None, None),
        ([], None),
        ([{"text": "Paris", "answer_start": 5}], None),
        ([{"text": "Paris", "answer_start": 6}], "D351"),
        ([{"text": "Paris"}], "D365"),
        ("Paris", "D365"),
        (["Paris"], "D365"),
    ],
)
def test_answers_are_parts_of_the_context(answers: object, expected: str | None) -> None:
    assert code(answers=answers) == expected


def test_empty_texts_are_refused() -> None:
    assert code(question=" ") == "D310"
    assert code(context="") == code(context=None) == "D350"


def test_rows_are_read() -> None:
    row = Row(0, {**ROW, "answers": [{"text": "Paris", "answer_start": 5}]})
    assert read_asked(row, ROLES) == Asked("Where?", ROW["context"] or "", (Span("Paris", 5),))
    assert read_asked(Row(0, ROW), ROLES).answers == ()
    assert Span("Paris", 5).end == 10
