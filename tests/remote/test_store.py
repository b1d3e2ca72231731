"""Laws that every store obeys."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store
from tunesmith.remote.store import Store, Stored
from tunesmith.remote.store_errors import Conflict


def test_what_was_written_last_is_read(store: Store) -> None:
    assert store.read("a/b") is None
    first = store.write("a/b", b"one")
    assert store.read("a/b") == Stored(b"one", first)
    second = store.write("a/b", b"two")
    assert second != first
    assert store.read("a/b") == Stored(b"two", second)


def test_an_object_is_created_once(store: Store) -> None:
    version = store.create("key", b"one")
    with pytest.raises(Conflict):
        store.create("key", b"two")
    assert store.read("key") == Stored(b"one", version)
    store.delete("key")
    store.create("key", b"three")


def test_only_the_version_that_was_read_is_replaced(store: Store) -> None:
    with pytest.raises(Conflict):
        store.replace("key", b"none", '"0"' if store.location.scheme == "s3" else "0")
    first = store.create("key", b"one")
    second = store.replace("key", b"two", first)
    with pytest.raises(Conflict):
        store.replace("key", b"three", first)
    assert store.read("key") == Stored(b"two", second)
    store.delete("key")
    with pytest.raises(Conflict):
        store.replace("key", b"three", second)
    assert store.read("key") is None


def test_of_many_only_one_creates_and_only_one_replaces(store: Store) -> None:
    version = store.create("replaced", b"0")
    done: list[str] = []

    def try_both(number: int) -> None:
        for write, name in (
            (lambda: store.create("made", b"%d" % number), "made"),
            (lambda: store.replace("replaced", b"%d" % number, version), "replaced"),
        ):
            try:
                write()
                done.append(name)
            except Conflict:
                pass

    threads = [threading.Thread(target=try_both, args=(i + 1,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["made", "replaced"]


def test_keys_are_listed_by_prefix_and_deleted(store: Store) -> None:
    for key in ("b/2", "a/1", "b/1", "b1"):
        store.write(key, b"x")
    assert store.keys("") == ["a/1", "b/1", "b/2", "b1"]
    assert store.keys("b/") == ["b/1", "b/2"]
    assert store.keys("c") == []
    store.delete("b/1")
    store.delete("b/1")
    store.delete("never/there")
    assert store.keys("b") == ["b/2", "b1"]


def test_files_go_up_and_down(store: Store, tmp_path: Path) -> None:
    sent, received = tmp_path / "sent", tmp_path / "received"
    for content in (b"", b"short", bytes(range(256)) * 5000):
        sent.write_bytes(content)
        store.upload("some/file", sent)
        assert store.download("some/file", received)
        assert received.read_bytes() == content
    assert not store.download("no/file", received)


KEYS = st.sampled_from(["a", "b/a", "b/b"])


class Model(RuleBasedStateMachine):
    """A store in memory against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.store = open_store(Location.read("memory://tests/model"))
        for key in self.store.keys(""):
            self.store.delete(key)
        self.expected: dict[str, bytes] = {}
        self.versions: dict[str, str] = {}
        self.count = 0

    def content(self) -> bytes:
        self.count += 1
        return b"%d" % self.count

    @rule(key=KEYS)
    def write(self, key: str) -> None:
        self.expected[key] = self.content()
        self.versions[key] = self.store.write(key, self.expected[key])

    @rule(key=KEYS)
    def create(self, key: str) -> None:
        content = self.content()
        try:
            self.versions[key] = self.store.create(key, content)
        except Conflict:
            assert key in self.expected
        else:
            assert key not in self.expected
            self.expected[key] = content

    @rule(key=KEYS, stale=st.booleans())
    def replace(self, key: str, stale: bool) -> None:
        content = self.content()
        version = "stale" if stale or key not in self.versions else self.versions[key]
        try:
            self.versions[key] = self.store.replace(key, content, version)
        except Conflict:
            assert version == "stale"
        else:
            assert version != "stale"
            self.expected[key] = content

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.store.delete(key)
        self.expected.pop(key, None)
        self.versions.pop(key, None)

    @invariant()
    def is_as_expected(self) -> None:
        assert self.store.keys("") == sorted(self.expected)
        for key, content in self.expected.items():
            assert self.store.read(key) == Stored(content, self.versions[key])


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=20, stateful_step_count=15, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@given(st.binary(max_size=64))
def test_content_is_not_changed(content: bytes) -> None:
    store = open_store(Location.read("memory://tests/content"))
    store.write("key", content)
    stored = store.read("key")
    assert stored is not None and stored.content == content
