"""Files in the format of SQuAD: questions as rows, and what cannot be read."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.data.open import open_source
from tunesmith.data.readers.squad_reader import SquadFile, looks_like_squad
from tunesmith.data.rows import BadRecordsError, Row, Source
from tunesmith.data.wrapped import innermost
from tunesmith.errors import DataError, TunesmithError

ROME = [{"text": "Rome", "answer_start": 3}]


def paragraph(number: int = 0, count: int = 2) -> dict[str, object]:
    return {
        "context": "In Rome",
        "qas": [
            {"id": f"{number}.{i}", "question": "Where?", "answers": ROME} for i in range(count)
        ],
    }


ARTICLES = [{"title": "Rome", "paragraphs": [paragraph(0), paragraph(1)]}]
LATE_TITLE = [{"paragraphs": [paragraph(0), paragraph(1)], "title": "Rome"}]


def rows(source: Source) -> list[Row]:
    return [row for chunk in source.chunks() for row in chunk]


def written(tmp_path: Path, text: str, name: str = "train.json") -> Source:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return open_source(str(path))


def lines_of(items: Sequence[object]) -> str:
    return "\n".join(map(json.dumps, items))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt", "a", "a.squad"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"version": "1.1", "data": ARTICLES}),
        json.dumps({"data": LATE_TITLE, "version": {"of": [1]}}, indent=2),
        "\ufeff" + json.dumps(ARTICLES),
        lines_of(ARTICLES),
        json.dumps(ARTICLES[0], indent=1),
        lines_of([{"title": "Rome", **paragraph(0)}, {"title": "Rome", **paragraph(1)}]),
        lines_of([{"header": {}}, *[{"title": "Rome", **paragraph(i)} for i in (0, 1)]]),
    ],
)  # fmt: skip
def test_a_row_is_a_question(tmp_path: Path, text: str, name: str) -> None:
    source = written(tmp_path, text, name)
    assert isinstance(innermost(source), SquadFile)
    assert [c.name for c in source.columns] == ["id", "title", "question", "context", "answers"]
    assert [row.values for row in rows(source)] == [
        {"id": number, "title": "Rome", "question": "Where?", "context": "In Rome", "answers": ROME}
        for number in ("0.0", "0.1", "1.0", "1.1")
    ]
    assert next(iter(source.chunks(["id"])))[0].values == {"id": "0.0"}


def test_places_are_the_lines_of_ids_or_numbers(tmp_path: Path) -> None:
    text = json.dumps({"data": ARTICLES}, indent=1)
    source = written(tmp_path, text)
    ids = [n for n, line in enumerate(text.splitlines(), start=1) if '"id"' in line]
    assert [source.places([i])[i].line for i in range(4)] == ids
    same = json.dumps({"data": [{"paragraphs": [paragraph(0), paragraph(0)]}]}, indent=1)
    lines = [place.line for _i, place in sorted(written(tmp_path, same).places(range(4)).items())]
    assert lines == [n for n, line in enumerate(same.splitlines(), start=1) if '"id"' in line]
    by_paragraph = text.replace('"id"', '"key"')
    begins = [n for n, line in enumerate(text.splitlines()) if '"context"' in line]
    places = written(tmp_path, by_paragraph).places([0, 3])
    assert [places[i].line for i in (0, 3)] == begins
    numbered = written(tmp_path, json.dumps({"data": ARTICLES})).places([3])
    assert str(numbered[3]).endswith("train.json[3]")


def test_what_is_no_question_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    items = [paragraph(0), "text", {"qas": "none"}, {"context": "a", "qas": ["x"]},
             {"context": "\ud800", "qas": [{"question": "?"}]}, paragraph(1)]  # fmt: skip
    source = written(tmp_path, json.dumps({"data": [{"paragraphs": items}]}))
    good: list[Row] = []
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            good += chunk
    assert [row.values["id"] for row in good] == ["0.0", "0.1", "1.0", "1.1"]
    assert [problem.code for problem in caught.value.problems] == ["D144", "D365", "D142"]
    assert str(caught.value.problems[0].place).endswith("train.json[2]")
    assert caught.value.problems[0].count == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"data": [{"paragraphs": [{"context": "a", "qas": []}]}]}', "D120"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id', "D141"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 1} {}]}]}]}', "D140"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 1, "id": 2}]}]}]}', "D143"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": NaN}]}]}]}', "D202"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 1}]}], 3: 4}]}', "D140"),
        ('{"data": [[{"paragraphs": [{"context": "a", "qas": [{"id": 1}]}]}]]}', "D140"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(DataError) as caught:
        written(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert problem.place is not None


@pytest.mark.parametrize(
    "head",
    [
        '{"text": "a", "label": "b"}\n',
        '[{"title": "a", "paragraphs": ["b"]}]',
        '{"messages": [{"role": "user", "content": "\\"qas\\": [{\\"context\\": 1}]"}]}',
        'question,"context"\n"paragraphs": [{"qas": [{',
        '{"paragraphs": [{"text": "a"}]}',
        "",
    ],
)
def test_other_text_is_not_of_this_format(head: str) -> None:
    assert not looks_like_squad(head)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """One article with everything, of 6 MB: only paragraphs are in memory."""
    many = [{**paragraph(i, 1), "context": "In Rome " + "x" * 4000} for i in range(1500)]
    path = tmp_path / "big.json"
    path.write_text(json.dumps({"data": [{"title": "Rome", "paragraphs": many}]}))
    source = innermost(open_source(str(path)))
    tracemalloc.start()
    assert sum(1 for chunk in source.chunks(["id"]) for _row in chunk) == 1500
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text("ab\U0001f600\u4e2d ", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("data paragraphs qas context question answers text answer_start "
                            "title id is_impossible detected_answers char_spans".split()),
            inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=3), cut=st.integers(0, 400))
def test_any_objects_are_read_or_refused(tmp_path: Path, values: list[Any], cut: int) -> None:
    whole = {"context": "ab", "qas": [{"question": "?", "answers": [], "id": "1"}, *values[1:]]}
    article: Mapping[str, object] = {"paragraphs": [whole, *values], "title": "t"}
    text = json.dumps({"data": [article, *(v for v in values if isinstance(v, dict))]})
    path = tmp_path / "a.json"
    path.write_text(text if cut % 2 else text[: -cut or None], encoding="utf-8")
    matches: list[Row] = []
    try:
        source = open_source(str(path))
        for chunk in source.chunks():
            matches += chunk
    except TunesmithError as error:
        assert all(problem.code and problem.place for problem in error.problems)
        if not matches:
            return
    numbers = [row.index for row in matches]
    assert numbers == sorted(set(numbers))
    assert set(source.places(numbers)) == set(numbers)
    assert matches[0].values["context"] == "ab"
