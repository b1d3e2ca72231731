"""Downloads: responses are limited in size and time, and files compared with their hashes."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import time
from collections.abc import Iterator
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any

from tunesmith.i18n import gettext as _

__all__ = ["is_commit", "limit_responses", "mismatch", "sha256_once"]

MOST_BYTES = 200_000_000
"""Limit of a response that is not a file."""

SLOW_SECONDS, SLOW_BYTES = 60.0, 60_000
"""A response with fewer bytes in this time is given up."""

_HASHES = {32: ("md5",), 40: ("git", "sha1"), 64: ("sha256",)}
"""Kinds of hashes by the digits of an ETag: of mirrors, of small files (git), of large files."""

_hashed: dict[tuple[int, ...], str] = {}


def sha256_once(file: BufferedReader) -> str:
    """Return the sha256 of an open file, in hex; computed once as long as the file is unchanged.

    About 2 GB/s on CPUs with SHA instructions, 0.4 GB/s without.
    """
    facts = os.fstat(file.fileno())
    key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    if key not in _hashed:
        _hashed[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashed[key]


def is_commit(value: object) -> bool:
    """Return whether a value is a full commit hash: forty hex digits."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}", value) is not None


def mismatch(path: Path, announced: str) -> bool | None:
    """Return whether a file differs from the hash that was announced for it.

    Args:
        path: the file.
        announced: an ETag or hash: sha256 of large files; of small ones git's hash, which is the
            sha1 of a header and the content, or what mirrors have: the plain sha1 or md5.

    Returns:
        None if the announced value is no hash of a known kind.
    """
    kinds = _HASHES.get(len(announced), ()) if re.fullmatch("[0-9a-f]+", announced) else ()
    if not kinds:
        return None
    return announced not in {_hash(path, kind) for kind in kinds}


def _hash(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        if kind == "sha256":
            return sha256_once(file)
        digest = hashlib.new("md5" if kind == "md5" else "sha1", usedforsecurity=False)
        if kind == "git":
            digest.update(b"blob %d\0" % path.stat().st_size)
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


@cache
def limit_responses() -> None:
    """Have the client of the Hub give up responses that are too long or too slow."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def bounded_client() -> Any:
        client = default_client_factory()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "response": [*hooks.get("response", ()), _bound]}
        return client

    set_client_factory(bounded_client)


def _bound(response: Any) -> None:
    library = importlib.import_module(type(response).__module__.split(".")[0])
    is_file = "/resolve/" in response.request.url.path or response.is_redirect
    most = None if is_file else MOST_BYTES
    response.stream = _stream_class(library.SyncByteStream)(response.stream, most)


@cache
def _stream_class(base: Any) -> Any:
    class Bounded(base):  # type: ignore[misc]
        """The bytes of a response, as long as they are not too many or too slow."""

        def __init__(self, stream: Any, most: int | None) -> None:
            self._stream, self._most = stream, most

        def __iter__(self) -> Iterator[bytes]:
            total = recent = 0
            since = time.monotonic()
            for block in self._stream:
                total += len(block)
                recent += len(block)
                if self._most is not None and total > self._most:
                    raise ValueError(
                        _("its response is longer than {limit} MB").format(
                            limit=self._most // 1_000_000
                        )
                    )
                if (now := time.monotonic()) - since > SLOW_SECONDS:
                    if recent < SLOW_BYTES:
                        raise TimeoutError(
                            _("it sent {count} bytes in {seconds:.0f} seconds").format(
                                count=recent, seconds=now - since
                            )
                        )
                    since, recent = now, 0
                yield block

        def close(self) -> None:
            self._stream.close()

    return Bounded
