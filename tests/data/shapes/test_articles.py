"""Articles with several questions, which become a row each."""

from __future__ import annotations

import pytest

from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.profile import profile
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.recipe import DataSettings
from tunesmith.tasks import match_task

RACE = {
    "article": "Ann saw a cat.",
    "questions": ["Who?", "What?"],
    "options": [["Ann", "Bo"], ["a dog", "a cat", "a bird"]],
    "answers": ["A", "B"],
    "id": "high1.txt",
}


def source_of(*records: dict[str, object]) -> Source:
    return from_python(list(records))["train"]


def test_each_question_is_a_row() -> None:
    source = source_of(RACE, RACE)
    rows = [row.values for chunk in source.chunks() for row in chunk]
    assert rows[:2] == [
        {"article": "Ann saw a cat.", "question": "Who?", "options": ["Ann", "Bo"], "answer": 0},
        {"article": "Ann saw a cat.", "question": "What?", "options": RACE["options"][1],  # type: ignore[index]
         "answer": 1},
    ]  # fmt: skip
    assert [place.row for place in source.places([1, 2]).values()] == [0, 1]


def test_the_questions_of_an_article_are_in_one_split() -> None:
    profiled = profile(source_of(RACE, RACE))
    task, match = match_task(profiled, DataSettings(train="x"))
    assert match.roles == Roles("question", "options", "answer", "article")
    made = task.make(match.roles, DataSettings(train="x"), [c.column for c in profiled.columns], {})
    assert made.group_column == "article"


def test_rows_without_answers() -> None:
    record = {key: value for key, value in RACE.items() if key != "answers"}
    rows = [row.values for chunk in source_of(record).chunks() for row in chunk]
    assert [set(row) for row in rows] == [{"article", "question", "options"}] * 2


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"answers": ["A"]}, "2 questions with choices for 2 and answers to 1"),
        ({"options": [["Ann", "Bo"]]}, "2 questions with choices for 1 and answers to 2"),
        ({"options": None}, "2 questions with choices for 0 and answers to 2"),
    ],
)
def test_lists_of_another_length_are_refused(change: dict[str, object], counts: str) -> None:
    with pytest.raises(BadRecordsError, match=f"D368.*{counts}"):
        list(source_of(RACE, RACE, {**RACE, **change}).chunks())


def test_other_lists_stay_as_they_are() -> None:
    assert isinstance(source_of({"article": "A", "questions": ["a"], "options": "b"}), Memory)
