"""Manifests: what was written is read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.remote.snapshot import (
    File,
    Part,
    Snapshot,
    newest_first,
    numbers_of,
    object_key,
)

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
PARTS = st.lists(st.builds(Part, HASHES, st.integers(0, 10**12)), min_size=1, max_size=3)


def file_of(parts: list[Part], digest: str) -> File:
    return File(digest, sum(part.size for part in parts), tuple(parts))


NAMES = st.sampled_from(
    ["recipe.yaml", "plan.json", "events.jsonl", "model/a.json", "model/onnx/b-1.txt",
     "checkpoints/step-00000003/state.json", "predictions/validation.parquet"]
)  # fmt: skip
SNAPSHOTS = st.builds(
    Snapshot,
    run=st.text(max_size=9),
    step=st.integers(0, 10**9),
    is_finished=st.booleans(),
    written=st.text(max_size=9),
    by=st.text(max_size=9),
    fingerprint=st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=3),
    files=st.dictionaries(NAMES, st.builds(file_of, PARTS, HASHES), max_size=4),
    fence=st.integers(1, 10**8 - 1),
    sequence=st.integers(1, 10**8 - 1),
)


@given(SNAPSHOTS)
def test_what_was_written_is_read(snapshot: Snapshot) -> None:
    assert Snapshot.read(snapshot.key, snapshot.as_bytes()) == snapshot


@given(st.lists(st.tuples(st.integers(1, 10**8 - 1), st.integers(1, 10**8 - 1)), max_size=9))
def test_the_newest_has_the_highest_fence_then_sequence(numbers: list[tuple[int, int]]) -> None:
    keys = [f"manifests/{fence:08d}-{sequence:08d}.json" for fence, sequence in numbers]
    newest = [numbers_of(key) for key in newest_first([*keys, "manifests/other", "lease.json"])]
    assert newest == sorted(numbers, reverse=True)


ONE = Snapshot(
    "run", 3, False, "now", "host", {}, {"plan.json": File("a" * 64, 1, (Part("a" * 64, 1),))}, 2, 7
)


def changed(**facts: Any) -> bytes:
    return json.dumps({**json.loads(ONE.as_bytes()), **facts}).encode()


ENTRY = {"sha256": "a" * 64, "bytes": 1, "parts": [{"sha256": "a" * 64, "bytes": 1}]}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"\xff", b"null", ONE.as_bytes()[:-9], b"[" * 100_000,
        changed(format=2), changed(step=-1), changed(step="3"), changed(files=[]),
        *(changed(files={name: ENTRY}) for name in (
            "../x", "/etc/passwd", "model/../../x", "model/.x", "model//x", "other.txt", "model",
            "model\\x", "checkpoints/../x", "trackers/x", ".lock", "model/a\n",
        )),
        changed(files={"plan.json": {**ENTRY, "bytes": 2}}),
        changed(files={"plan.json": {**ENTRY, "sha256": "../" + "a" * 61}}),
        changed(files={"plan.json": {**ENTRY, "parts": [{"sha256": "x", "bytes": 1}]}}),
        changed(files={"plan.json": {**ENTRY, "parts": [{"sha256": "a" * 64, "bytes": -1}]}}),
    ],
)  # fmt: skip
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        Snapshot.read(ONE.key, content)


def test_only_objects_of_the_own_fence_are_named() -> None:
    assert ONE.objects == {object_key(2, "a" * 64)}
    assert ONE.key == "manifests/00000002-00000007.json"
    assert ONE.size == 1
    with pytest.raises(ValueError, match="no manifest"):
        Snapshot.read("manifests/2-7.json", ONE.as_bytes())
