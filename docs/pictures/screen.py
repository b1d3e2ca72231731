"""A terminal that runs one program and keeps what its screen shows at the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import east_asian_width

__all__ = ["Run", "Style", "record", "render", "width"]

_ROWS = 200
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07]*\x07|[\r\n]|[^\x1b\r\n]+")


@dataclass(frozen=True, slots=True)
class Style:
    """How characters are drawn: one of the 16 colors of a terminal, or none, and the weight."""

    color: int | None = None
    is_bold: bool = False
    is_dim: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style that follow each other on a line, from a column on."""

    column: int
    text: str
    style: Style = Style()


def record(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], columns: int
) -> str:
    """Run a command on a pseudo-terminal and return all that it writes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    written = bytearray()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            while data := os.read(ours, 65536):
                written += data
        except OSError:  # Linux: the other side is closed
            pass
        finally:
            os.close(ours)
    text = written.decode()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, text)
    return text


def render(written: str, columns: int) -> list[list[Run]]:
    """Return the lines that a terminal of some columns shows after a program wrote this."""
    screen = _Screen(columns)
    for match in _SEQUENCE.finditer(written):
        screen.take(match[0], match[1], match[2])
    return screen.lines()


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


@dataclass(slots=True)
class _Screen:
    columns: int
    row: int = 0
    column: int = 0
    style: Style = Style()
    cells: list[dict[int, tuple[str, Style]]] = field(default_factory=lambda: [{}])

    def take(self, text: str, arguments: str | None, command: str | None) -> None:
        if text == "\r":
            self.column = 0
        elif text == "\n":
            self._feed()
        elif command is not None:
            self._control(arguments or "", command)
        elif not text.startswith("\x1b"):
            for character in text:
                self._write(character)

    def _write(self, character: str) -> None:
        step = width(character)
        if self.column + step > self.columns:
            self._feed()
            self.column = 0
        self.cells[self.row][self.column] = (character, self.style)
        self.column += step

    def _feed(self) -> None:
        self.row += 1
        if self.row == len(self.cells):
            self.cells.append({})

    def _control(self, arguments: str, command: str) -> None:
        if command == "m":
            for code in (int(part or 0) for part in arguments.split(";")):
                self._restyle(code)
        elif command == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif command == "K":
            self.cells[self.row] = {
                column: cell
                for column, cell in self.cells[self.row].items()
                if arguments != "2" and column < self.column
            }
        elif command not in "hl":  # the cursor is shown and hidden
            raise ValueError(f"unknown control sequence: {arguments}{command}")

    def _restyle(self, code: int) -> None:
        if code == 0:
            self.style = Style()
        elif code == 1:
            self.style = replace(self.style, is_bold=True)
        elif code == 2:
            self.style = replace(self.style, is_dim=True)
        elif 30 <= code <= 37:
            self.style = replace(self.style, color=code - 30)
        elif 90 <= code <= 97:
            self.style = replace(self.style, color=code - 82)

    def lines(self) -> list[list[Run]]:
        lines = [_runs(cells) for cells in self.cells]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def _runs(cells: dict[int, tuple[str, Style]]) -> list[Run]:
    runs: list[Run] = []
    for column, (character, style) in sorted(cells.items()):
        last = runs[-1] if runs else None
        if last and last.style == style and last.column + width(last.text) == column:
            runs[-1] = replace(last, text=last.text + character)
        else:
            runs.append(Run(column, character, style))
    return [run for run in runs if run.text.strip()]
