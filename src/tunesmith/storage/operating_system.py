"""What differs between operating systems: locks, renaming, syncing, names.

Other modules use the functions and the one capability of this one, not the name of the system:

- Windows neither renames nor deletes a file that is open or mapped, nor a folder with one in it, so
  code that moves a folder closes its files first (`MOVES_OPEN_FILES`). Virus scanners and indexers
  open new files for moments; there each operation is tried again for two seconds.
- Windows cannot sync a folder. On macOS `fsync` leaves data in the cache of the drive, which
  `F_FULLFSYNC` writes (Apple, fsync(2)).
- Windows has names of devices and characters that no file may have; file systems of macOS and
  Windows hold `é` as one character or as two, and take `A` for `a`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import time
import unicodedata
import uuid
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from glob import glob
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = [
    "MOVES_OPEN_FILES",
    "delete_folder",
    "expanded",
    "file_name",
    "is_inside",
    "is_unusable_name",
    "lock_file",
    "own_number",
    "rename",
    "replace",
    "sync",
]


def _module(name: str) -> Any:
    """A module of the standard library that not every system has, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")

MOVES_OPEN_FILES: bool = _fcntl is not None
"""Whether files and folders can be renamed, replaced and deleted while a file in them is open."""

_PATIENCE_SECONDS = 2.0


def lock_file(descriptor: int) -> bool:
    """Lock an open file until it is closed; return whether no other open file holds the lock.

    Raises:
        OSError: the file system has no locks, or fails.
    """
    try:
        if _fcntl is not None:
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        else:
            _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder to a name that is free."""
    _patiently(lambda: path.rename(target))


def replace(path: Path, target: Path) -> None:
    """Rename a file over another one."""
    _patiently(lambda: path.replace(target))


def _patiently(operation: Callable[[], object]) -> None:
    """Try again for a while where another program may have opened a file for a moment."""
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, 0.01
    while True:
        try:
            operation()
        except PermissionError:
            if MOVES_OPEN_FILES or time.monotonic() + pause > deadline:
                raise
        else:
            return
        time.sleep(pause)
        pause *= 2


def delete_folder(folder: Path) -> None:
    """Delete a folder with all in it; what cannot be deleted stays, without an error."""

    def delete() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if not MOVES_OPEN_FILES and os.path.lexists(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    with suppress(PermissionError):
        _patiently(delete)


def sync(descriptor: int) -> None:
    """Write what is in an open file or folder to the disk itself.

    Raises:
        OSError: the file system cannot, or fails.
    """
    full = getattr(_fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with suppress(OSError):  # not every file system has it, such as one on a network
            _fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$')


def is_unusable_name(name: str) -> bool:
    """Whether Windows refuses a name, or takes it for a device: `nul.csv`, `a:b`, `a.`."""
    return bool(_DEVICES.fullmatch(name) or _FORBIDDEN.search(name))


def file_name(text: str) -> str:
    """Return a text as the name of a file or folder that every system takes; "" if nothing is left.

    Letters, digits, `.`, `_` and `-` stay, with accents as parts of their letters.
    """
    composed = unicodedata.normalize("NFC", text)
    name = re.sub(r"[^\w.-]+", "-", composed).strip("-.")
    return f"_{name}" if is_unusable_name(name) else name


def expanded(words: Sequence[str]) -> list[str]:
    """Replace patterns such as `data/*.csv` by the files they match, as POSIX shells do.

    The shells of Windows do not. A pattern that matches nothing stays, and so does what has white
    space: it is a text.
    """
    if MOVES_OPEN_FILES:
        return list(words)
    after: list[str] = []
    for word in words:
        is_pattern = "*" in word and not re.search(r"\s", word)
        after += (sorted(glob(word)) if is_pattern else []) or [word]  # noqa: PTH207
    return after


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or in it, also where the letters of its name differ in case."""
    with suppress(OSError):
        return any(part.samefile(folder) for part in (path, *path.parents))
    return False


def own_number() -> int:
    """Return a number of this process that no process has, here or on another machine.

    The process id comes first; on machines that share a folder two processes may have the same.
    """
    return os.getpid() * 1_000_000 + _machine_number()


@cache
def _machine_number() -> int:
    """Return a number of at most six digits that differs between machines."""
    return zlib.crc32(f"{socket.gethostname()} {uuid.getnode()}".encode()) % 1_000_000
