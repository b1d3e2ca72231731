"""Keep a command running when its output fails: a closed pipe, a full disk behind `>`.

While a command runs, stdout and stderr are wrapped. The first write that fails silences the stream
for the rest of the process, also for libraries that write to it; `lost_result` then decides the
exit code.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tunesmith.storage.operating_system import MOVES_OPEN_FILES

__all__ = ["SilencingStream", "has_reader", "lost_result", "shielded"]


class SilencingStream:
    """A text stream that records the first failure to write instead of raising it.

    Attributes:
        loss: the first error; None while everything was written.
    """

    def __init__(self, stream: Any) -> None:
        """Wrap a stream; None, Python's value for a closed one, counts as failed."""
        self._stream = stream
        self.loss: Exception | None = None if stream is not None else ValueError("closed")

    def write(self, text: str) -> int:
        """Write, unless a write failed before, and return the length of the text."""
        if self.loss is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                if isinstance(error, UnicodeError):
                    raise
                self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, unless a write failed before."""
        if self.loss is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def isatty(self) -> bool:
        """Whether it is a terminal that still accepts output."""
        try:
            return self.loss is None and bool(self._stream.isatty())
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: Exception) -> None:
        """Record the error, and discard what is left in the buffer when Python exits."""
        self.loss = error
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def shielded() -> Iterator[None]:
    """Wrap stdout and stderr while entered; output to closed streams is discarded."""
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    before = sys.stdout, sys.stderr
    out, err = SilencingStream(sys.stdout), SilencingStream(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Open closed standard descriptors, or the next opened file would receive the output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != descriptor:
                    os.dup2(opened, descriptor)
                    os.close(opened)


def has_reader() -> bool:
    """Whether stdout still accepts the result."""
    return getattr(sys.stdout, "loss", None) is None


def lost_result() -> Exception | None:
    """Why the result was not written; None if its reader merely closed the pipe."""
    loss: Exception | None = getattr(sys.stdout, "loss", None)
    closed = (errno.EPIPE,) if MOVES_OPEN_FILES else (errno.EPIPE, errno.EINVAL)
    return None if getattr(loss, "errno", None) in closed else loss  # Windows reports EINVAL
