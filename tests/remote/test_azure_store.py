"""What is requested of Azure Blob Storage, with its answers as the library gives them."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote.laws import assert_moves_files
from tunesmith.errors import ResourceError
from tunesmith.remote.azure_store import AzureStore
from tunesmith.remote.location import Location
from tunesmith.remote.store import Store, Stored
from tunesmith.remote.store_errors import Conflict


class HttpResponseError(Exception):
    def __init__(self, status_code: int, error_code: str) -> None:
        super().__init__(error_code)
        self.status_code, self.error_code = status_code, error_code


class ResourceNotFoundError(HttpResponseError):
    pass


class ResourceExistsError(HttpResponseError):
    pass


class Container:
    """Blobs with ETags, behind the clients of azure and the functions of adlfs that are used."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.count = 0
        self.exists = True

    def get_blob_client(self, *, container: str, blob: str) -> Client:
        assert container == "container"
        return Client(self, blob)

    def get_container_client(self, container: str) -> Client:
        assert container == "container"
        return Client(self, "")

    def put(self, name: str, data: bytes) -> str:
        self.count += 1
        self.blobs[name] = (f'"{self.count}"', data)
        return self.blobs[name][0]


class Client:
    def __init__(self, container: Container, name: str) -> None:
        self.container, self.name = container, name

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        pass

    def stored(self) -> tuple[str, bytes]:
        if not self.container.exists:
            raise ResourceNotFoundError(404, "ContainerNotFound")
        if self.name not in self.container.blobs:
            raise ResourceNotFoundError(404, "BlobNotFound")
        return self.container.blobs[self.name]

    async def download_blob(self) -> Any:
        etag, content = self.stored()

        async def readall() -> bytes:
            return content

        return types.SimpleNamespace(readall=readall, properties=types.SimpleNamespace(etag=etag))

    async def upload_blob(
        self, *, data: bytes, overwrite: bool, etag: str = "", match_condition: object = None
    ) -> dict[str, str]:
        if not overwrite and self.name in self.container.blobs:
            raise ResourceExistsError(409, "BlobAlreadyExists")
        if match_condition == "IfNotModified" and self.container.blobs.get(self.name, "")[:1] != (
            etag,
        ):
            raise HttpResponseError(412, "ConditionNotMet")
        return {"etag": self.container.put(self.name, data)}

    async def delete_blob(self) -> None:
        self.stored()
        del self.container.blobs[self.name]

    async def list_blob_names(self, *, name_starts_with: str) -> AsyncIterator[str]:
        for name in sorted(self.container.blobs):
            if name.startswith(name_starts_with):
                yield name


@pytest.fixture
def container() -> Container:
    return Container()


@pytest.fixture
def store(container: Container, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    core: Any = types.ModuleType("azure.core")
    core.MatchConditions = types.SimpleNamespace(IfNotModified="IfNotModified")
    errors: Any = types.ModuleType("azure.core.exceptions")
    for kind in (HttpResponseError, ResourceNotFoundError, ResourceExistsError):
        setattr(errors, kind.__name__, kind)
    for name, module in (
        ("azure", types.ModuleType("azure")), ("azure.core", core),
        ("azure.core.exceptions", errors),
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    from fsspec.asyn import get_loop

    def put_file(local: str, path: str, *, overwrite: bool) -> None:
        assert overwrite
        container.put(path.partition("/")[2], Path(local).read_bytes())

    def get_file(path: str, local: str) -> None:
        client = Client(container, path.partition("/")[2])
        try:
            Path(local).write_bytes(client.stored()[1])
        except ResourceNotFoundError as error:
            raise FileNotFoundError(path) from error

    made = AzureStore.__new__(AzureStore)
    Store.__init__(made, Location.read("az://container/run"))
    made._azure = types.SimpleNamespace(
        service_client=container, loop=get_loop(), put_file=put_file, get_file=get_file
    )
    made._prefix = "run/"
    yield made


def test_conditions_are_etags(store: Store) -> None:
    version = store.create("key", b"one")
    with pytest.raises(Conflict):
        store.create("key", b"two")
    second = store.replace("key", b"two", version)
    with pytest.raises(Conflict):
        store.replace("key", b"three", version)
    with pytest.raises(Conflict):
        store.replace("other", b"three", version)
    assert store.read("key") == Stored(b"two", second)
    store.write("key", b"four")


def test_lists_files_and_deletion(store: Store, tmp_path: Path) -> None:
    for i in range(3):
        store.write(f"a/{i}", b"")
    store.delete("a/1")
    store.delete("a/1")
    assert store.keys("a/") == ["a/0", "a/2"]
    assert_moves_files(store, tmp_path)


def test_a_missing_container_is_no_missing_object(store: Store, container: Container) -> None:
    container.exists = False
    with pytest.raises(ResourceError, match=r"C162.*no such bucket"):
        store.read("key")


def test_the_loop_is_that_of_fsspec(store: Store) -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
