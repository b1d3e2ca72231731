"""Marked texts of other tools as entities in characters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.open import from_python, open_source
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Source

TEXT = "\U0001f600 Ann in London"
ANN = {"start": 2, "end": 5, "label": "P", "text": "Ann"}
LONDON = {"start": 9, "end": 15, "label": "L", "text": "London"}


def one(values: Mapping[str, object]) -> Source:
    return from_python([values] * 3)["train"]


def entities(source: Source) -> Any:
    column = next(column.name for column in source.columns if column.type == "entities")
    return [row.values[column] for chunk in source.chunks() for row in chunk]


def task(*results: Sequence[Mapping[str, object]], text: str = TEXT) -> dict[str, object]:
    annotations = [{"result": [{"type": "labels", "value": v} for v in one]} for one in results]
    return {"id": 1, "data": {"text": text, "id": "x"}, "annotations": annotations}


STUDIO = {"start": 10, "end": 16, "text": "London", "labels": ["L"]}  # in UTF-16 units


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text": TEXT, "spans": [{"start": 2, "end": 5, "label": "P"}]}, [ANN]),
        (
            {"text": TEXT, "spans": [{"start": 2, "end": 5, "label": "P"}], "answer": "accept"},
            [ANN],
        ),
        ({"text": TEXT, "label": [[9, 15, "L"], [2, 5, "P"]]}, [ANN, LONDON]),
        ({"content": TEXT, "labels": [[3, 6, "P"], [10, 16, "L"]]}, [ANN, LONDON]),
        (
            {
                "text": TEXT,
                "entities": [{"start_offset": 2, "end_offset": 5, "label": "P", "id": 7}],
            },
            [ANN],
        ),
        (
            {
                "text": TEXT,
                "entities": [{"start_idx": 2, "end_idx": 4, "type": "P", "entity": "Ann"}],
            },
            [ANN],
        ),
        ({"text": TEXT, "label": [STUDIO]}, [LONDON]),
        ({"text": TEXT, "label": json.dumps([STUDIO])}, [LONDON]),
        (
            {"text": TEXT, "label": {"P": {"Ann": [[2, 4]]}, "L": {"London": [[9, 14]]}}},
            [ANN, LONDON],
        ),
        ({"文本": TEXT, "实体": [ANN]}, [ANN]),
        (task([STUDIO]), [LONDON]),
        (task([STUDIO], [STUDIO]), [LONDON]),
    ],
)
def test_entities_are_in_characters(record: Mapping[str, object], expected: object) -> None:
    source = one(record)
    assert entities(source) == [expected] * 3
    assert next(iter(source.chunks()))[0].values.get("text", TEXT) == TEXT


def test_notes_say_what_is_converted() -> None:
    assert one({"text": TEXT, "label": [STUDIO]}).notes == (
        "data: positions count UTF-16 units; they are converted",
    )
    assert one({"text": TEXT, "label": [[2, 5, "P"]]}).notes == ()


def test_rejected_rows_are_left_out() -> None:
    rows = [{"text": TEXT, "spans": [ANN], "answer": a} for a in ("reject", "accept", "ignore")]
    source = from_python(rows)["train"]
    assert entities(source) == [[ANN]] and "left out" in source.notes[0]
    assert source.places([0])[0].row == 1


def test_spacy_writes_pairs(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    pairs = [[TEXT, {"entities": [[2, 5, "P"]]}], ["none here", {"entities": []}]]
    path.write_text(json.dumps(pairs))
    assert entities(open_source(str(path))) == [[ANN], []]


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (
            {"text": TEXT, "entities": [{**LONDON, "text": "Paris"}]},
            "D342",
            '"London", the data says "Paris"',
        ),
        (
            {"text": TEXT, "entities": [{**LONDON, "start": 13, "end": 19}]},
            "D342",
            "fits if positions count bytes",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    tmp_path: Path, bad: Mapping[str, Any], code: str, words: str
) -> None:
    if "bytes" in words:
        start = len(TEXT[:9].encode())
        bad = {"text": TEXT, "entities": [{**LONDON, "start": start, "end": start + 6}]}
    path = tmp_path / "a.jsonl"
    good = {"text": TEXT, "entities": [ANN, LONDON]}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*[good] * 200, bad, good]))
    source = open_source(str(path))
    with pytest.raises(BadRecordsError) as caught:
        entities(source)
    (problem,) = caught.value.problems
    assert problem.code == code and problem.place is not None and problem.place.line == 201
    assert words in f"{problem.message} {problem.fix}"


def test_annotators_who_disagree_are_refused() -> None:
    rows = [task([STUDIO])] * 5 + [task([STUDIO], [])]
    with pytest.raises(
        BadRecordsError, match="D346 data\\[5\\]: 2 annotations of this text differ"
    ):
        entities(from_python(rows)["train"])


def test_discarded_and_missing_annotations() -> None:
    discarded = task([STUDIO], [])
    discarded["annotations"][1]["was_cancelled"] = True  # type: ignore[index]
    rows = [task([STUDIO]), discarded, task(), task([])]
    assert entities(from_python(rows)["train"]) == [[LONDON], [LONDON], None, []]


def test_values_that_are_no_marks_stay_for_the_task() -> None:
    rows = [{"text": TEXT, "label": [[2, 5, "P"]]}] * 20 + [{"text": TEXT, "label": [["?"]]}]
    assert entities(from_python(rows)["train"])[-1] == [["?"]]


@pytest.mark.parametrize(
    "record",
    [
        {"text": "a", "label": "x"},
        {"text": "a", "labels": ["x", "y"]},
        {"text": "a", "label": []},
        {"text": "a", "label": [[1, 2]]},
        {"text": "a", "label": {"x": 1}},
        {"data": "x", "annotations": "y"},
        {"text": 3, "entities": None},
    ],
)
def test_other_rows_stay_as_they_are(record: Mapping[str, object]) -> None:
    assert isinstance(one(record), Memory)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["start", "end", "label", "text", "value", "result"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.fixed_dictionaries({"text": VALUES, "entities": VALUES}), min_size=1, max_size=4)
)
def test_any_values_are_read_or_refused(rows: list[dict[str, object]]) -> None:
    source = from_python([{"text": "ab", "entities": [[0, 1, "A"]]}] * 40 + rows)["train"]
    try:
        list(source.chunks())
    except BadRecordsError as error:
        assert {problem.code for problem in error.problems} <= {"D342", "D142"}


@given(
    st.lists(st.fixed_dictionaries({"data": VALUES, "annotations": VALUES}), min_size=1, max_size=4)
)
def test_any_tasks_are_read_or_refused(rows: list[dict[str, object]]) -> None:
    source = from_python([task([STUDIO]), *rows])["train"]
    try:
        list(source.chunks())
    except BadRecordsError as error:
        assert {problem.code for problem in error.problems} <= {"D342", "D346", "D142"}
