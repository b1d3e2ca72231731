"""Wrapped sources keep places, refuse the same rows at each reading, and report all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.data.findings import Finding
from tunesmith.data.open import open_source
from tunesmith.data.rows import BadRecordsError, Column, Row, Source
from tunesmith.data.shapes.shape import ConvertedSource, ExplodedSource, Record, Sample, nested

BAD = Finding("D342", "no number")


def read(source: Source, columns: list[str] | None = None) -> tuple[list[Row], BadRecordsError]:
    good: list[Row] = []
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks(columns):
            good += chunk
    return good, caught.value


@pytest.fixture
def inner(tmp_path: Path) -> Source:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "1", "b": "x"}\n{"a": "?"}\nnot JSON\n\n{"a": "3"}\n')
    return open_source(str(path))


def number(values: Record) -> Record | Finding:
    text = str(values["a"])
    return {"n": int(text)} if text.isdecimal() else BAD


@pytest.mark.parametrize("columns", [None, ["n"], []])
def test_converted_rows_keep_their_numbers_and_places(
    inner: Source, columns: list[str] | None
) -> None:
    source = ConvertedSource(inner, (Column("n", "integer"),), ("a",), number)
    assert [column.name for column in source.columns] == ["a", "b", "n"]
    good, error = read(source, columns)
    assert [row.index for row in good] == [0, 3]
    assert columns == [] or [row.values["n"] for row in good] == [1, 3]
    assert [problem.code for problem in error.problems] == ["D140", "D342"]
    assert [record.place.line for record in error.records] == [3, 2]
    assert source.places([3])[3].line == 5


def test_exploded_rows_are_renumbered(inner: Source) -> None:
    def times(values: Record) -> list[Record | Finding]:
        made = number(values)
        return [made] if isinstance(made, Finding) else [made] * int(str(made["n"]))

    source = ExplodedSource(inner, (Column("n", "integer"), Column("b", "text")), ("a",), times)
    good, error = read(source)
    assert [row.index for row in good] == [0, 2, 3, 4]
    assert good[0].values == {"n": 1, "b": "x"}
    assert {place.line for place in source.places([2, 3, 4]).values()} == {5}
    assert [record.place.line for record in error.records] == [3, 2]


def test_a_sample_finds_columns_by_plain_names(inner: Source) -> None:
    sample = Sample(inner)
    column = sample.column("label", "b")
    assert column is not None
    assert sample.values(column.name) == ["x"]
    assert sample.column("c") is None


def test_nested_values_may_be_written_as_json() -> None:
    assert nested("[[0, 3]]") == [[0, 3]]
    assert nested("[0, 3") == "[0, 3"
    assert nested(None) is None
