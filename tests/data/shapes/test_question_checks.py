from __future__ import annotations

import pytest

from tunesmith.data.shapes.question_checks import check_question
from tunesmith.errors import Severity

GOOD = {"q": "Where?", "c": "In Rome", "a": [{"text": "Rome", "answer_start": 3}]}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, None),
        ({"a": []}, None),
        ({"a": None}, None),
        ({"c": " "}, "D350"),
        ({"c": None}, "D350"),
        ({"q": ""}, "D310"),
        ({"a": "Rome"}, "D365"),
        ({"a": "Paris"}, "D352"),
        ({"a": [{"text": "Rome"}]}, "D365"),
        ({"a": [{"text": "Rome", "answer_start": 3, "places": 2}]}, "D366"),
    ],
)
def test_rows(values: dict[str, object], code: str | None) -> None:
    finding = check_question({**GOOD, **values}, "q", "c", "a")
    assert (finding.code if finding else None) == code
    if finding:
        assert (finding.severity is Severity.WARNING) == (code == "D366")


def test_a_row_without_a_column_of_contexts_or_answers() -> None:
    finding = check_question(GOOD, "q", None, "a")
    assert finding is not None and finding.code == "D350"
    assert check_question({**GOOD, "a": "Rome"}, "q", "c", None) is None
