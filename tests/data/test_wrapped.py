from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_without import memory
from tunesmith.data.without import FilteredSource
from tunesmith.data.wrapped import innermost, original_rows
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
