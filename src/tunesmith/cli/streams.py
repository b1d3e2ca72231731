"""Output is a courtesy: a pipe without a reader or a full disk behind `>` ends no work.

While a command runs, stdout and stderr are wrapped. The first write that fails silences the stream
for the rest of the process, for libraries that write to it, too; the exit code says what became of
the result.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Courteous", "has_reader", "lost_result", "shielded"]


class Courteous:
    """A text stream whose failure to write is noted and not raised.

    Attributes:
        loss: the first error; None as long as all was written.
    """

    def __init__(self, stream: Any) -> None:
        """Wrap a stream; None, as Python has it for one that was closed, is lost from the start."""
        self._stream = stream
        self.loss: Exception | None = None if stream is not None else ValueError("closed")

    def write(self, text: str) -> int:
        """Write, unless a write failed before; returns the length of the text."""
        if self.loss is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                if isinstance(error, UnicodeError):
                    raise
                self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
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
        """Whether it is a terminal that still takes what is written."""
        try:
            return self.loss is None and bool(self._stream.isatty())
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: Exception) -> None:
        """Note it, and let what is left in the buffer go nowhere when Python ends."""
        self.loss = error
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def shielded() -> Iterator[None]:
    """Wrap stdout and stderr while entered; streams that were closed go nowhere."""
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    before = sys.stdout, sys.stderr
    out, err = Courteous(sys.stdout), Courteous(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Open what was closed: or the next file that is opened would get what is printed."""
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
    """Whether somebody still takes the result."""
    return getattr(sys.stdout, "loss", None) is None


def lost_result() -> Exception | None:
    """Why the result was not written, unless its reader simply had enough of it."""
    loss: Exception | None = getattr(sys.stdout, "loss", None)
    return None if getattr(loss, "errno", None) == errno.EPIPE else loss
