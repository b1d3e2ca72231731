"""Objects in Azure Blob Storage, through adlfs.

adlfs has a condition for creating but none for replacing, so small objects go through the client
that it made, with the ETag as condition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tunesmith.remote.location import Location
from tunesmith.remote.store import Conflict, Store, Stored

__all__ = ["AzureStore"]


class AzureStore(Store):
    """Objects below a prefix of a container."""

    def __init__(self, location: Location) -> None:
        from adlfs import AzureBlobFileSystem

        super().__init__(location)
        self._azure: Any = AzureBlobFileSystem(use_listings_cache=False, skip_instance_cache=True)
        self._prefix = location.prefix + "/"

    def _path(self, key: str) -> str:
        return f"{self.location.bucket}/{self._prefix}{key}"

    def _with_blob(self, key: str, act: Callable[[Any], Awaitable[Any]]) -> Any:
        from fsspec.asyn import sync

        async def call() -> Any:
            client = self._azure.service_client.get_blob_client(
                container=self.location.bucket, blob=self._prefix + key
            )
            async with client as blob:
                return await act(blob)

        return sync(self._azure.loop, call)

    def _read(self, key: str) -> Stored | None:
        async def content(blob: Any) -> Stored:
            stream = await blob.download_blob()
            return Stored(await stream.readall(), stream.properties.etag)

        stored: Stored | None = self._unless_missing(lambda: self._with_blob(key, content))
        return stored

    def _unless_missing(self, call: Callable[[], Any]) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return call()
        except (ResourceNotFoundError, FileNotFoundError) as error:
            seen = error if isinstance(error, ResourceNotFoundError) else error.__cause__
            if getattr(seen, "error_code", None) == "ContainerNotFound":
                raise
            return None

    def _put(self, key: str, content: bytes, **condition: Any) -> str:
        from azure.core.exceptions import HttpResponseError, ResourceExistsError

        async def put(blob: Any) -> Any:
            return await blob.upload_blob(data=content, **condition)

        try:
            answer = self._with_blob(key, put)
        except ResourceExistsError:
            raise Conflict(key) from None
        except HttpResponseError as error:
            if error.status_code == 412 or (
                "match_condition" in condition and error.error_code == "BlobNotFound"
            ):
                raise Conflict(key) from None
            raise
        return str(answer["etag"])

    def _write(self, key: str, content: bytes) -> str:
        return self._put(key, content, overwrite=True)

    def _create(self, key: str, content: bytes) -> str:
        return self._put(key, content, overwrite=False)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        from azure.core import MatchConditions

        return self._put(
            key,
            content,
            overwrite=True,
            etag=version,
            match_condition=MatchConditions.IfNotModified,
        )

    def _upload(self, key: str, path: Path) -> None:
        self._azure.put_file(str(path), self._path(key), overwrite=True)

    def _download(self, key: str, path: Path) -> bool:
        def call() -> bool:
            self._azure.get_file(self._path(key), str(path))
            return True

        return bool(self._unless_missing(call))

    def _keys(self, prefix: str) -> list[str]:
        from fsspec.asyn import sync

        async def names() -> list[str]:
            client = self._azure.service_client.get_container_client(self.location.bucket)
            async with client as container:
                listed = container.list_blob_names(name_starts_with=self._prefix + prefix)
                return [name.removeprefix(self._prefix) async for name in listed]

        keys: list[str] = sync(self._azure.loop, names)
        return keys

    def _delete(self, key: str) -> None:
        async def delete(blob: Any) -> None:
            await blob.delete_blob()

        self._unless_missing(lambda: self._with_blob(key, delete))
