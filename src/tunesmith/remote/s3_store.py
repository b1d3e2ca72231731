"""Objects in S3 and what speaks its protocol, through s3fs.

s3fs has a condition for creating (`mode="create"`) but none for replacing, so small objects go
through its client: `put_object` with `IfNoneMatch` and `IfMatch`, `get_object` for the ETag.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.remote.location import Location
from tunesmith.remote.store import Conflict, Store, Stored

__all__ = ["S3Store"]

_CONFLICTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_MISSING = ("NoSuchKey", "404")
_TRIES = 3
"""By s3fs, each of several tries by botocore; training waits for nothing, and tries again later."""


class S3Store(Store):
    """Objects below a prefix of a bucket."""

    def __init__(self, location: Location) -> None:
        from s3fs import S3FileSystem

        super().__init__(location)
        self._s3: Any = S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        self._s3.retries = _TRIES
        self._prefix = location.prefix + "/"

    def _path(self, key: str) -> str:
        return f"{self.location.bucket}/{self._prefix}{key}"

    def _read(self, key: str) -> Stored | None:
        from fsspec.asyn import sync

        async def content() -> Stored:
            answer = await self._s3._call_s3(
                "get_object", Bucket=self.location.bucket, Key=self._prefix + key
            )
            async with answer["Body"] as body:
                return Stored(await body.read(), answer["ETag"])

        try:
            stored: Stored = sync(self._s3.loop, content)
        except OSError as error:
            if _code_of(error) in _MISSING:
                return None
            raise
        return stored

    def _put(self, key: str, content: bytes, **condition: str) -> str:
        try:
            answer = self._s3.call_s3(
                "put_object",
                Bucket=self.location.bucket,
                Key=self._prefix + key,
                Body=content,
                **condition,
            )
        except OSError as error:
            # a missing key cannot match either
            if condition and _code_of(error) in (*_CONFLICTS, *_MISSING):
                raise Conflict(key) from None
            raise
        version: str = answer["ETag"]
        return version

    def _write(self, key: str, content: bytes) -> str:
        return self._put(key, content)

    def _create(self, key: str, content: bytes) -> str:
        return self._put(key, content, IfNoneMatch="*")

    def _replace(self, key: str, content: bytes, version: str) -> str:
        return self._put(key, content, IfMatch=version)

    def _upload(self, key: str, path: Path) -> None:
        self._s3.put_file(str(path), self._path(key))

    def _download(self, key: str, path: Path) -> bool:
        try:
            self._s3.get_file(self._path(key), str(path))
        except FileNotFoundError as error:
            if _code_of(error) == "NoSuchBucket":
                raise
            return False
        return True

    def _keys(self, prefix: str) -> list[str]:
        keys: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = self._s3.call_s3(
                "list_objects_v2",
                Bucket=self.location.bucket,
                Prefix=self._prefix + prefix,
                **more,
            )
            objects = answer.get("Contents", ())
            keys += [one["Key"].removeprefix(self._prefix) for one in objects]
            if not answer.get("IsTruncated"):
                return keys
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _delete(self, key: str) -> None:
        self._s3.call_s3("delete_object", Bucket=self.location.bucket, Key=self._prefix + key)


def _code_of(error: BaseException) -> str | None:
    """Return the code that S3 gave for what s3fs raised."""
    response = getattr(error.__cause__, "response", None)
    return response["Error"].get("Code") if isinstance(response, dict) else None
