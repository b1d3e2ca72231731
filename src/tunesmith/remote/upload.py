"""Sending a state of the run: objects first, then the manifest; then old ones are deleted."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from tunesmith.errors import ResourceError
from tunesmith.remote.lease import Lease
from tunesmith.remote.snapshot import (
    MANIFESTS,
    OBJECTS,
    File,
    Part,
    Snapshot,
    newest_first,
    object_key,
)
from tunesmith.remote.store import Store
from tunesmith.remote.store_errors import Conflict
from tunesmith.storage.manifest import sha256_of

__all__ = ["LocalFile", "State", "Superseded", "Uploader"]

LOG = "events.jsonl"
_MOST_PARTS = 64


class Superseded(Exception):
    """A file is not there any more, or not as it was: a newer state will be sent."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the run folder that is complete.

    Attributes:
        name: its path in the run folder.
        path: where it is.
        sha256: as its own manifest has it; None if it is in none.
    """

    name: str
    path: Path
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A state of the run on this disk.

    Attributes:
        step: steps done.
        is_finished: whether the model is among the files.
        fingerprint: recipe, data, model and tokenizer.
        files: all files but the log.
        log: the events.
        log_bytes: how much of it belongs to this state; later lines are of later steps.
        keep: how many states to keep in the store.
        checkpoints: steps whose folders must not be deleted until this is sent.
    """

    step: int
    is_finished: bool
    fingerprint: Mapping[str, Any]
    files: tuple[LocalFile, ...]
    log: Path
    log_bytes: int
    keep: int = 2
    checkpoints: frozenset[int] = frozenset()


class Uploader:
    """Sends states of one run under one lease; used by one thread at a time."""

    def __init__(self, store: Store, lease: Lease, *, run: str | None) -> None:
        """Start with nothing sent.

        Args:
            store: where to.
            lease: held.
            run: the id of the run in the store that this one continues; None for a new one.
        """
        self._store, self._lease = store, lease
        self._run = run or uuid4().hex
        self._sequence = 0
        self._sent: set[str] = set()
        self._known: dict[str, Snapshot] = {}
        self._log_hash = hashlib.sha256()
        self._log_parts: list[Part] = []
        self._log_bytes = 0

    def send(self, state: State) -> Snapshot:
        """Send a state; when this returns it counts.

        Raises:
            Superseded: a file of it was deleted meanwhile.
            ResourceError: the store cannot be used (C162).
            FolderInUseError: another process took the lease over (C164).
        """
        files = {file.name: self._send_file(file) for file in state.files}
        if state.log_bytes:
            files[LOG] = self._send_log(state)
        self._lease.refuse_lost()
        snapshot = Snapshot(
            run=self._run,
            step=state.step,
            is_finished=state.is_finished,
            written=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            by=socket.gethostname(),
            fingerprint=state.fingerprint,
            files=files,
            fence=self._lease.fence,
            sequence=self._sequence + 1,
        )
        content = snapshot.as_bytes()
        try:
            self._store.create(snapshot.key, content)
        except Conflict:  # an answer was lost, and the library wrote it again
            stored = self._store.read(snapshot.key)
            if stored is None or stored.content != content:
                self._sequence += 1  # a try that was given up, with another time in it
                return self.send(state)
        self._sequence += 1
        self._known[snapshot.key] = snapshot
        with suppress(ResourceError):  # what is old may be deleted later
            self.clean(state.keep)
        return snapshot

    def _send_file(self, file: LocalFile) -> File:
        try:
            size = file.path.stat().st_size
            digest = sha256_of(file.path)
        except OSError as error:
            raise Superseded(file.name) from error
        if file.sha256 not in (None, digest):
            raise Superseded(file.name)
        if digest not in self._sent:
            try:
                self._store.upload(object_key(self._lease.fence, digest), file.path)
            except ResourceError:
                if not os.path.lexists(file.path):
                    raise Superseded(file.name) from None
                raise
            self._sent.add(digest)
        return File(digest, size, (Part(digest, size),))

    def _send_log(self, state: State) -> File:
        """Send the lines since the last manifest as an object of their own.

        When there are many such objects the whole log becomes one.
        """
        if len(self._log_parts) >= _MOST_PARTS:
            self._log_parts, self._log_bytes, self._log_hash = [], 0, hashlib.sha256()
        if state.log_bytes > self._log_bytes:
            try:
                with state.log.open("rb") as file:
                    file.seek(self._log_bytes)
                    lines = file.read(state.log_bytes - self._log_bytes)
            except OSError as error:
                raise Superseded(LOG) from error
            with TemporaryDirectory() as folder:
                path = Path(folder, "lines")
                path.write_bytes(lines)
                part = self._send_file(LocalFile(LOG, path))
            self._log_parts += part.parts
            self._log_bytes += len(lines)
            self._log_hash.update(lines)
        return File(self._log_hash.hexdigest(), self._log_bytes, tuple(self._log_parts))

    def clean(self, keep: int) -> None:
        """Delete all but the newest states; what writers after this one wrote is not touched."""
        manifests = newest_first(self._store.keys(MANIFESTS))
        retained, others = manifests[:keep], manifests[keep:]
        named: set[str] = set()
        for key in retained:
            snapshot = self._known.get(key) or self._read(key)
            if snapshot is not None:
                self._known[key] = snapshot
                named |= snapshot.objects
        own = self._lease.fence
        for key in others:
            if key <= f"{MANIFESTS}{own:08d}~":
                self._store.delete(key)
                self._known.pop(key, None)
        for key in self._store.keys(OBJECTS):
            if key not in named and key <= f"{OBJECTS}{own:08d}~":
                if key.startswith(f"{OBJECTS}{own:08d}/"):
                    self._sent.discard(key.rpartition("/")[2])
                self._store.delete(key)

    def _read(self, key: str) -> Snapshot | None:
        stored = self._store.read(key)
        if stored is None:
            return None
        with suppress(ValueError):
            return Snapshot.read(key, stored.content)
        return None
