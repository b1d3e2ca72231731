from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tunesmith.data.foreign import ForeignSource
from tunesmith.data.open import from_python
from tunesmith.data.readers.columnar import Memory
from tunesmith.data.rows import Row
from tunesmith.errors import DataError, Place, Problem

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


def mine(error: Exception | None = None) -> ForeignSource:
    source = from_python(Mine(SOURCE.records, SOURCE.name, SOURCE.columns, error=error))["train"]
    assert isinstance(source, ForeignSource)
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
    assert (problem.place.source, problem.place.line) == (str(Path(__file__)), 28)
    assert caught.value.__suppress_context__


def test_what_has_a_code_keeps_it() -> None:
    own = DataError(Problem("D999", "known"))
    with pytest.raises(DataError) as caught:
        list(mine(own).chunks())
    assert caught.value is own


def test_our_own_sources_are_taken_as_they_are() -> None:
    assert from_python(SOURCE)["train"] is SOURCE
