"""A disk that refuses: how that is recognized, and what to report."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from tunesmith.errors import Place, Problem, RecipeError, Severity, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.storage import notices
from tunesmith.text import shortened

__all__ = [
    "as_path",
    "disk_problem",
    "is_full",
    "lacks",
    "name_too_long",
    "nearest_existing",
    "report_missing_feature",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)
_FAULTS = _FULL + _NO_RIGHTS + (errno.EIO, getattr(errno, "ESTALE", errno.EIO), errno.ENODEV)
_NOT_THE_DISK = (errno.ENOMEM, errno.EPIPE, errno.ENAMETOOLONG, errno.ECHILD, errno.EINTR)
_NUMBER = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
"""How safetensors and pyarrow write the error number of the system into words of their own."""

_LACKING = {
    getattr(errno, name)
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EPERM")
    if hasattr(errno, name)
}
"""What file systems answer to an operation that they do not have."""


def name_too_long(path: str | os.PathLike[str]) -> Problem:
    """What to report where no disk takes a name."""
    return Problem(
        "R195", _("the name of a file or folder is too long"), Place(shortened(str(path)))
    )


def as_path(written: str | os.PathLike[str]) -> Path:
    """A path as a user writes it: `~` and `~name` are home folders, also behind `--out=`.

    Raises:
        RecipeError: there is no such home folder, or the path holds a NUL character (C136).
    """
    path = Path(written)
    try:
        if "\0" in str(path):
            raise RuntimeError(_("a path cannot hold a NUL character"))
        return path.expanduser() if os.fspath(written).startswith("~") else path
    except RuntimeError as error:
        raise RecipeError(
            Problem(
                "C136",
                _("there is no such path: {reason}").format(reason=error),
                Place(str(path)),
                fix=_("Write the path in full, or ./~name for a folder of that name."),
            )
        ) from error


def disk_problem(error: BaseException, target: Path) -> Problem | None:
    """The problem to report if `error`, or what caused it, says that the disk refused, else None.

    Args:
        error: whatever was raised while something was written.
        target: what was written.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TunesmithError):
        number = _error_number(cause, target)
        if number is not None:
            return _problem_of(number, target)
        cause = cause.__cause__
    return None


def _error_number(error: BaseException, target: Path) -> int | None:
    """The number of the system's error, if it is one of the disk under `target`."""
    if isinstance(error, OSError) and error.errno is not None:
        number = error.errno
        if number in _FAULTS:
            return number
        is_ours = not isinstance(error, ConnectionError) and number not in _NOT_THE_DISK
        return number if is_ours and _is_beside(error.filename, target) else None
    words = str(error)
    match = _NUMBER.search(words)
    wrapped = int(match[1] or match[2]) if match else None
    if wrapped in _FAULTS:
        return wrapped
    return errno.ENOSPC if "No space left" in words else None


def _is_beside(filename: object, target: Path) -> bool:
    """Whether an error is about a file under the folder of `target`, or names no file."""
    if not isinstance(filename, str | os.PathLike):
        return True
    return Path(filename).absolute().is_relative_to(target.parent.absolute())


def _problem_of(number: int, target: Path) -> Problem:
    evidence: tuple[str, ...] = ()
    if number in _FULL:
        message = {
            errno.ENOSPC: _("no space left on the disk"),
            errno.EDQUOT: _("no space left in your quota of the disk"),
            errno.EFBIG: _("no space left in this file: it may not grow so large (`ulimit -f`)"),
        }[number]
        fix = _("Make room, or choose another disk. Nothing partial was left; run again.")
        try:
            free = shutil.disk_usage(nearest_existing(target)).free
            evidence = (_("{megabytes:.1f} MB are free").format(megabytes=free / 1e6),)
        except OSError:
            pass  # how much is free is a courtesy
    else:
        message = _("cannot write here: {reason}").format(reason=os.strerror(number))
        fix = (
            _("Choose another folder, or give yourself the right to write.")
            if number in _NO_RIGHTS
            else _("Check the disk, or choose another one. Nothing partial was left; run again.")
        )
    return Problem("C107", message, Place(str(target)), evidence=evidence, fix=fix)


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room for what is written."""
    return error.errno in _FULL


def lacks(error: OSError) -> bool:
    """Whether an error says that the file system does not have an operation at all."""
    return error.errno in _LACKING


def report_missing_feature(path: Path, what: str, effect: str, error: OSError) -> None:
    """Report, once per process and kind, that a file system lacks something we can do without.

    Args:
        path: the file or folder.
        what: the operation.
        effect: what its lack means to the user.
        error: what the system answered.
    """
    notices.notify_once(
        what,
        Problem(
            "C124",
            _("the file system does not support {what}: {reason}").format(
                what=what, reason=error.strerror or error
            ),
            Place(str(path)),
            fix=effect,
            severity=Severity.WARNING,
        ),
    )


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
