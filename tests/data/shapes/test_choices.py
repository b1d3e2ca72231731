"""Questions with several choices, in the shapes of published data sets and of users' own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Column, Source
from tunesmith.data.shapes import canonical
from tunesmith.data.shapes.choice_labels import UnknownKey

TWO = ["up", "down"]
THREE = ["up", "down", "left"]


def source_of(*records: Mapping[str, object]) -> Source:
    return from_python(list(records))["train"]


def types(source: Source) -> dict[str, str]:
    kinds = ("context", "article", "question", "choices", "choice")
    return {column.type: column.name for column in source.columns if column.type in kinds}


def rows_of(source: Source) -> list[Mapping[str, object]]:
    return [row.values for chunk in source.chunks() for row in chunk]


@pytest.mark.parametrize(
    ("record", "columns", "choices", "place"),
    [
        ({"sent1": "She opens it.", "sent2": "She", "ending0": "up", "ending1": "down",
          "ending2": "left", "label": 2}, "sent1 sent2 choices label", THREE, 2),
        ({"ctx_a": "x", "ctx": "She", "endings": TWO, "label": "1"}, "ctx endings label", TWO, 1),
        ({"question": "Where?", "choices": {"text": TWO, "label": ["1", "2"]}, "answerKey": "2"},
         "question choices answerKey", TWO, 1),
        ({"question_stem": "So", "choices": {"text": TWO, "label": ["A", "B"]}, "answerKey": "B"},
         "question_stem choices answerKey", TWO, 1),
        ({"question": {"stem": "So", "choices": [{"text": "up", "label": "A"},
          {"text": "down", "label": "B"}]}, "answerKey": "A"},
         "question choices answerKey", TWO, 0),
        ({"article": "A text", "question": "Where?", "options": TWO, "answer": "B"},
         "article question options answer", TWO, 1),
        ({"question": "Where?", "subject": "maths", "choices": TWO, "answer": 1},
         "question choices answer", TWO, 1),
        ({"goal": "Boil it", "sol1": "up", "sol2": "down", "label": 0},
         "goal choices label", TWO, 0),
        ({"sentence": "The _ fell", "option1": "up", "option2": "down", "answer": "1"},
         "sentence choices answer", TWO, 0),
        ({"context": "So", "question": "Why?", "answerA": "up", "answerB": "down",
          "answerC": "left", "label": "3"}, "context question choices label", THREE, 2),
        ({"question": "Where?", "A": "up", "B": "down", "C": "left", "answer": "(B)"},
         "question choices answer", THREE, 1),
        ({"question": "Where?", "opa": "up", "opb": "down", "cop": 1},
         "question choices cop", TWO, 1),
        ({"问题": "在哪里？", "选项": TWO, "答案": "A"}, "问题 选项 答案", TWO, 0),
        ({"题目": "在哪里？", "选项A": "up", "选项B": "down", "答案": "B"},
         "题目 choices 答案", TWO, 1),
        ({"question": "Where?", "choices": '["up", "down"]', "label": "1"},
         "question choices label", TWO, 1),
        ({"question": "Where?", "choices": "up | down", "label": "down"},
         "question choices label", TWO, 1),
        ({"question": "Where?", "choices": {"A": "up", "B": "down"}, "label": "b"},
         "question choices label", TWO, 1),
        ({"question": "How many?", "choices": [3, 4], "label": 0},
         "question choices label", ["3", "4"], 0),
        ({"question": "Where?", "choices": TWO}, "question choices", TWO, None),
    ],
)  # fmt: skip
def test_shapes_are_recognized(
    record: Mapping[str, object], columns: str, choices: list[str], place: int | None
) -> None:
    source = source_of(record)
    columns_of = types(source)
    order = ("context", "article", "question", "choices", "choice")
    assert " ".join(columns_of[kind] for kind in order if kind in columns_of) == columns
    (values,) = rows_of(source)
    assert values[columns_of["choices"]] == choices
    if "choice" in columns_of:
        assert values[columns_of["choice"]] == place
    assert isinstance(values[columns_of["question"]], str)


@pytest.mark.parametrize(
    "record",
    [
        {"text": "a text", "label": "a"},
        {"question": "Where?", "choices": TWO, "label": "a topic"},
        {"question": "Where?", "answers": TWO},
        {"question": "Where?", "choices": ["one"], "label": 0},
        {"question1": "Where?", "question2": "Who?", "label": 0},
        {"premise": "So", "hypothesis": "It is", "label": 1},
        {"choices": TWO, "label": 0},
        {"question": "Where?", "option2": "up", "option3": "down", "answer": 1},
    ],
)
def test_other_rows_stay_as_they_are(record: Mapping[str, object]) -> None:
    assert isinstance(source_of(record), Memory)


def test_keys_are_those_of_each_row() -> None:
    """ARC calls the choices of some rows 1 to 4, of others A to D."""
    records = [
        {"question": "Q", "choices": {"text": THREE, "label": keys}, "answerKey": key}
        for keys, key in ((["1", "2", "3"], "3"), (["A", "B", "C"], "C"), (["A", "B", "C"], "D"))
    ]
    *good, bad = [values["answerKey"] for values in rows_of(source_of(*records))]
    assert good == [2, 2]
    assert isinstance(bad, UnknownKey) and bad == "D" and bad.known == ("A", "B", "C")


def test_numbers_count_from_1_where_none_is_0() -> None:
    def places(*labels: object) -> tuple[list[object], tuple[str, ...]]:
        records = [{"question": "Q", "choices": THREE, "label": label} for label in labels]
        source = source_of(*records)
        return [values["label"] for values in rows_of(source)], source.notes

    assert places(1, 3) == ([0, 2], ('"label" counts choices from 1',))
    assert places(0, 1, 2) == ([0, 1, 2], ())
    (known, out), notes = places(0, 3)
    assert known == 0 and isinstance(out, UnknownKey) and out.known == ("0", "1", "2")
    assert notes == ()


def test_class_labels_count_from_0() -> None:
    columns = (
        Column("question", "text"),
        Column("choices", "list"),
        Column("label", "ClassLabel", ("a", "b", "c", "d")),
    )
    records = [{"question": "Q", "choices": THREE, "label": label} for label in (1, 2)]
    source = canonical(Memory(records, "data", columns))
    assert [values["label"] for values in rows_of(source)] == [1, 2]


def test_rows_without_a_label() -> None:
    labels = [0, -1, "-1", "", None]
    records = [{"question": "Q", "choices": TWO, "label": label} for label in labels]
    assert [values["label"] for values in rows_of(source_of(*records))] == [0, *[None] * 4]


@pytest.mark.parametrize(
    "labels",
    [
        [0.0, 2.0, 1, float("nan")],  # as tables write numbers where some are missing
        ["0.0", "2.0", "1", "-1"],
        [[0], [2], [1], None],
        [[1, 0, 0], [0, 0, 1], [0, 1, 0], None],
        ["[1, 0, 0]", "[0, 0, 1]", "[0, 1, 0]", ""],
    ],
)
def test_labels_in_other_forms(labels: list[object]) -> None:
    records = [{"question": "Q", "choices": THREE, "label": label} for label in labels]
    assert [values["label"] for values in rows_of(source_of(*records))] == [0, 2, 1, None]


@pytest.mark.parametrize("label", [1.5, [1, 2], [1, 1, 0], [], True])
def test_what_is_no_label_stays_for_the_task(label: object) -> None:
    records = [{"question": "Q", "choices": THREE, "label": one} for one in (0, 1, 2, label)]
    assert isinstance(rows_of(source_of(*records))[3]["label"], UnknownKey)


def test_several_right_choices_are_no_labels_of_another_task() -> None:
    records = [{"question": "Q", "choices": THREE, "label": [0, 2]}] * 3
    source = source_of(*records)
    assert types(source)["choice"] == "label"
    assert all(isinstance(values["label"], UnknownKey) for values in rows_of(source))


def test_keys_of_another_number_are_refused() -> None:
    good = {"question": "Q", "choices": {"text": TWO, "label": ["1", "2"]}, "answerKey": "2"}
    bad = {"question": "Q", "choices": {"text": THREE, "label": ["1", "2"]}, "answerKey": "2"}
    with pytest.raises(BadRecordsError, match=r"D368.*3 choices with 2 keys"):
        rows_of(source_of(good, bad))


def test_a_note_says_that_labels_which_may_be_keys_are_texts() -> None:
    records = [{"question": "Q", "choices": ["2", "3", "1"], "label": key} for key in ("1", "3")]
    assert source_of(*records).notes == ('"label" holds the text of the choice',)


def test_a_choice_that_a_row_lacks_is_left_out() -> None:
    record = {"question": "Q", "A": "up", "B": "", "C": "left", "answer": "C"}
    (values,) = rows_of(source_of(record))
    assert values["choices"] == ["up", "left"]
    assert values["answer"] == 1
    (values,) = rows_of(source_of({**record, "answer": "B"}, record))[:1]
    assert isinstance(values["answer"], UnknownKey) and values["answer"].known == ("A", "C")


def test_texts_that_are_numbers_are_labels_if_all_are() -> None:
    records = [{"question": "Q", "choices": ["2", "3", "1"], "label": key} for key in ("1", "3")]
    assert [values["label"] for values in rows_of(source_of(*records))] == [2, 1]


def test_copa_asks_by_its_column() -> None:
    record = {"premise": "It fell.", "question": "cause", "choice1": "up", "choice2": "down"}
    (values,) = rows_of(source_of(record))
    assert values["question"] == "What was the cause of this?"


def test_what_does_not_fit_stays_for_the_task() -> None:
    good = {"question": "Q", "choices": TWO, "label": 0}
    source = source_of(good, {"question": "Q", "choices": None, "label": 1}, good)
    assert rows_of(source)[1] == {"question": "Q", "choices": None, "label": 1}


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,A,B,answer\nWho?,Ann,Bo,A\nWho?,Ann,Bo,C\n")
    source = open_splits(str(path))["train"]
    assert str(source.places([1])[1]) == f"{path}:3"
    assert next(iter(source.chunks(["choices"])))[1].values == {"choices": ["Ann", "Bo"]}
