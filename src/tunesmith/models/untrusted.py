"""Files of unknown origin: read within bounds, and errors of libraries about them coded.

Only regular files are opened, and nothing is waited for. Reading raises `UnreadableFile` with a
reason; callers add the code and the file.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from tunesmith.errors import ModelError, Problem, TunesmithError
from tunesmith.i18n import gettext as _
from tunesmith.text import shortened

__all__ = ["MAX_DEPTH", "UnreadableFile", "coded", "first_line", "open_regular", "read_json"]

MAX_DEPTH = 64
"""The deepest nesting of JSON that is read; model files have fewer than ten levels."""

_LARGEST = 10**38
"""The largest integer: larger ones overflow float32. Tokenizers write 10^30 for no limit."""


class UnreadableFile(ValueError):
    """A file that is not read; the message says why."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, without ever waiting.

    Raises:
        FileNotFoundError: there is none.
        UnreadableFile: it is a folder, a named pipe or a device, or may not be read.
    """
    # without O_NONBLOCK a named pipe would wait for a writer
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a device may have effects
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
    """Read a JSON object within bounds on its size, nesting and numbers, which must be finite.

    Raises:
        FileNotFoundError: there is none.
        UnreadableFile: it is not such a file; the reason names the field, if there is one.
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


def first_line(error: BaseException) -> str:
    """Return the message of a library's error on one short line, or its type if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # strict dataclasses name the field on the first line and what is wrong on the second
    message = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    return shortened(message, at_most=200) or type(error).__name__


@contextmanager
def coded(problem: Callable[[str], Problem]) -> Iterator[None]:
    """Turn any error of a library about a model's files into one coded error.

    Libraries raise errors of any type for damaged files, and those in Rust panic, which is not an
    `Exception`. Requests to stop, and errors with a code, pass.

    Args:
        problem: makes the problem from a reason.

    Raises:
        ModelError: with that problem.
    """
    try:
        yield
    except (TunesmithError, TimeoutError):
        raise
    except BaseException as error:
        kind = type(error).__name__
        if not isinstance(error, Exception) and kind != "PanicException":
            raise
        if kind == "OutOfMemoryError":  # of a device: not about the files
            raise
        raise ModelError(problem(first_line(error))) from error
