"""Stores of this machine: the memory of the process, for tests, and a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.remote.location import Location
from tunesmith.remote.store import Conflict, Store, Stored
from tunesmith.storage import atomic
from tunesmith.storage.lock import hold

__all__ = ["FolderStore", "MemoryStore"]

_LOCK_SECONDS = 60.0
_memory_lock = threading.Lock()


def _version_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class MemoryStore(Store):
    """Objects in the memory of this process, through fsspec's file system of this name."""

    def __init__(self, location: Location) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        super().__init__(location)
        self._files = MemoryFileSystem()
        self._root = f"/{location.bucket}/{location.prefix}/"

    def _read(self, key: str) -> Stored | None:
        try:
            content: bytes = self._files.cat_file(self._root + key)
        except FileNotFoundError:
            return None
        return Stored(content, _version_of(content))

    def _write(self, key: str, content: bytes) -> str:
        self._files.pipe_file(self._root + key, content)
        return _version_of(content)

    def _create(self, key: str, content: bytes) -> str:
        with _memory_lock:
            if self._files.exists(self._root + key):
                raise Conflict(key)
            return self._write(key, content)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        with _memory_lock:
            stored = self._read(key)
            if stored is None or stored.version != version:
                raise Conflict(key)
            return self._write(key, content)

    def _upload(self, key: str, path: Path) -> None:
        self._write(key, path.read_bytes())

    def _download(self, key: str, path: Path) -> bool:
        stored = self._read(key)
        if stored is not None:
            path.write_bytes(stored.content)
        return stored is not None

    def _keys(self, prefix: str) -> list[str]:
        paths = self._files.find(self._root.rstrip("/"))
        keys = (name.removeprefix(self._root) for name in paths)
        return [key for key in keys if key.startswith(prefix)]

    def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(self._root + key)


class FolderStore(Store):
    """Objects as files below a folder; conditions hold while `.lock` is held."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self._root = Path(location.prefix)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with hold(self._root, wait_seconds=_LOCK_SECONDS, across_machines=False):
            yield

    def _read(self, key: str) -> Stored | None:
        try:
            content = (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stored(content, _version_of(content))

    def _write(self, key: str, content: bytes) -> str:
        with atomic.replace_file(self._root / key) as unfinished:
            unfinished.write_bytes(content)
        return _version_of(content)

    def _create(self, key: str, content: bytes) -> str:
        with self._locked():
            if os.path.lexists(self._root / key):
                raise Conflict(key)
            return self._write(key, content)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        with self._locked():
            stored = self._read(key)
            if stored is None or stored.version != version:
                raise Conflict(key)
            return self._write(key, content)

    def _upload(self, key: str, path: Path) -> None:
        with atomic.replace_file(self._root / key) as unfinished:
            shutil.copyfile(path, unfinished)

    def _download(self, key: str, path: Path) -> bool:
        try:
            shutil.copyfile(self._root / key, path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _keys(self, prefix: str) -> list[str]:
        if not self._root.is_dir():
            return []
        files = (path for path in self._root.rglob("*") if path.is_file())
        keys = (path.relative_to(self._root).as_posix() for path in files)
        return [
            key
            for key in keys
            if key.startswith(prefix) and not key.rpartition("/")[2].startswith(".")
        ]

    def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            (self._root / key).unlink()
