"""A disk that refuses, and what to say then."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from tunesmith.errors import Place, Problem
from tunesmith.language import gettext as _

__all__ = ["disk_problem", "nearest_existing"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_problem(error: BaseException, target: Path) -> Problem | None:
    """The problem to tell if `error` says that the disk refused, else None."""
    number = getattr(error, "errno", None)
    # safetensors and pyarrow wrap the error of the system in words of their own
    full = number in _FULL or "No space left" in str(error) or "os error 28" in str(error)
    if full:
        try:
            free = shutil.disk_usage(nearest_existing(target)).free
            left = _("{megabytes:.1f} MB are free").format(megabytes=free / 1e6)
        except OSError:
            left = ""
        return Problem(
            "C107",
            _("no space left on the disk"),
            Place(str(target)),
            evidence=(left,) if left else (),
            fix=_("Make room, or choose another disk. Nothing partial was left; run again."),
        )
    if isinstance(error, OSError) and number in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
    ):
        return Problem(
            "C107",
            _("cannot write here: {reason}").format(reason=error.strerror),
            Place(str(target)),
            fix=_("Choose another folder, or give yourself the right to write."),
        )
    return None


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
