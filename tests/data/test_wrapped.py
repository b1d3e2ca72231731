from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.open import from_python, open_splits
from tunesmith.data.readers.memory import Memory
from tunesmith.data.rows import Concatenated, Row
from tunesmith.data.wrapped import CustomSource, FilteredSource, innermost, original_rows
from tunesmith.errors import DataError, Place, Problem
from tunesmith.inputs.corrections import Corrected


@given(st.integers(1, 40), st.sets(st.integers(0, 45)), st.sets(st.integers(0, 45)))
def test_rows_are_found_through_several_sources(
    count: int, removed: set[int], dropped: set[int]
) -> None:
    data = memory(count)
    corrected = Corrected.of(data, dict.fromkeys(removed & set(range(count))), ["why"])
    rest = FilteredSource(corrected, frozenset(dropped), ("text",))
    rows = [row for chunk in rest.chunks() for row in chunk]
    originals = original_rows(rest, range(len(rows)))
    assert [originals[row.index] for row in rows] == [row.values["label"] for row in rows]
    places = rest.places(range(len(rows)))
    assert [places[row.index].row for row in rows] == [row.values["label"] for row in rows]
    assert innermost(rest) is data
    assert (rest.name, rest.columns, rest.notes) == (data.name, data.columns, ("why",))


def test_where_a_source_came_from_is_known_through_others() -> None:
    own = FilteredSource(memory(1), frozenset(), ("text",))
    assert (own.revision, own.repository) == (None, None)
    source: Any = SimpleNamespace(revision="abc", repository="own/data")
    around = FilteredSource(FilteredSource(source, frozenset(), ("text",)), frozenset(), ("text",))
    assert (around.revision, around.repository) == ("abc", "own/data")


def memory(count: int) -> Memory:
    return Memory.of_records([{"text": f"t{i}", "label": i} for i in range(count)], "m")


@given(st.integers(0, 40), st.sets(st.integers(0, 45)))
def test_the_others_in_order_and_numbered_through(count: int, dropped: set[int]) -> None:
    rest = FilteredSource(memory(count), frozenset(dropped), ("text",))
    result = [row for chunk in rest.chunks(["label"]) for row in chunk]
    retained = [i for i in range(count) if i not in dropped]
    assert [row.values for row in result] == [{"label": i} for i in retained]
    assert [row.index for row in result] == list(range(len(retained)))
    places = rest.places(range(len(retained)))
    assert [places[i].row for i in range(len(retained))] == retained


def test_every_reading_leaves_out_the_same_records(tmp_path: Path) -> None:
    """A record may be bad for one column only, and that column is not always asked for."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "a", "label": 1}\n{"text": "b", "lable": 1}\nno\n{"text": "d", "label": 2}\n'
    )
    rest = FilteredSource(open_splits(str(path))["train"], frozenset(), ("text", "label"))
    for columns in (["text"], ["text", "label"], None):
        assert [r.values["text"] for c in rest.chunks(columns) for r in c] == ["a", "d"]
    assert [place.line for place in rest.places([0, 1]).values()] == [1, 4]
    assert (rest.name, rest.notes) == (str(path), ())
    assert [column.name for column in rest.columns] == ["text", "label"]


def test_files_after_one_with_bad_records_are_read_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name}1,x\n{name}2,x,y\n{name}3,y\n")
    parts = tuple(open_splits(str(tmp_path / f"{n}.csv"))["train"] for n in "ab")
    rest = FilteredSource(Concatenated(parts), frozenset({1}), ("text", "label"))
    assert [r.values["text"] for c in rest.chunks() for r in c] == ["a1", "b1", "b3"]
    assert [str(p) for p in rest.places([1, 2]).values()] == [
        f"{tmp_path}/b.csv:2",
        f"{tmp_path}/b.csv:4",
    ]


SOURCE = Memory.of_records([{"text": "a"}, {"text": "b"}], "mine")


@dataclass(frozen=True)
class Mine(Memory):
    """A user's own source, with something that goes wrong after the first row."""

    error: Exception | None = None

    def chunks(self, columns: Collection[str] | None = None) -> Iterator[Sequence[Row]]:
        for chunk in super().chunks(columns):
            yield chunk[:1]
            if self.error:
                raise self.error
            yield chunk[1:]


def mine(error: Exception | None = None) -> CustomSource:
    source = from_python(Mine(SOURCE.records, SOURCE.name, SOURCE.columns, error=error))["train"]
    assert isinstance(source, CustomSource)
    return source


def test_rows_and_places_are_those_of_the_source() -> None:
    source = mine()
    assert [row.values for chunk in source.chunks() for row in chunk] == [
        {"text": "a"},
        {"text": "b"},
    ]
    assert source.places([1]) == {1: Place("mine", row=1)}
    assert (source.name, source.columns) == (SOURCE.name, SOURCE.columns)


def test_an_exception_names_the_line_of_the_users_code() -> None:
    chunks = mine(KeyError("tetx")).chunks()
    assert len(next(chunks)) == 1
    with pytest.raises(DataError) as caught:
        next(chunks)
    (problem,) = caught.value.problems
    assert problem.code == "D134"
    assert problem.message == "the code that makes the rows of mine raised KeyError: 'tetx'"
    assert problem.place is not None
    lines = Path(__file__).read_text().splitlines()
    line = lines.index("                raise self.error") + 1
    assert (problem.place.source, problem.place.line) == (str(Path(__file__)), line)
    assert caught.value.__suppress_context__


def test_what_has_a_code_keeps_it() -> None:
    own = DataError(Problem("D999", "known"))
    with pytest.raises(DataError) as caught:
        list(mine(own).chunks())
    assert caught.value is own


def test_our_own_sources_are_taken_as_they_are() -> None:
    assert from_python(SOURCE)["train"] is SOURCE
