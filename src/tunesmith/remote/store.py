"""What a remote run folder needs of a store: objects that are written whole, some on a condition.

There is no rename, no append and no lock. `create` and `replace` write only if the object is not
there, or still the version that was read; this is what makes one process the owner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from tunesmith.remote.location import Location
from tunesmith.remote.store_errors import Conflict, reported

__all__ = ["Conflict", "Store", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A small object as it was read.

    Attributes:
        content: all of it.
        version: what `replace` compares: an ETag or a generation.
    """

    content: bytes
    version: str


class Store(ABC):
    """Objects by key below one location; safe to use from several threads.

    Every method but the private ones turns what a library raises into a `ResourceError` (C162),
    and lets `Conflict` pass.
    """

    def __init__(self, location: Location) -> None:
        self.location = location

    def read(self, key: str) -> Stored | None:
        """Return a small object; None if there is none."""
        with reported(self.location):
            return self._read(key)

    def write(self, key: str, content: bytes) -> str:
        """Write a small object; return its version."""
        with reported(self.location):
            return self._write(key, content)

    def create(self, key: str, content: bytes) -> str:
        """Write a small object that is not there; return its version.

        Raises:
            Conflict: it is there.
        """
        with reported(self.location):
            return self._create(key, content)

    def replace(self, key: str, content: bytes, version: str) -> str:
        """Write a small object over a version of it; return the new version.

        Raises:
            Conflict: it is another version now, or gone.
        """
        with reported(self.location):
            return self._replace(key, content, version)

    def upload(self, key: str, path: Path) -> None:
        """Write an object of any size from a file."""
        with reported(self.location):
            self._upload(key, path)

    def download(self, key: str, path: Path) -> bool:
        """Write an object of any size into a file; return False if there is none."""
        with reported(self.location):
            return self._download(key, path)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin so, in order."""
        with reported(self.location):
            return sorted(self._keys(prefix))

    def delete(self, key: str) -> None:
        """Delete an object; none is fine."""
        with reported(self.location):
            self._delete(key)

    @abstractmethod
    def _read(self, key: str) -> Stored | None: ...

    @abstractmethod
    def _write(self, key: str, content: bytes) -> str: ...

    @abstractmethod
    def _create(self, key: str, content: bytes) -> str: ...

    @abstractmethod
    def _replace(self, key: str, content: bytes, version: str) -> str: ...

    @abstractmethod
    def _upload(self, key: str, path: Path) -> None: ...

    @abstractmethod
    def _download(self, key: str, path: Path) -> bool: ...

    @abstractmethod
    def _keys(self, prefix: str) -> list[str]: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...
