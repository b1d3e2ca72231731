"""Reading files that somebody else wrote: only regular files, within bounds, never waiting.

Everything raises `UnreadableFile` with a reason; callers add the code and the file.
"""

from __future__ import annotations

import json
import math
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

from tunesmith.i18n import gettext as _

__all__ = ["MAX_DEPTH", "UnreadableFile", "open_regular", "read_json"]

MAX_DEPTH = 64
"""The deepest nesting of JSON that is read; real model files have fewer than ten levels."""

_LARGEST = 10**38
"""Of whole numbers; beyond it none fits a float of 32 bits. Tokenizers write 10^30 for no limit."""


class UnreadableFile(ValueError):
    """Why a file is not read."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one; nothing else is opened, and nothing is waited for.

    Raises:
        FileNotFoundError: there is none.
        UnreadableFile: it is a folder, a named pipe or a device, or may not be read.
    """
    # a named pipe would wait for a writer, unless it is asked not to
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not stat.S_ISREG(
            path.stat().st_mode
        ):  # before opening: a device may act on being opened
            raise UnreadableFile(_("it is not a regular file"))
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(str(getattr(error, "strerror", None) or error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableFile(_("it is not a regular file"))
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, *, max_bytes: int) -> dict[str, Any]:
    """A JSON object from a file: at most so many bytes, not nested deeply, all numbers finite.

    Raises:
        FileNotFoundError: there is none.
        UnreadableFile: it is not such a file; the reason names the field where there is one.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(_("it is larger than {limit} MB").format(limit=max_bytes // 1_000_000))
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise UnreadableFile(_("it is nested too deeply")) from None
    except ValueError as error:
        raise UnreadableFile(str(error)) from error
    if not isinstance(value, dict):
        raise UnreadableFile(_("it is not a JSON object"))
    _check_values(value)
    return value


def _check_values(value: dict[str, Any]) -> None:
    """Refuse deep nesting and numbers that are not finite, without recursion."""
    level: list[tuple[str, object]] = list(value.items())
    for _depth in range(MAX_DEPTH):
        below: list[tuple[str, object]] = []
        for name, inner in level:
            if isinstance(inner, dict):
                below += [(f"{name}.{key}", item) for key, item in inner.items()]
            elif isinstance(inner, list):
                below += [(name, item) for item in inner]
            elif isinstance(inner, float) and not math.isfinite(inner):
                raise UnreadableFile(_("{field} is {value}").format(field=name, value=inner))
            elif isinstance(inner, int) and abs(inner) > _LARGEST:
                raise UnreadableFile(_("{field} is too large a number").format(field=name))
        if not below:
            return
        level = below
    raise UnreadableFile(_("it is nested too deeply"))
