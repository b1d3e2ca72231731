"""Output: results on stdout, the rest on stderr, JSON on request; only the main process prints."""

from __future__ import annotations

import codecs
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Protocol

from tunesmith.errors import Problem, Severity
from tunesmith.text import escape_controls, redact
from tunesmith.training.device import is_main_process

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["STYLES", "Bar", "Terminal", "padded", "rich_bar", "sparkline"]

STYLES = {"good": "1;32", "weak": "1;33", "bad": "1;31", "strong": "1", "soft": "2"}
"""What lines may look like on a terminal, as codes of ANSI."""

_STYLE_OF = {Severity.ERROR: "bad", Severity.WARNING: "weak", Severity.NOTE: "soft"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {"→": "->", "…": "...", "✔": "ok", "⚠": "!", "✘": "x", "·": "-", "←": "<-"}
    | dict(zip(_BLOCKS, "_.-~=+*#", strict=True))
)


class Bar(Protocol):
    """A progress bar of a training."""

    def update(self, step: int, *, epoch: str, rate: str, text: str) -> None:
        """Draw the bar at a step."""
        ...

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        ...


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, step: int, *, epoch: str, rate: str, text: str) -> None:
        self._progress.update(self._task, completed=step, description=epoch, rate=rate, text=text)

    def print(self, line: str) -> None:
        self._progress.console.print(line)


@contextmanager
def rich_bar(console: Console, total: int) -> Iterator[Bar]:
    """Draw a bar on a terminal; it is erased at the end."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        console=console,
        transient=True,
    ) as progress:
        yield _RichBar(progress, progress.add_task("", total=total, rate="", text=""))


@dataclass(frozen=True)
class Terminal:
    """Prints lines in which control characters are escaped, so that data cannot forge output.

    Attributes:
        as_json: results are JSON on stdout.
        is_quiet: only results are printed.
        is_main: whether this process prints at all.
    """

    as_json: bool = False
    is_quiet: bool = False
    is_main: bool = True

    @classmethod
    def of(cls, flags: Mapping[str, object]) -> Terminal:
        """Return the terminal that the flags "as_json" and "quiet" of a command ask for."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a console that lacks a character must not crash us
                with suppress(OSError, ValueError):
                    stream.reconfigure(errors="replace")
        return cls(bool(flags["as_json"]), bool(flags["quiet"]), is_main_process())

    @property
    def is_interactive(self) -> bool:
        """Whether progress can be drawn on stderr."""
        return (
            self.is_main
            and not self.is_quiet
            and sys.stderr.isatty()
            and os.environ.get("TERM") != "dumb"
            and not os.environ.get("CI")
        )

    def console(self) -> Console:
        """Return a rich console on stderr; it follows NO_COLOR and FORCE_COLOR."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @contextmanager
    def bar(self, total: int) -> Iterator[Bar | None]:
        """Show a bar of so many steps; None where nothing can be redrawn."""
        if not self.is_interactive:
            yield None
            return
        with rich_bar(self.console(), total) as bar:
            yield bar

    def result(self, text: str, *, style: str = "") -> None:
        """Print a line of the result, unless it is printed as JSON; a style is one of `STYLES`."""
        if self.is_main and not self.as_json:
            self._write(sys.stdout, text, style=style)

    def lines(self, text: str) -> None:
        """Print lines of the result, unless it is printed as JSON."""
        for line in text.split("\n"):
            self.result(line)

    def record(self, value: object) -> None:
        """Print one JSON object of the result on a line, if it is printed as JSON."""
        if self.is_main and self.as_json:
            text = json.dumps(value, ensure_ascii=False, default=str)
            if not _encodes(sys.stdout, text):  # JSON has a way to write every character in ASCII
                text = json.dumps(value, ensure_ascii=True, default=str)
            self._write(sys.stdout, text)

    def say(self, text: str, *, style: str = "") -> None:
        """Print a remark on stderr, unless -q is set."""
        if self.is_main and not self.is_quiet:
            self._write(sys.stderr, text, style=style)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Print errors, warnings and notes; with -q errors alone."""
        for problem in problems:
            if self.is_quiet and problem.severity is not Severity.ERROR:
                continue
            if self.is_main:
                first, *others = str(problem).split("\n")
                self._write(sys.stderr, first, style=_STYLE_OF[problem.severity])
                if others:
                    self._write(sys.stderr, *others)
            if problem.severity is Severity.ERROR:
                self.record({"event": "error", **problem.as_json()})

    def table(
        self, rows: Sequence[Mapping[str, object]], *, align_right: Sequence[str] = ()
    ) -> None:
        """Print rows with the same keys as an aligned table on stdout."""
        if not rows:
            return
        shown = [{key: escape_controls(str(value)) for key, value in row.items()} for row in rows]
        widths = {key: max(_width(key), *(_width(row[key]) for row in shown)) for key in shown[0]}
        for number, row in enumerate(({key: key for key in widths}, *shown)):
            cells = (
                " " * (widths[key] - _width(cell)) + cell
                if key in align_right
                else cell + " " * (widths[key] - _width(cell))
                for key, cell in row.items()
            )
            self.result("  ".join(cells).rstrip(), style="" if number else "soft")

    def traceback(self) -> None:
        """Print the exception that is being handled, for --debug."""
        if self.is_main:
            self._write(sys.stderr, *traceback.format_exc().rstrip().split("\n"))

    def _write(self, stream: IO[str], *lines: str, style: str = "") -> None:
        text = redact("\n".join(escape_controls(line, keep="\t") for line in lines))
        if not _encodes(stream, text):
            encoding = _encoding_of(stream)
            text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
        if style and _has_color(stream):
            text = f"\x1b[{STYLES[style]}m{text}\x1b[0m"
        print(text, file=stream, flush=True)


def _has_color(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that knows colors, and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    if os.name != "nt":
        return True
    from rich.console import detect_legacy_windows

    return not detect_legacy_windows()


def _encoding_of(stream: IO[str]) -> str:
    """The encoding of a stream; ASCII for one that Python does not know."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return "ascii"


def _encodes(stream: IO[str], text: str) -> bool:
    """Whether a stream takes every character of a text."""
    try:
        text.encode(_encoding_of(stream))
    except UnicodeEncodeError:
        return False
    return True


def padded(text: str, width: int) -> str:
    """Return the text, escaped and padded to a width in columns, with at least one space."""
    text = escape_controls(text)
    return text + " " * max(1, width - _width(text))


def sparkline(values: Sequence[float], *, width: int = 40) -> str:
    """Return numbers as a row of blocks, the lowest number as the lowest block."""
    if not values:
        return ""
    parts = min(width, len(values))
    bounds = [len(values) * i // parts for i in range(parts + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]
    low, span = min(means), max(means) - min(means)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(top * (mean - low) / span) if span else 0] for mean in means)


def _width(text: str) -> int:
    """Return the columns on a terminal: Chinese characters take two."""
    from rich.cells import cell_len

    return cell_len(text)
