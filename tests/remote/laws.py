"""What every store has to do, whatever its library."""

from __future__ import annotations

from pathlib import Path

from tunesmith.remote.store import Store


def assert_moves_files(store: Store, folder: Path) -> None:
    """A file comes back as it was sent, and what is not there is None."""
    (folder / "sent").write_bytes(b"content")
    store.upload("file", folder / "sent")
    assert store.download("file", folder / "received")
    assert (folder / "received").read_bytes() == b"content"
    assert not store.download("other", folder / "received")
    assert store.read("other") is None
