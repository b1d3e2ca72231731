from __future__ import annotations

from dataclasses import replace

import pytest

from tunesmith.data.columns import Roles, missing_columns, need_a_role, plain_name, suggest_texts
from tunesmith.data.profile import profile
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Column, distinct_columns


def suggested(*records: dict[str, object], taken: tuple[str, ...] = ()) -> dict[str, str]:
    columns = profile(Memory.of_records(list(records) * 4, "m"))
    return {role: s.value for role, s in suggest_texts(columns, taken).items()}


TEXT = "a message of some length, as people write them"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": "1", "text": TEXT}, {"text": "text"}),
        (
            {"sentence1": TEXT, "sentence2": TEXT, "idx": 3},
            {"text": "sentence1", "text_pair": "sentence2"},
        ),
        ({"Sentence A": TEXT, "sentenceB": TEXT}, {"text": "Sentence A", "text_pair": "sentenceB"}),
        ({"premise": TEXT, "hypothesis": TEXT}, {"text": "premise", "text_pair": "hypothesis"}),
        ({"文本": "一条消息", "备注": "甲乙丙丁戊己庚"}, {"text": "文本"}),
        ({"title": "short", "body": TEXT}, {"text": "body"}),
        ({"c1": TEXT, "c2": "short"}, {"text": "c1"}),
    ],
)
def test_texts_by_name_and_length(record: dict[str, object], expected: dict[str, str]) -> None:
    assert suggested(record) == expected


def test_taken_columns_are_left_alone() -> None:
    record: dict[str, object] = {"text": TEXT, "body": TEXT + TEXT}
    assert suggested(record, taken=("text",)) == {"text": "body"}


def test_no_column_of_text() -> None:
    assert suggested({"id": "1", "number": "5", "list": ["a"]}) == {}


def test_every_suggestion_has_a_reason() -> None:
    columns = profile(Memory.of_records([{"x": TEXT, "y": TEXT[:5]}], "m"))
    assert suggest_texts(columns)["text"].reason == "the longest text, 46 characters on average"


@pytest.mark.parametrize("name", ["answer_key", "answerKey", "Answer Key", "ＡｎｓｗｅｒＫｅｙ"])
def test_spellings_of_one_name(name: str) -> None:
    assert plain_name(name) == "answerkey"


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
    result = profile(Memory.of_records([{"a": "1", "b": "2"}], "m"))
    assert "--text-pair" in str(need_a_role("text_pair", result))
