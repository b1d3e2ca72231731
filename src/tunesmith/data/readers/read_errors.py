"""Exceptions of reading as coded errors: file, reason, fix.

Every reader works inside `coded`, so that no exception of a library reaches the user as a bug.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import DataError, Place, ResourceError, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["coded", "reason_of"]


@contextmanager
def coded(
    name: str, kind: str, caught: tuple[type[Exception], ...] = (Exception,)
) -> Iterator[None]:
    """Turn any exception of reading into a coded error.

    Args:
        name: what is read, such as a path.
        kind: its format, for the message.
        caught: the exceptions to turn; others pass.

    Raises:
        DataError: it cannot be opened (D105), a gzip stream is damaged (D132), or the content is
            not what the format asks for (D130).
        ResourceError: there is not enough memory (D137).
    """
    try:
        yield
    except TunesmithError:
        raise
    except caught as error:
        raise _as_coded(error, name, kind) from error


def reason_of(error: BaseException) -> str:
    """Return the first line of the message of an exception, or its name without a message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return shortened(lines[0], at_most=200) if lines else type(error).__name__


def _as_coded(error: Exception, name: str, kind: str) -> TunesmithError:
    place = Place(name)
    if isinstance(error, MemoryError):
        message = _("not enough memory to read the {kind} file").format(kind=kind)
        fix = _("Split it into smaller files, or use a machine with more memory.")
        return ResourceError.of("D137", message, place, fix=fix)
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
        message = _("the gzip file is cut off or damaged: {reason}").format(reason=error)
        return DataError.of("D132", message, place, fix=_("Copy or export it again."))
    if isinstance(error, OSError) and error.errno is not None:
        message = _("cannot read the file: {reason}").format(reason=reason_of(error))
        fix = _("Check that it is a readable file, and its permissions.")
        return DataError.of("D105", message, place, fix=fix)
    message = _("not a whole {kind} file ({size} bytes): {reason}").format(
        kind=kind, size=_size(name), reason=reason_of(error)
    )
    fix = _("It may be cut off; copy or export it again.")
    return DataError.of("D130", message, place, fix=fix)


def _size(name: str) -> int | str:
    try:
        return Path(name).stat().st_size
    except (OSError, ValueError):
        return "?"
