"""`tunesmith train tickets.csv`, recorded."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from docs.pictures.drawing import DARK, LIGHT, draw_terminal
from docs.pictures.screen import Run, Style, record, render, width

__all__ = ["COLUMNS", "COMMAND", "RUN", "draw", "train"]

COLUMNS = {"terminal": 111, "terminal-narrow": 64}
"""Width of each picture; the narrow one is for phones."""

COMMAND = (
    "tunesmith train tickets.csv --test test.csv --model embedded:mini"
    " --batch-size 32 --learning-rate 3e-4"
)
RUN = Path("runs", "tickets")


def train(folder: Path, language: str, columns: int) -> list[list[Run]]:
    """Train in a folder with `tickets.csv`; return the lines of a terminal of some columns."""
    program = Path(sys.executable).with_name("tunesmith")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # the order of additions, and so the last digits
    }
    command = [*shlex.split(COMMAND), *_flags(language)]
    written = record(
        [str(program), *command[1:]], folder=folder, environment=environment, columns=columns
    )
    return [*_prompt(shlex.join(command), columns), *_shortened(render(written, columns))]


def draw(lines: Sequence[Sequence[Run]], target: Path, name: str) -> None:
    """Write the pictures of this name, light and dark."""
    for palette in (LIGHT, DARK):
        svg = draw_terminal(lines, palette, columns=COLUMNS[name])
        (target / f"{name}-{palette.name}.svg").write_text(svg, encoding="utf-8")


def _shortened(lines: list[list[Run]]) -> list[list[Run]]:
    """Leave out what is said between the choices and the first epoch: sizes and notes."""
    texts = [line[0].text if line else "" for line in lines]
    start = max(i for i, text in enumerate(texts) if re.match(r"  [\w.]+ = ", text)) + 1
    end = next(i for i, text in enumerate(texts) if " 1.00 " in text)
    return [*lines[:start], [Run(2, "…", Style(is_dim=True))], *lines[end:]]


def _flags(language: str) -> list[str]:
    return [] if language == "en" else ["--lang", language]


def _prompt(command: str, columns: int) -> list[list[Run]]:
    """The command after a prompt, as typed into a shell."""
    lines = [[Run(0, "$", Style(is_dim=True))]]
    column = 2
    for word in command.split():
        if column + width(word) > columns - 2:
            lines[-1].append(Run(column, "\\", Style(is_dim=True)))
            lines.append([])
            column = 4
        lines[-1].append(Run(column, word, Style(is_bold=True)))
        column += width(word) + 1
    return lines
