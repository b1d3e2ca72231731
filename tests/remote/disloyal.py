"""Stores that break promises, as some servers do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunesmith.remote.store import Store, Stored

WRITES = ("write", "create", "replace", "upload", "delete")
READS = ("read", "download", "keys")


class Wrapped(Store):
    """A store that calls another one; subclasses change what it does."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner.location)
        self.inner = inner

    def _read(self, key: str) -> Stored | None:
        return self.inner.read(key)

    def _write(self, key: str, content: bytes) -> str:
        return self.inner.write(key, content)

    def _create(self, key: str, content: bytes) -> str:
        return self.inner.create(key, content)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        return self.inner.replace(key, content, version)

    def _upload(self, key: str, path: Path) -> None:
        self.inner.upload(key, path)

    def _download(self, key: str, path: Path) -> bool:
        return self.inner.download(key, path)

    def _keys(self, prefix: str) -> list[str]:
        return self.inner.keys(prefix)

    def _delete(self, key: str) -> None:
        self.inner.delete(key)


class Careless(Wrapped):
    """Ignores conditions, some or all of the time."""

    def __init__(self, inner: Store, *, create: bool = True, replace: bool = True) -> None:
        super().__init__(inner)
        self.ignores_create, self.ignores_replace = create, replace

    def _create(self, key: str, content: bytes) -> str:
        write = self.inner.write if self.ignores_create else self.inner.create
        return write(key, content)

    def _replace(self, key: str, content: bytes, version: str) -> str:
        if self.ignores_replace:
            return self.inner.write(key, content)
        return self.inner.replace(key, content, version)


class Hooked(Wrapped):
    """Calls a function before and after each operation."""

    def __init__(self, inner: Store, hook: Callable[[str, str, str], None]) -> None:
        super().__init__(inner)
        for name in (*WRITES, *READS):
            setattr(self, f"_{name}", self._hooked(name, hook))

    def _hooked(self, name: str, hook: Callable[[str, str, str], None]) -> Callable[..., Any]:
        real = getattr(self.inner, name)

        def call(key: str, *arguments: Any) -> Any:
            hook("before", name, key)
            result = real(key, *arguments)
            hook("after", name, key)
            return result

        return call


def killing(number: int) -> Callable[[str, str, str], None]:
    """A hook that ends the process at the n-th moment around a write or a delete, from 1."""
    count = 0

    def hook(_when: str, name: str, _key: str) -> None:
        nonlocal count
        if name in WRITES:
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook
