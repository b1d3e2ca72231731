"""One process at a time in a folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tunesmith.disk import disk_problem
from tunesmith.errors import FolderInUseError, Place, Problem, ResourceError
from tunesmith.language import gettext as _

__all__ = ["hold"]


@contextmanager
def hold(folder: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold a folder for this process; the lock ends with the process, however it ends.

    Args:
        folder: created if it does not exist.
        wait_seconds: how long to wait for another holder; -1 waits for ever.

    Raises:
        FolderInUseError: another process holds it (C106), named by host, process id and start.
        ResourceError: the folder cannot be made (C107).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            Problem(
                "C107",
                _("cannot make the folder: {reason}").format(reason=error.strerror),
                Place(str(folder)),
                fix=_("Choose another folder with --out."),
            )
        ) from error
    lock = FileLock(folder / ".lock", timeout=wait_seconds)
    holder = folder / ".holder.json"
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(
            Problem(
                "C106",
                _("the folder is in use by {holder}").format(holder=_holder_in_words(holder)),
                Place(str(folder)),
                fix=_("Wait for it, stop it, or choose another folder with --out."),
            )
        ) from None
    except OSError as error:
        problem = disk_problem(error, folder)
        if problem is None:
            raise
        raise ResourceError(problem) from error
    try:
        with suppress(OSError):  # who holds it is a courtesy; the lock itself does not need it
            holder.write_text(
                json.dumps(
                    {
                        "host": socket.gethostname(),
                        "pid": os.getpid(),
                        "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                    }
                ),
                encoding="utf-8",
            )
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _holder_in_words(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return _("process {pid} on {host}, since {since}").format(**holder)
    except (OSError, ValueError, KeyError, TypeError):
        return _("another process")
