"""SVG files: a window of a terminal. The text stays text, in fonts that every system has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from unicodedata import east_asian_width
from xml.etree import ElementTree

from docs.pictures.screen import Run, Style, width

__all__ = ["DARK", "LIGHT", "SANS", "Palette", "draw_terminal", "read_terminal"]

MONO = (
    "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'Liberation Mono', "
    "'DejaVu Sans Mono', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', monospace"
)
SANS = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, 'PingFang SC', "
    "'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
)
_CELL, _LINE, _SIZE, _WIDE_SIZE, _MARGIN, _BAR = 8.4, 20, 14, 15, 18, 36
"""Width of a column, height of a line, font sizes, margin and height of the title, in pixels."""

_SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colors: of the window, and of the eight colors of a terminal in the order of their codes."""

    name: str
    paper: str
    edge: str
    ink: str
    soft: str
    terminal: tuple[str, ...]

    def color(self, style: Style) -> str:
        """Return the color of a style."""
        if style.color is None:
            return self.soft if style.is_dim else self.ink
        return self.terminal[style.color % 8]


LIGHT = Palette(
    "light", "#f6f8fa", "#d1d9e0", "#1f2328", "#59636e",
    ("#1f2328", "#cf222e", "#116329", "#7d4e00", "#0969da", "#8250df", "#1b7c83", "#59636e"),
)  # fmt: skip
DARK = Palette(
    "dark", "#161b22", "#3d444d", "#e6edf3", "#9198a1",
    ("#9198a1", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#e6edf3"),
)  # fmt: skip


def draw_terminal(lines: Sequence[Sequence[Run]], palette: Palette, *, columns: int) -> str:
    """Return an SVG of lines in a window, light or dark."""
    wide, high = columns * _CELL + 2 * _MARGIN, _BAR + len(lines) * _LINE + _MARGIN
    parts = [
        f'<svg xmlns="{_SVG}" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" '
        f'height="{high:.0f}" font-family="{MONO}" font-size="{_SIZE}">',
        f'<rect x=".5" y=".5" width="{wide - 1:.0f}" height="{high - 1:.0f}" rx="8" '
        f'fill="{palette.paper}" stroke="{palette.edge}"/>',
        *(
            f'<circle cx="{_MARGIN + 6 + 18 * i}" cy="18" r="5.5" fill="{palette.edge}"/>'
            for i in range(3)
        ),
    ]
    for row, line in enumerate(lines):
        y = _BAR + row * _LINE + 14
        parts += [_text(run, y, palette) for whole in line for run in _pieces(whole)]
    return "\n".join([*parts, "</svg>", ""])


def _pieces(run: Run) -> Iterable[Run]:
    """Split a run where spaces or another script begin, so that every piece keeps its columns."""
    wide = [east_asian_width(character) in "WF" for character in run.text]
    breaks = {0, len(run.text)}
    breaks |= {i for i in range(1, len(wide)) if wide[i] != wide[i - 1]}
    for gap in re.finditer(r" {2,}", run.text):
        breaks |= {gap.start(), gap.end()}
    ends = sorted(breaks)
    for start, end in itertools.pairwise(ends):
        text = run.text[start:end]
        if text.strip():
            yield replace(run, column=run.column + width(run.text[:start]), text=text)


def _text(run: Run, y: float, palette: Palette) -> str:
    lead = len(run.text) - len(run.text.lstrip())
    text = run.text.strip()
    weight = ' font-weight="600"' if run.style.is_bold else ""
    x = _MARGIN + (run.column + lead) * _CELL
    if east_asian_width(text[0]) in "WF":  # each in the middle of its two columns
        across = [x + _CELL - _WIDE_SIZE / 2 + 2 * _CELL * i for i in range(len(text))]
        place = f'x="{" ".join(f"{one:.1f}" for one in across)}" font-size="{_WIDE_SIZE}"'
    else:
        length = width(text) * _CELL
        place = f'x="{x:.1f}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text {place} y="{y}" fill="{palette.color(run.style)}"{weight}>'
        f"{escape(text, quote=False)}</text>"
    )


def read_terminal(path: Path) -> list[str]:
    """Return the lines of text that a picture of a terminal shows."""
    rows: dict[float, dict[int, str]] = {}
    for text in ElementTree.parse(path).getroot().iter(f"{{{_SVG}}}text"):
        left = float(text.get("x", "0").split()[0])
        column = round((left - _MARGIN) / _CELL)
        rows.setdefault(float(text.get("y", "0")), {})[column] = text.text or ""
    lines = []
    for y in range(_BAR + 14, round(max(rows)) + 1, _LINE):
        line = ""
        for column, text in sorted(rows.get(y, {}).items()):
            line += " " * (column - width(line)) + text
        lines.append(line)
    return lines
