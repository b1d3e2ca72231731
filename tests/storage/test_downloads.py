from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hub_server import Answer, Hub, git_hash, serve
from tunesmith.storage import downloads
from tunesmith.storage.downloads import is_commit, limit_responses, mismatch, sha256_once


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads") / "file"


@given(content=st.binary(max_size=3_000_000), bit=st.integers(0, 7))
def test_every_kind_of_hash(path: Path, content: bytes, bit: int) -> None:
    hashes = [
        hashlib.sha256(content).hexdigest(), git_hash(content),
        hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        hashlib.md5(content, usedforsecurity=False).hexdigest(),
    ]  # fmt: skip
    path.write_bytes(content)
    assert [mismatch(path, announced) for announced in hashes] == [False] * 4
    path.write_bytes(content[:-1] + bytes([(content[-1] if content else 0) ^ 1 << bit]))
    assert [mismatch(path, announced) for announced in hashes] == [True] * 4


@pytest.mark.parametrize("announced", ["", "5f-1a", "Z" * 40, "a" * 41, "A" * 64, "a" * 64 + "-2"])
def test_what_is_no_hash_says_nothing(path: Path, announced: str) -> None:
    path.write_bytes(b"x")
    assert mismatch(path, announced) is None


def test_a_file_is_hashed_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"a", b"b", b"bb"):
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))  # as a program that hides its traces leaves it
        with path.open("rb") as file:
            assert sha256_once(file) == hashlib.sha256(content).hexdigest()
        with path.open("rb") as file:
            assert sha256_once(file) == hashlib.sha256(content).hexdigest()
            assert file.read() == content, "the second time nothing was read"


def test_names_of_commits() -> None:
    assert is_commit("0123456789abcdef" * 2 + "01234567")
    for value in (None, 5, "", "main", "0" * 39, "0" * 41, "g" * 40, "A" * 40, "0" * 40 + "\n"):
        assert not is_commit(value)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(downloads, "MOST_BYTES", 1000)
    monkeypatch.setattr(downloads, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(downloads, "SLOW_BYTES", 50)
    limit_responses.cache_clear()
    limit_responses()
    with serve() as running:
        yield running
    set_client_factory(default_client_factory)
    limit_responses.cache_clear()


def fetched(server: Hub, path: str, answer: Answer) -> bytes:
    from huggingface_hub.utils import get_session

    server.answer = lambda _verb, _path: answer
    content: bytes = get_session().get(server.url + path, timeout=5).content
    return content


def test_answers_have_a_longest(server: Hub) -> None:
    assert fetched(server, "/api/x", Answer(b"x" * 1000)) == b"x" * 1000
    with pytest.raises(ValueError, match="longer than 0 MB"):
        fetched(server, "/api/x", Answer(b"x" * 1001))
    assert len(fetched(server, "/a/b/resolve/main/x", Answer(b"x" * 5000))) == 5000


def test_answers_that_hardly_come_are_given_up(server: Hub) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"it sent \d+ bytes in 0 seconds"):
        fetched(server, "/a/b/resolve/main/x", Answer(b"x" * 1000, pause=0.02))
    assert time.monotonic() - started < 10
    brisk = Answer(b"x" * 200, pause=0.002)
    assert fetched(server, "/a/b/resolve/main/x", brisk) == b"x" * 200
