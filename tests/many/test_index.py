from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.many.files import STATES
from tunesmith.many.index import Index
from tunesmith.many.states import State


def last(states: list[State]) -> dict[str, State]:
    return {state.out: state for state in states}


@settings(max_examples=30)
@given(st.lists(STATES, max_size=6), st.data())
def test_any_part_of_the_file_is_readable_and_goes_on(
    tmp_path_factory: object, states: list[State], data: st.DataObject
) -> None:
    """A kill at any byte: whole lines count, and what is written later is whole."""
    path = tmp_path_factory.mktemp("index") / "index.jsonl"  # type: ignore[attr-defined]
    index = Index(path)
    for state in states:
        index.append([state])
    assert index.read() == last(states)
    content = path.read_bytes() if states else b""
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = states[: content[:cut].count(b"\n")]
    ends_whole = cut < len(content) and content[cut : cut + 1] == b"\n"
    if ends_whole:  # only the line break is missing
        whole = states[: len(whole) + 1]
    assert index.read() == last(whole)
    more = data.draw(STATES)
    index.append([more])
    assert index.read() == last([*whole, more])


def test_lines_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "index.jsonl"
    good = State("done", "a", 1, "x")
    lines = [
        b"\xff",
        b"[]",
        b"{}",
        b'{"state": "odd"}',
        b'{"state": "done", "out": 3}',
        b"[" * 9999,
    ]
    path.write_bytes(b"\n".join([*lines, json.dumps(good.as_json()).encode()]) + b"\n")
    assert Index(path).read() == {"a": good}
    assert Index(tmp_path / "none").read() == {}
