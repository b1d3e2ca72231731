from __future__ import annotations

from dataclasses import replace

import pytest

from tunesmith.data.columns import Roles, missing_columns, need_a_role, suggest_roles
from tunesmith.data.profile import profile
from tunesmith.data.readers.columnar import Memory
from tunesmith.data.rows import Column, distinct_columns


def suggested(*records: dict[str, object], taken: tuple[str, ...] = ()) -> dict[str, str]:
    found = profile(Memory.of_records(list(records) * 4, "m"))
    return {role: s.value for role, s in suggest_roles(found, taken).items()}


TEXT = "a message of some length, as people write them"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": "1", "text": TEXT, "label": "a"}, {"text": "text", "label": "label"}),
        (
            {"sentence1": TEXT, "sentence2": TEXT, "label": "a", "idx": 3},
            {"text": "sentence1", "text_pair": "sentence2", "label": "label"},
        ),
        (
            {"premise": TEXT, "hypothesis": TEXT, "gold_label": "a"},
            {"text": "premise", "text_pair": "hypothesis", "label": "gold_label"},
        ),
        ({"Sentence": TEXT, "Score": 1.5}, {"text": "Sentence", "label": "Score"}),
        ({"文本": "一条消息", "类别": "甲"}, {"text": "文本", "label": "类别"}),
        ({"title": "short", "body": TEXT, "queue": "a"}, {"text": "body", "label": "queue"}),
    ],
)
def test_by_name(record: dict[str, object], expected: dict[str, str]) -> None:
    assert suggested(record) == expected


def test_by_values() -> None:
    records = [
        {"c1": f"{TEXT} {i}", "c2": "ab"[i % 2], "c3": f"note {i}", "id": str(i)} for i in range(12)
    ]
    assert suggested(*records) == {"label": "c2", "text": "c1"}


def test_what_is_taken_is_left_alone() -> None:
    record = {"text": TEXT, "body": TEXT + TEXT, "label": "a"}
    assert suggested(record, taken=("text", "label")) == {"text": "body"}


def test_nothing_suits() -> None:
    assert suggested({"id": "1", "number": "5"}) == {}


def test_every_suggestion_has_a_reason() -> None:
    found = profile(
        Memory.of_records([{"x": TEXT + str(i), "y": "ab"[i % 2]} for i in range(9)], "m")
    )
    for suggestion in suggest_roles(found).values():
        assert suggestion.reason


def test_missing_columns_name_the_nearest() -> None:
    ((role, problem),) = missing_columns(
        [("text", "body"), ("label", "lable")],
        Memory.of_records([{"id": 1, "body": "a", "label": "b"}], "tickets.csv"),
    )
    assert role == "label"
    assert 'no column "lable" in tickets.csv' in problem.message
    assert problem.fix == 'did you mean "label"?\ncolumns: id, body, label'


def test_a_column_that_is_there_twice_is_refused_only_where_it_is_used() -> None:
    columns = distinct_columns([Column(name, "text") for name in ("text", "note", "y", "note")])
    source = replace(Memory.of_records([{"text": "a"}], "t.csv"), columns=columns)
    assert not list(missing_columns([("text", "text"), ("label", "y")], source))
    ((role, problem),) = missing_columns([("text", "text"), ("label", "note")], source)
    assert (role, problem.code, str(problem.place)) == ("label", "D302", "t.csv")
    assert problem.message == 'several columns of t.csv are called "note": 2, 4'
    assert problem.fix == "Give each a name of its own."


def test_columns_of_roles() -> None:
    roles = Roles("a", "b", ("x", "y"))
    assert roles.columns == ("a", "b", "x", "y")
    assert Roles("a").columns == ("a",)


def test_a_role_that_must_be_named() -> None:
    found = profile(Memory.of_records([{"a": "1", "b": "2"}], "m"))
    assert "--text-pair" in str(need_a_role("text_pair", found))
