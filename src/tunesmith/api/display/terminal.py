"""What people see: results on stdout, the rest on stderr, JSON when asked. Only rank 0 speaks."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING

from tunesmith.errors import Problem, Severity
from tunesmith.text import escape_controls, redact
from tunesmith.training.device import is_main_process

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.api.display.bars import Bar

__all__ = ["Terminal", "padded", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {"→": "->", "…": "...", "✔": "ok", "⚠": "!", "✘": "x", "·": "-", "←": "<-"}
    | dict(zip(_BLOCKS, "_.-~=+*#", strict=True))
)


@dataclass(frozen=True)
class Terminal:
    """Where words go, inert line by line: no text of the data makes a line or steers the terminal.

    Attributes:
        as_json: results are JSON on stdout.
        is_quiet: only results are printed.
        speaks: whether this process prints at all.
    """

    as_json: bool = False
    is_quiet: bool = False
    speaks: bool = True

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Terminal:
        """The terminal that the options of a command ask for: "as_json" and "quiet"."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a console that lacks a character must not crash us
                with suppress(OSError, ValueError):
                    stream.reconfigure(errors="replace")
        return cls(bool(given["as_json"]), bool(given["quiet"]), is_main_process())

    @property
    def is_interactive(self) -> bool:
        """Whether progress can be drawn on stderr."""
        return (
            self.speaks
            and not self.is_quiet
            and sys.stderr.isatty()
            and os.environ.get("TERM") != "dumb"
            and not os.environ.get("CI")
        )

    def console(self) -> Console:
        """A rich console on stderr; it obeys NO_COLOR and FORCE_COLOR."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @contextmanager
    def bar(self, total: int) -> Iterator[Bar | None]:
        """A bar for so many steps while entered; None where nothing can be redrawn."""
        if not self.is_interactive:
            yield None
            return
        from tunesmith.api.display.bars import rich_bar

        with rich_bar(self.console(), total) as bar:
            yield bar

    def result(self, text: str) -> None:
        """A line of the result, for people."""
        if self.speaks and not self.as_json:
            self._write(sys.stdout, text)

    def lines(self, text: str) -> None:
        """Lines of the result, for people; what they hold of the data is inert already."""
        for line in text.split("\n"):
            self.result(line)

    def record(self, value: object) -> None:
        """One JSON object of the result, on a line of its own."""
        if self.speaks and self.as_json:
            self._write(sys.stdout, json.dumps(value, ensure_ascii=False, default=str))

    def say(self, text: str) -> None:
        """A remark for people, kept back by -q."""
        if self.speaks and not self.is_quiet:
            self._write(sys.stderr, text)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Errors, warnings and notes; errors also with -q."""
        for problem in problems:
            if self.is_quiet and problem.severity is not Severity.ERROR:
                continue
            if self.speaks:
                self._write(sys.stderr, *str(problem).split("\n"))
            if problem.severity is Severity.ERROR:
                self.record({"event": "error", **problem.as_json()})

    def table(
        self, rows: Sequence[Mapping[str, object]], *, align_right: Sequence[str] = ()
    ) -> None:
        """Rows with the same keys as an aligned table on stdout."""
        if not rows:
            return
        shown = [{key: escape_controls(str(value)) for key, value in row.items()} for row in rows]
        widths = {key: max(_width(key), *(_width(row[key]) for row in shown)) for key in shown[0]}
        for row in ({key: key for key in widths}, *shown):
            cells = (
                " " * (widths[key] - _width(cell)) + cell
                if key in align_right
                else cell + " " * (widths[key] - _width(cell))
                for key, cell in row.items()
            )
            self.result("  ".join(cells).rstrip())

    def traceback(self) -> None:
        """The exception that is being handled, for --debug."""
        if self.speaks:
            self._write(sys.stderr, *traceback.format_exc().rstrip().split("\n"))

    def _write(self, stream: IO[str], *lines: str) -> None:
        text = redact("\n".join(escape_controls(line, keep="\t") for line in lines))
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
        except LookupError:  # an encoding that Python does not know
            text = text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
        print(text, file=stream, flush=True)


def padded(text: str, width: int) -> str:
    """The text, inert, filled up to so many columns of a terminal, with one space at least."""
    text = escape_controls(text)
    return text + " " * max(1, width - _width(text))


def sparkline(values: Sequence[float], *, width: int = 40) -> str:
    """The course of some numbers as a row of blocks, the lowest number as the lowest block."""
    if not values:
        return ""
    parts = min(width, len(values))
    bounds = [len(values) * i // parts for i in range(parts + 1)]
    means = [sum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]
    low, span = min(means), max(means) - min(means)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(top * (mean - low) / span) if span else 0] for mean in means)


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    from rich.cells import cell_len

    return cell_len(text)
