"""Queries with passages, in the shapes of data sets for rerankers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import BadRecordsError, Source
from tunesmith.data.shapes import canonical

A = [("up", 1), ("down", 0), ("left", 0)]


def source_of(*records: Mapping[str, object]) -> Source:
    return from_python(list(records))["train"]


def rows_of(source: Source) -> list[Mapping[str, object]]:
    return [row.values for chunk in source.chunks() for row in chunk]


@pytest.mark.parametrize(
    "record",
    [
        {"query": "Where?", "pos": ["up"], "neg": ["down", "left"], "pos_scores": [0.9]},
        {"query": "Where?", "positive": ["up"], "negative": ["down", "left"]},
        {"query": "Where?", "positive": "up", "negative": '["down", "left"]'},
        {"question": "Where?", "positive": "up", "negative_1": "down", "negative_2": "left"},
        {"查询": "Where?", "正例": ["up"], "负例": ["down", "left"]},
        {"query_id": "7", "query": "Where?", "positive_passages": [{"docid": "1", "text": "up"}],
         "negative_passages": [{"docid": "2", "title": "", "text": "down"}, {"text": "left"}]},
        {"query": "Where?", "passages": {"is_selected": [1, 0, 0], "url": ["", "", ""],
                                         "passage_text": ["up", "down", "left"]}},
        {"query": "Where?", "passages": [{"is_selected": 1, "passage_text": "up"},
                                         {"is_selected": 0, "passage_text": "down"},
                                         {"is_selected": 0, "passage_text": "left"}]},
    ],
)  # fmt: skip
def test_shapes_are_recognized(record: Mapping[str, object]) -> None:
    source = source_of(record)
    assert [c.type for c in source.columns][:3] == ["query", "passage", "integer"]
    rows = rows_of(source)
    assert [(row["passage"], row["label"]) for row in rows] == A
    assert {row["query"] for row in rows} == {"Where?"}
    assert ("query_id" in rows[0]) == ("query_id" in record)
    ids = [row.get("passage_id") for row in rows]
    assert ids == (["1", "2", None] if "query_id" in record else [None] * 3)


@pytest.mark.parametrize(
    "record",
    [
        {"query": "Where?", "pos": ["up"]},
        {"anchor": "Where?", "positive": "up", "negative": "down"},
        {"query": "Where?", "passage": "up", "label": 1},
        {"query": ["Where?"], "pos": ["up"], "neg": ["down"]},
        {"query": "Where?", "pos": 3, "neg": 4},
        {"query": "Where?", "passages": ["up", "down"], "answer": "up"},
        {"question": "Where?", "passages": ["up", "down"]},
        {"query": "Where?", "documents": [3, 4]},
        {"question": "Where?", "passages": [{"text": "up"}, {"text": "down"}]},
    ],
)
def test_other_data_stays_as_it_is(record: Mapping[str, object]) -> None:
    assert [c.name for c in source_of(record).columns] == [*record]


@pytest.mark.parametrize(
    "record",
    [
        {"query": "Where?", "passages": ["up", "down", "left"]},
        {"qid": 7, "query": "Where?", "documents": [{"text": t} for t in ("up", "down", "left")]},
        {"query": "Where?", "passages": '["up", "down", "left"]'},
    ],
)
def test_candidates_without_labels_are_rows(record: Mapping[str, object]) -> None:
    source = source_of(record)
    assert [c.type for c in source.columns][:2] == ["query", "passage"]
    assert "label" not in [c.name for c in source.columns]
    assert [row["passage"] for row in rows_of(source)] == ["up", "down", "left"]


def test_a_title_comes_before_the_text() -> None:
    passage = {"title": "Rome", "text": "a city"}
    row = {"query": "Where?", "positive_passages": [passage], "negative_passages": [{"text": "b"}]}
    assert [one["passage"] for one in rows_of(source_of(row))] == ["Rome a city", "b"]


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    lines = [
        {"query": "a", "pos": ["b"], "neg": ["c"]},
        {"query": "d", "pos": ["e"], "neg": ["e"]},
        {"query": "f", "pos": ["g", ""], "neg": []},
        {"query": "h", "pos": [], "neg": []},
        {"query": "i", "pos": 5, "neg": ["j"]},
        {"query": "k", "pos": ["l", "l"], "neg": ["m"]},
    ]
    file = tmp_path / "bge.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = open_splits(str(file))["train"]
    rows = []
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            rows += [(row.values["passage"], row.index) for row in chunk]
    assert [passage for passage, _index in rows] == list("bceglm")
    assert [(p.code, str(p.place).rpartition(":")[2]) for p in caught.value.problems] == [
        ("D372", "2"), ("D370", "3"), ("D374", "4"), ("D370", "5"),
    ]  # fmt: skip
    places = source.places([index for _passage, index in rows])
    lines_of = [str(places[index]).rpartition(":")[2] for _passage, index in rows]
    assert lines_of == ["1", "1", "2", "3", "6", "6"]


def test_hub_sets_are_not_changed_twice() -> None:
    source = source_of({"query": "Where?", "pos": ["up"], "neg": ["down"]})
    assert canonical(source) is source


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "is_selected", "passage_text", "title"]), inner)
    ),
    max_leaves=6,
)


@given(st.lists(st.fixed_dictionaries({"query": values, "pos": values, "neg": values,
                                       "passages": values}), min_size=1, max_size=4))  # fmt: skip
def test_any_values_are_read_or_refused(records: list[dict[str, object]]) -> None:
    source = canonical(Memory.of_records(records, "m"))
    try:
        for chunk in source.chunks():
            assert all(set(row.values) == {c.name for c in source.columns} for row in chunk)
    except BadRecordsError as error:
        assert {p.code for p in error.problems} <= {"D370", "D372", "D374"}
