"""Temporary folders that do not pile up: what a kill leaves, the next process deletes.

Each is locked as long as its process lives. A folder has its name only once it is locked, so that
one which is not locked has no owner.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.storage import operating_system as system

__all__ = ["temporary_folder"]

_PREFIX = "tunesmith-"
_NEW = "new-"
_LOCK = ".lock"
_NEW_SECONDS = 3600.0
"""Age at which a folder that was never locked has no owner, either."""


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder of this process, deleted afterwards.

    Args:
        name: what it is for, part of its name.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    parent = Path(tempfile.gettempdir())
    _sweep(parent)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{_NEW}{name}-", dir=parent))
    folder = parent / made.name.replace(_NEW, "", 1)
    descriptor: int | None = None
    try:
        if system.MOVES_OPEN_FILES:  # elsewhere an open file would keep its folder's name
            descriptor = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            with suppress(OSError):  # without locks it is not swept, see `_is_left`
                system.lock_file(descriptor)
        made.rename(folder)
        yield folder
    finally:
        for path in (made, folder):
            shutil.rmtree(path, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Delete what killed processes of this user have left."""
    with suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if _is_left(path):
                    shutil.rmtree(path, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    if folder.is_symlink() or not system.MOVES_OPEN_FILES:
        return False
    facts = folder.stat()
    if facts.st_uid != os.getuid():
        return False
    if folder.name.startswith(_PREFIX + _NEW):
        return time.time() - facts.st_mtime > _NEW_SECONDS
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return system.lock_file(descriptor)
    finally:
        os.close(descriptor)
