"""A command in a child process: its answer, its time and its memory, within limits."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

__all__ = ["Answer", "answer_of"]

_MOST_BYTES = 4 << 30
"""Address space that a child may add; above what any case may use, so that the machine survives."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did.

    Attributes:
        exit_code: of the command; negative for a signal.
        words: stdout and stderr.
        seconds: on the clock.
        peak_mb: memory at its highest, above what this process holds.
    """

    exit_code: int
    words: str
    seconds: float
    peak_mb: int

    @property
    def codes(self) -> list[str]:
        """The codes of all reported problems, in their order."""
        return list(dict.fromkeys(re.findall(r"\b[A-Z]\d{3}\b", self.words)))

    def __str__(self) -> str:
        codes_ = " ".join(self.codes)
        return f"exit {self.exit_code} {codes_} in {self.seconds:.1f} s, {self.peak_mb} MB"

    def hold(self, *, exit_codes: tuple[int, ...] = (0, 2, 3, 4)) -> Answer:
        """See that the command gave an answer, and no bug."""
        assert self.exit_code in exit_codes, f"{self}: {self.words[-800:]}"
        assert "M000" not in self.codes, self.words[-800:]
        assert "Traceback" not in self.words, self.words[-800:]
        assert "Exception ignored" not in self.words, self.words[-800:]
        assert self.exit_code == 0 or self.codes, self.words[-800:]
        return self


def answer_of(*arguments: str, stdin: bytes = b"") -> Answer:
    """Run a command in a fork of this process, which has imported it already."""
    import openpyxl  # noqa: F401 - so that every child finds it
    import pyarrow.parquet  # noqa: F401

    import tunesmith.inputs  # noqa: F401
    from tunesmith.cli import main

    with tempfile.TemporaryFile() as words, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks with threads
        started = time.monotonic()
        child = os.fork()
        if not child:
            code = 99
            try:
                _limit_memory()
                with io.TextIOWrapper(io.FileIO(words.fileno(), "w"), "utf-8") as said:
                    code = _run(main, list(arguments), stdin, said)
            finally:
                os._exit(code)
        held = _pages("statm") * resource.getpagesize() >> 10
        try:
            _child, status, usage = os.wait4(child, 0)
        except BaseException:  # the case is out of time
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        seconds = time.monotonic() - started
        words.seek(0)
        said_bytes = words.read()
    return Answer(
        os.waitstatus_to_exitcode(status),
        said_bytes.decode("utf-8", "replace"),
        seconds,
        max(0, usage.ru_maxrss - held) >> 10,
    )


def _run(main: object, arguments: list[str], stdin: bytes, said: TextIO) -> int:
    assert callable(main)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            return int(main(arguments))
        except SystemExit as end:
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            return 98


def _limit_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MOST_BYTES, size + _MOST_BYTES))


def _pages(name: str) -> int:
    """Resident pages of this process."""
    return int(Path(f"/proc/self/{name}").read_text().split()[1])
