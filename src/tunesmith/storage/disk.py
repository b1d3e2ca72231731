"""Errors of the disk: how they are recognized and reported."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import (
    Place,
    Problem,
    RecipeError,
    ResourceError,
    Severity,
    TunesmithError,
)
from tunesmith.i18n import gettext as _
from tunesmith.storage import notices
from tunesmith.storage.operating_system import MOVES_OPEN_FILES
from tunesmith.text import shortened

__all__ = [
    "as_path",
    "disk_errors",
    "disk_problem",
    "is_full",
    "is_too_long",
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
"""The error number of the system in messages of safetensors and pyarrow."""

_LACKING = {
    getattr(errno, name)
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EPERM")
    if hasattr(errno, name)
}
"""Error numbers for operations that a file system does not support."""


_NO_SUCH_FOLDER, _NAME_TOO_LONG, _LONGEST_FOLDER = 3, 206, 247
"""Error codes of Windows, and the longest path of a folder without long paths."""


def name_too_long(path: str | os.PathLike[str]) -> Problem:
    """Return the problem of a name that is too long."""
    fix = _("Use shorter names, or a folder nearer to the root of the disk.")
    if not MOVES_OPEN_FILES:
        fix += "\n" + _("Windows takes paths of 260 characters unless LongPathsEnabled is set.")
    place = Place(shortened(str(path)))
    return Problem("R195", _("the name of a file or folder is too long"), place, fix=fix)


def is_too_long(error: OSError) -> bool:
    """Return whether a name or path is longer than the system takes.

    Windows says so only of names; of a path it says that there is no such folder.
    """
    code = getattr(error, "winerror", None)
    if error.errno == errno.ENAMETOOLONG or code == _NAME_TOO_LONG:
        return True
    is_long = len(os.path.abspath(str(error.filename))) > _LONGEST_FOLDER  # noqa: PTH100
    return code == _NO_SUCH_FOLDER and is_long


def as_path(written: str | os.PathLike[str]) -> Path:
    """Expand `~` and `~name` in a path; a shell does not after `--out=`.

    Raises:
        RecipeError: there is no such home folder, or the path holds a NUL character (C136).
    """
    path = Path(written)
    try:
        if "\0" in str(path):
            raise RuntimeError(_("a path cannot hold a NUL character"))
        return path.expanduser() if os.fspath(written).startswith("~") else path
    except RuntimeError as error:
        raise RecipeError.of(
            "C136",
            _("there is no such path: {reason}").format(reason=error),
            Place(str(path)),
            fix=_("Write the path in full, or ./~name for a folder of that name."),
        ) from error


def disk_problem(error: BaseException, target: Path) -> Problem | None:
    """Return the problem if an error, or its cause, is one of the disk, else None.

    Args:
        error: raised while something was written.
        target: what was written.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TunesmithError):
        number = _error_number(cause, target)
        if number is not None:
            return _problem_of(number, target)
        cause = cause.__cause__
    return None


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn errors of the disk into a `ResourceError` (C107); others pass.

    Args:
        target: what is written.
    """
    try:
        yield
    except BaseException as error:
        if problem := disk_problem(error, target):
            raise ResourceError(problem) from error
        raise


def _error_number(error: BaseException, target: Path) -> int | None:
    """Return the error number if the error is one of the disk under `target`."""
    if isinstance(error, OSError) and error.errno is not None:
        if is_too_long(error):
            return None
        number = error.errno
        if number in _FAULTS:
            return number
        is_ours = not isinstance(error, ConnectionError) and number not in _NOT_THE_DISK
        return number if is_ours and _concerns(error.filename, target) else None
    words = str(error)
    match = _NUMBER.search(words)
    wrapped = int(match[1] or match[2]) if match else None
    if wrapped in _FAULTS:
        return wrapped
    return errno.ENOSPC if "No space left" in words else None


def _concerns(filename: object, target: Path) -> bool:
    """Return whether an error is about a file in the folder of `target`, or names no file."""
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
        fix = _("Free some space, or choose another disk. Nothing partial was left; run again.")
        try:
            free = shutil.disk_usage(nearest_existing(target)).free
            evidence = (_("{megabytes:.1f} MB are free").format(megabytes=free / 1e6),)
        except OSError:
            pass
    else:
        message = _("cannot write here: {reason}").format(reason=os.strerror(number))
        fix = _("Check the disk, or choose another one. Nothing partial was left; run again.")
        if number in _NO_RIGHTS:
            fix = _("Choose another folder, or change its permissions.")
            if not MOVES_OPEN_FILES:
                fix = _("Close the program that has it open, if one has.") + "\n" + fix
    return Problem("C107", message, Place(str(target)), evidence=evidence, fix=fix)


def is_full(error: OSError) -> bool:
    """Return whether an error means that there is no space left."""
    return error.errno in _FULL


def lacks(error: OSError) -> bool:
    """Return whether an error means that the file system does not support an operation."""
    return error.errno in _LACKING


def report_missing_feature(path: Path, what: str, effect: str, error: OSError) -> None:
    """Report once per process that a file system lacks an operation that is optional.

    Args:
        path: the file or folder.
        what: the operation.
        effect: what that means for the user.
        error: of the system.
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
    """Return the path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
