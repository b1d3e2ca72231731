"""Questions on a context, in tables and in the nested objects of SQuAD."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunesmith.data.open import from_python, open_source
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.data.shapes.question_checks import check_question
from tunesmith.errors import Problem

ROME = [{"text": "Rome", "answer_start": 3}]
OBJECTS = {"text": ["Rome"], "answer_start": [3]}
QUESTION = {"id": "1", "question": "Where?", "answers": ROME}
ARTICLE = {"title": "Rome", "paragraphs": [{"context": "In Rome", "qas": [QUESTION]}]}


def source_of(*records: Mapping[str, object]) -> Source:
    return from_python(list(records))["train"]


def types(source: Source) -> dict[str, str]:
    kinds = ("question", "context", "answers")
    return {column.type: column.name for column in source.columns if column.type in kinds}


def rows_of(source: Source) -> list[Mapping[str, Any]]:
    return [row.values for chunk in source.chunks() for row in chunk]


def refused(source: Source) -> list[Problem]:
    with pytest.raises(BadRecordsError) as caught:
        rows_of(source)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        ({"id": "1", "question": "Where?", "context": "In Rome", "answers": OBJECTS},
         "question context answers"),
        ({"question": "Where?", "context": "In Rome", "answers": ROME}, "question context answers"),
        ({"question": "Where?", "context": "In Rome", "answers": str(OBJECTS)},
         "question context answers"),
        ({"Question": "Where?", "Passage": "In Rome", "Answer": "Rome", "answer_start": 3},
         "Question Passage Answer"),
        ({"question": "Where?", "paragraph": "In Rome", "answers": ["Rome"]},
         "question paragraph answers"),
        ({"question": "Where?", "context": "In Rome", "answer_text": "Rome"},
         "question context answer_text"),
        ({"question": "Where?", "context": "In Rome", "answers.text": ["Rome"],
          "answers.answer_start": [3]}, "question context answers.text"),
        ({"问题": "Where?", "材料": "In Rome", "答案": "Rome"}, "问题 材料 答案"),
        ({"问题": "Where?", "文章": "In Rome", "答案": "Rome", "答案起始位置": "3"},
         "问题 文章 答案"),
        (ARTICLE, "question context answers"),
        ({"version": "1.1", "data": [ARTICLE]}, "question context answers"),
        (ARTICLE["paragraphs"][0], "question context answers"),
    ],
)  # fmt: skip
def test_shapes_are_recognized(record: Mapping[str, object], columns: str) -> None:
    source = source_of(record)
    named = types(source)
    assert " ".join(named[kind] for kind in ("question", "context", "answers")) == columns
    (values,) = rows_of(source)
    assert values[named["answers"]] == ROME
    assert values[named["question"]] == "Where?"
    assert values[named["context"]] == "In Rome"


@pytest.mark.parametrize(
    "records",
    [
        [{"question": f"Is it {i}?", "passage": f"No, it is {i}.", "answer": answer}
         for i, answer in enumerate(["no", "yes", "no", "no"] * 5)],
        [{"question": "Where?", "context": "In Rome", "answer": True}] * 3,
        [{"question": "Where?", "context": "In Rome", "answer": "The capital of Italy"}] * 3,
        [{"question": "Where?", "answers": OBJECTS}] * 3,
        [{"context": "In Rome", "answers": OBJECTS}] * 3,
        [{"question": "Where?", "context": "In Rome", "answers": None}] * 3,
        [{"data": [{"text": "a"}], "label": "a"}] * 3,
        [{"paragraphs": ["a", "b"], "label": "a"}] * 3,
    ],
)  # fmt: skip
def test_other_rows_stay_as_they_are(records: list[Mapping[str, object]]) -> None:
    assert isinstance(source_of(*records), Memory)


def test_a_frame_and_a_data_set() -> None:
    datasets = pytest.importorskip("datasets")
    record = {"question": "Where?", "context": "In Rome", "answers": OBJECTS}
    for data in (
        pd.DataFrame([record]),
        datasets.Dataset.from_list([record]),
        datasets.Dataset.from_list([ARTICLE]),
        pd.DataFrame([ARTICLE]),
        pd.DataFrame({"version": ["1.1"], "data": [ARTICLE]}),
    ):
        (values,) = rows_of(from_python(data)["train"])
        assert values["answers"] == ROME


def test_questions_without_an_answer() -> None:
    no, unknown = {**QUESTION, "answers": []}, {"id": "2", "question": "Who?"}
    hidden = {**no, "is_impossible": False}
    impossible = {**no, "is_impossible": True}
    paragraph = {"context": "In Rome", "qas": [QUESTION, no, unknown, hidden, impossible]}
    rows = rows_of(source_of(paragraph))
    assert [row["answers"] for row in rows] == [ROME, [], None, None, []]
    table = [{"question": "W", "context": "In Rome", "answer": text} for text in ("Rome", "", None)]
    assert [row["answer"] for row in rows_of(source_of(*table))] == [ROME, [], []]


def test_a_place_that_is_not_said_is_the_first_one() -> None:
    source = source_of({"question": "W?", "context": "A roman in Rome, Rome", "answer": "Rome"})
    answer = {"text": "Rome", "answer_start": 11, "places": 2}
    assert rows_of(source)[0]["answer"] == [answer]


def test_starts_in_other_units_are_converted() -> None:
    context = "Zo\u00eb in Rome"
    good = {
        "question": "W?",
        "context": context,
        "answers": {"text": ["Rome"], "answer_start": [8]},
    }
    of_bytes = {**good, "answers": {"text": ["Rome"], "answer_start": [8]}}
    source = source_of(*[{**of_bytes, "answers": {"text": ["Rome"], "answer_start": [8]}}] * 3)
    assert [row["answers"][0]["answer_start"] for row in rows_of(source)] == [7, 7, 7]
    assert source.notes == ("data: positions count bytes; they are converted",)
    mixed = source_of(*[{**good, "answers": {"text": ["Rome"], "answer_start": [7]}}] * 3, of_bytes)
    (problem,) = refused(mixed)
    assert problem.code == "D351"
    assert "is not at 8 but at 7 (-1)" in problem.message
    assert "This row fits if positions count bytes" in str(problem.fix)


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ({"answers": {"text": ["Rome"], "answer_start": [5]}}, "D351",
         'question 7: the answer "Rome" is not at 5 but at 3 (-2)'),
        ({"answers": {"text": ["Paris"], "answer_start": [3]}}, "D352",
         'the answer "Paris" is not in the context'),
        ({"answers": {"text": ["rome"], "answer_start": [3]}}, "D352", 'which has "Rome"'),
        ({"is_impossible": True}, "D353", '"is_impossible", and the answer "Rome"'),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused(
    values: Mapping[str, object], code: str, message: str
) -> None:
    good = {"id": 7, "question": "W?", "context": "In Rome", "answers": OBJECTS}
    good["is_impossible"] = False
    source = source_of(good, {**good, **values}, good)
    (problem,) = refused(source)
    assert problem.code == code
    assert message in problem.message
    assert problem.fix
    assert str(problem.place) == "data[1]"


def test_values_that_are_no_answers_stay_for_the_task() -> None:
    good = {"question": "W?", "context": "In Rome", "answers": OBJECTS}
    rows = rows_of(
        source_of(*[good] * 20, {**good, "answers": {"a": 1}}, {**good, "context": None})
    )
    assert rows[20]["answers"] == {"a": 1}
    assert rows[21]["answers"] == OBJECTS


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,context,answer\nWho?,Ann ran,Ann\nWho?,Bo ran,Cy\n")
    source = open_source(str(path))
    (problem,) = refused(source)
    assert str(problem.place) == f"{path}:3"


TEXTS = st.sampled_from(["Rome", "in", " Rome ", "", "rome", "[1]", "\U0001f600", "罗马"])
NUMBERS = st.sampled_from([3, -1, 0, 3.0, 3.5, "3", "x", None, True, 10**9])
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["text", "answer_start", "label"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@example([{"text": "Rome", "answer_start": True}], 3, "in Rome Rome", None)
@settings(max_examples=100)
@given(
    answers=VALUES,
    start=NUMBERS | st.lists(NUMBERS, max_size=2),
    context=TEXTS.map(lambda text: f"in Rome {text}") | st.none() | st.just(3),
    impossible=st.sampled_from([None, True, False, "true", 1]),
)
def test_any_values_are_answers_in_their_context_or_refused(
    answers: object, start: object, context: object, impossible: object
) -> None:
    good = {"question": "W?", "context": "in Rome", "answers": ["Rome"], "answer_start": [3]}
    row = {**good, "context": context, "answers": answers, "answer_start": start}
    source = source_of(*[{**good, "is_impossible": None}] * 9, {**row, "is_impossible": impossible})
    try:
        values = rows_of(source)[-1]
    except BadRecordsError as error:
        assert {problem.code for problem in error.problems} <= {"D351", "D352", "D353"}
        return
    finding = check_question(values, "question", "context", "answers")
    if finding is not None and finding.code != "D366":
        assert finding.code in ("D350", "D352", "D365")
        return
    for answer in values["answers"] or ():
        assert answer["text"]
        assert str(context).startswith(answer["text"], answer["answer_start"])
