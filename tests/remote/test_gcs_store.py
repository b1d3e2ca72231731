"""What is requested of Google Cloud Storage, with its answers as the library gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.remote.laws import assert_moves_files
from tunesmith.errors import ResourceError
from tunesmith.remote.gcs_store import GcsStore
from tunesmith.remote.location import Location
from tunesmith.remote.store import Store, Stored
from tunesmith.remote.store_errors import Conflict


class Bucket:
    """Objects by name with generations, behind the functions of gcsfs that are used."""

    _location = "https://storage.googleapis.com"

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.generation = 100
        self.exists = True

    def url(self, path: str) -> str:
        return f"media:{path.partition('/')[2]}"

    def call(self, method: str, path: str, *arguments: str, **keywords: Any) -> Any:
        if not self.exists:
            raise FileNotFoundError("b/bucket")
        if method == "POST":
            return self._post(path, **keywords)
        if method == "DELETE":
            if self.objects.pop(arguments[1], None) is None:
                raise FileNotFoundError(arguments[1])
            return {}, b""
        if path.startswith("media:"):
            if (name := path[6:]) not in self.objects:
                raise FileNotFoundError(name)
            generation, content = self.objects[name]
            return {"x-goog-generation": str(generation)}, content
        names = sorted(n for n in self.objects if n.startswith(keywords.get("prefix", "")))
        start = int(keywords.get("pageToken") or 0)
        answer: dict[str, Any] = {"items": [{"name": n} for n in names[start : start + 2]]}
        if start + 2 < len(names):
            answer["nextPageToken"] = str(start + 2)
        return {}, json.dumps(answer)

    def _post(self, path: str, *, name: str, data: bytes, **keywords: Any) -> Any:
        assert path == f"{self._location}/upload/storage/v1/b/bucket/o"
        assert keywords["uploadType"] == "media" and keywords["json_out"]
        expected = keywords["ifGenerationMatch"]
        now = self.objects.get(name, (0, b""))[0]
        if expected is not None and int(expected) != now:
            raise FileExistsError(name)  # what gcsfs makes of 412
        self.generation += 1
        self.objects[name] = (self.generation, data)
        return {"generation": str(self.generation)}

    def put_file(self, local: str, path: str) -> None:
        self._post(
            f"{self._location}/upload/storage/v1/b/bucket/o", name=path.partition("/")[2],
            data=Path(local).read_bytes(), uploadType="media", json_out=True,
            ifGenerationMatch=None,
        )  # fmt: skip

    def get_file(self, path: str, local: str) -> None:
        _headers, content = self.call("GET", self.url(path))
        Path(local).write_bytes(content)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def store(bucket: Bucket) -> Store:
    made = GcsStore.__new__(GcsStore)
    Store.__init__(made, Location.read("gs://bucket/run"))
    made._gcs, made._prefix = bucket, "run/"
    return made


def test_conditions_are_generations(store: Store, bucket: Bucket) -> None:
    version = store.create("key", b"one")
    assert bucket.objects["run/key"][0] == int(version)
    with pytest.raises(Conflict):
        store.create("key", b"two")
    second = store.replace("key", b"two", version)
    with pytest.raises(Conflict):
        store.replace("key", b"three", version)
    assert store.read("key") == Stored(b"two", second)
    store.write("key", b"four")


def test_pages_files_and_deletion(store: Store, tmp_path: Path) -> None:
    for i in range(5):
        store.write(f"a/{i}", b"")
    assert store.keys("a/") == [f"a/{i}" for i in range(5)]
    store.delete("a/1")
    store.delete("a/1")
    assert_moves_files(store, tmp_path)


def test_a_missing_bucket_is_no_missing_object(store: Store, bucket: Bucket) -> None:
    bucket.exists = False
    with pytest.raises(ResourceError, match="C162"):
        store.read("key")
    with pytest.raises(ResourceError, match="C162"):
        store.create("key", b"")
