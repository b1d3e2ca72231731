"""Objects in Google Cloud Storage, through gcsfs.

gcsfs has a condition for creating (`mode="create"`) but none for replacing, so small objects go
through its request function, with `ifGenerationMatch`; the version is the generation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.remote.location import Location
from tunesmith.remote.store import Conflict, Store, Stored

__all__ = ["GcsStore"]


class GcsStore(Store):
    """Objects below a prefix of a bucket."""

    def __init__(self, location: Location) -> None:
        from gcsfs import GCSFileSystem

        super().__init__(location)
        self._gcs: Any = GCSFileSystem(use_listings_cache=False, skip_instance_cache=True)
        self._prefix = location.prefix + "/"

    def _path(self, key: str) -> str:
        return f"{self.location.bucket}/{self._prefix}{key}"

    def _read(self, key: str) -> Stored | None:
        try:
            headers, content = self._gcs.call("GET", self._gcs.url(self._path(key)))
        except FileNotFoundError:
            self._refuse_missing_bucket()
            return None
        return Stored(content, headers["x-goog-generation"])

    def _refuse_missing_bucket(self) -> None:
        """Raise what the store answers for a bucket that is not there; an object may be missing."""
        self._gcs.call("GET", "b/{}/o", self.location.bucket, maxResults=1, fields="kind")

    def _put(self, key: str, content: bytes, generation: str | None) -> str:
        path = f"{self._gcs._location}/upload/storage/v1/b/{self.location.bucket}/o"
        try:
            answer = self._gcs.call(
                "POST",
                path,
                uploadType="media",
                name=self._prefix + key,
                ifGenerationMatch=generation,
                headers={"Content-Type": "application/octet-stream"},
                data=content,
                json_out=True,
            )
        except (FileExistsError, FileNotFoundError) as error:
            if generation is None or isinstance(error, FileNotFoundError):
                raise
            raise Conflict(key) from None
        return str(answer["generation"])

    def _write(self, key: str, content: bytes) -> str:
        return self._put(key, content, None)

    def _create(self, key: str, content: bytes) -> str:
        return self._put(key, content, "0")

    def _replace(self, key: str, content: bytes, version: str) -> str:
        return self._put(key, content, version)

    def _upload(self, key: str, path: Path) -> None:
        self._gcs.put_file(str(path), self._path(key))

    def _download(self, key: str, path: Path) -> bool:
        try:
            self._gcs.get_file(self._path(key), str(path))
        except FileNotFoundError:
            self._refuse_missing_bucket()
            return False
        return True

    def _keys(self, prefix: str) -> list[str]:
        keys: list[str] = []
        token = None
        while True:
            _headers, content = self._gcs.call(
                "GET", "b/{}/o", self.location.bucket,
                prefix=self._prefix + prefix, pageToken=token, fields="items/name,nextPageToken",
            )  # fmt: skip
            answer = json.loads(content)
            keys += [one["name"].removeprefix(self._prefix) for one in answer.get("items", ())]
            token = answer.get("nextPageToken")
            if token is None:
                return keys

    def _delete(self, key: str) -> None:
        try:
            self._gcs.call("DELETE", "b/{}/o/{}", self.location.bucket, self._prefix + key)
        except FileNotFoundError:
            self._refuse_missing_bucket()
