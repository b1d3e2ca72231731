"""Stores of this machine; the laws of every store are in `test_store`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import ResourceError
from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store


def test_a_folder_shows_no_hidden_files(tmp_path: Path) -> None:
    store = open_store(Location.read(f"file://{tmp_path}/a"))
    store.create("b/key", b"")
    (tmp_path / "a" / "b" / ".tmp-key-1").write_bytes(b"half")
    assert (tmp_path / "a" / ".lock").exists()
    assert store.keys("") == ["b/key"]


def test_memory_is_shared_in_the_process() -> None:
    open_store(Location.read("memory://tests/shared")).write("key", b"1")
    stored = open_store(Location.read("memory://tests/shared")).read("key")
    assert stored is not None and stored.content == b"1"
    assert open_store(Location.read("memory://tests/shared-2")).read("key") is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in its place")
    with pytest.raises(ResourceError, match="C1"):
        open_store(Location.read(f"file://{tmp_path}/file/run")).create("key", b"")
