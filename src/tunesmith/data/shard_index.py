"""The index of a file: how many rows it has, where reading may begin, and what its content is.

It is made once, and used as long as size and time of the file stay the same. Of a Parquet file only
the footer and some pieces are read, of CSV and JSON lines all bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.data.rows import Marks, Seekable, Source
from tunesmith.data.token_cache import cache_folder
from tunesmith.errors import ResourceError
from tunesmith.storage import atomic

__all__ = ["Indexed", "index_of", "path_of", "stamp_of"]

_LAYOUT = 1
_PIECE, _PIECES = 1 << 16, 64
_WHOLE = 8 << 20
"""Files up to this size are hashed whole; of larger Parquet files the end and pieces are."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file and what is known of it.

    Attributes:
        source: reads it.
        marks: its rows, and where reading may begin.
        identity: of its content, whatever its name and time.
        stamp: its size and time when it was indexed; None for a revision of the Hub.
    """

    source: Seekable
    marks: Marks
    identity: str
    stamp: tuple[int, int] | None
    _same: set[tuple[int, int]] = field(default_factory=set, compare=False, repr=False)

    def has_changed(self) -> bool:
        """Whether the file has another content than when it was indexed.

        Another time alone is no other content: then all of it is read again.
        """
        path = path_of(self.source)
        if path is None or self.stamp is None:
            return False
        try:
            stamp = stamp_of(path)
            if stamp == self.stamp or stamp in self._same:
                return False
            if _identity(self.source, path) != self.identity:
                return True
        except OSError:
            return True
        self._same.add(stamp)
        return False


def path_of(source: Source) -> Path | None:
    """Return the file that a source reads; None if it is no file."""
    path = getattr(source, "path", None) or getattr(getattr(source, "text", None), "path", None)
    return path if isinstance(path, Path) else None


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and time of a file."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def index_of(source: Seekable) -> Indexed:
    """Return the index of a source: from the cache, else by reading it.

    Raises:
        DataError: it cannot be read to its end.
    """
    path = path_of(source)
    if path is None:
        dataset: Any = getattr(source, "dataset", None)
        known = [getattr(source, "revision", None), getattr(dataset, "_fingerprint", source.name)]
        return Indexed(source, source.marks(), _hash(known), None)
    stamp = stamp_of(path)
    text = getattr(source, "text", None)
    reading = [getattr(text, "encoding", None), repr(getattr(source, "dialect", None))]
    reading.append(getattr(source, "has_header", None))
    key = _hash([_LAYOUT, os.path.realpath(path), *stamp, type(source).__name__, *reading])
    stored = cache_folder() / "indexes" / f"{key}.json"
    if (facts := _read(stored)) is not None:
        marks = Marks(facts["rows"], facts["starts"], [tuple(mark) for mark in facts["marks"]])
        return Indexed(source, marks, facts["identity"], stamp)
    marks, identity = source.marks(), _identity(source, path)
    written = {
        "rows": marks.rows,
        "starts": list(marks.starts),
        "marks": list(marks.marks),
        "identity": identity,
    }
    if marks.problems:
        return Indexed(source, marks, identity, stamp)
    with suppress(OSError, ResourceError):  # the next run makes it again
        stored.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_file(stored, json.dumps(written))
    return Indexed(source, marks, identity, stamp)


def _read(stored: Path) -> Mapping[str, Any] | None:
    try:
        facts = json.loads(stored.read_text(encoding="utf-8"))
        is_whole = len(facts["starts"]) == len(facts["marks"]) and isinstance(facts["rows"], int)
        return facts if is_whole and isinstance(facts["identity"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identity(source: Source, path: Path) -> str:
    """Return a hash of the content of a file: of all, or of a large Parquet file of its pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        is_text = hasattr(source, "text")
        if is_text or size <= _WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(size - 8)
        footer = min(size, int.from_bytes(file.read(4), "little") + 8)
        for start in [*range(0, size, size // _PIECES), size - footer]:
            file.seek(start)
            digest.update(file.read(_PIECE if start < size - footer else footer))
        digest.update(str(size).encode())
    return digest.hexdigest()


def _hash(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()
