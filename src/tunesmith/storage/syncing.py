"""Files and folders on the disk for good, and their modes, as far as the file system can."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tunesmith.i18n import gettext as _
from tunesmith.storage import operating_system as system
from tunesmith.storage.disk import lacks, report_missing_feature

__all__ = ["change_mode", "sync_file", "sync_folder", "umask"]


def umask() -> int:
    """Return the mask of modes of this process."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def change_mode(path: Path, mode: int) -> None:
    """Change a mode, where the file system has modes."""
    try:
        path.chmod(mode)
    except OSError as error:
        if not lacks(error):
            raise
        effect = _("Files keep the mode that the file system gives them.")
        report_missing_feature(path, _("changing the mode of a file"), effect, error)


def sync_file(path: Path) -> None:
    """Have a file written to the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        system.sync(descriptor)
    except OSError as error:
        if not lacks(error):
            raise
        effect = _("After a power cut the newest files may be lost; a kill loses nothing.")
        report_missing_feature(path, _("syncing a file"), effect, error)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Have the names in a folder written to the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder, nor sync it
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            system.sync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (lacks(error) or error.errno in (errno.EACCES, errno.EBADF, errno.EISDIR)):
            raise
        effect = _("After a power cut the newest files may be lost; a kill loses nothing.")
        report_missing_feature(path, _("syncing a folder"), effect, error)
