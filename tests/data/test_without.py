from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.open import open_splits
from tunesmith.data.readers.columnar import Memory
from tunesmith.data.rows import Concatenated
from tunesmith.data.without import FilteredSource


def memory(count: int) -> Memory:
    return Memory.of_records([{"text": f"t{i}", "label": i} for i in range(count)], "m")


@given(st.integers(0, 40), st.sets(st.integers(0, 45)))
def test_the_others_in_order_and_numbered_through(count: int, dropped: set[int]) -> None:
    rest = FilteredSource(memory(count), frozenset(dropped), ("text",))
    found = [row for chunk in rest.chunks(["label"]) for row in chunk]
    kept = [i for i in range(count) if i not in dropped]
    assert [row.values for row in found] == [{"label": i} for i in kept]
    assert [row.index for row in found] == list(range(len(kept)))
    places = rest.places(range(len(kept)))
    assert [places[i].row for i in range(len(kept))] == kept


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
