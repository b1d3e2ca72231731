"""Charts as inline SVG: no script, no style of their own, every word escaped.

Colours come from classes of the page's style sheet, so that a chart follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["Line", "confusion_chart", "line_chart", "reliability_chart", "scatter_chart"]

_WIDTH, _HEIGHT = 425, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        name: for the legend.
        kind: a class of the style sheet: "first", "second" or "faint".
        points: (x, y), left to right.
        dots: whether each point is marked.
    """

    name: str
    kind: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area of a chart and the values it spans."""

    left: float
    right: float
    low: float
    high: float
    width: int = _WIDTH
    height: int = _HEIGHT

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]]) -> _Frame:
        xs, ys = [x for x, _y in points], [y for _x, y in points]
        low, high = min(ys), max(ys)
        room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        left, right = min(xs), max(xs)
        if left == right:  # one point stands in the middle
            left, right = left - max(1.0, 0.1 * abs(left)), right + max(1.0, 0.1 * abs(right))
        return cls(left, right, low - room, high + room)

    def x(self, value: float) -> str:
        span = self.width - _LEFT - _RIGHT
        return f"{_LEFT + span * (value - self.left) / (self.right - self.left):.1f}"

    def y(self, value: float) -> str:
        span = self.height - _TOP - _BOTTOM
        return f"{_TOP + span * (self.high - value) / (self.high - self.low):.1f}"


def line_chart(
    lines: Sequence[Line], *, x_name: str, y_name: str, mark: float | None = None
) -> Markup:
    """Curves over steps.

    Args:
        lines: at least one with at least one point; numbers that are not finite are left out.
        x_name: what runs to the right.
        y_name: what runs upwards, read out to those who do not see it.
        mark: an x with a vertical line, such as the best step.
    """
    lines = [
        Line(line.name, line.kind, [p for p in line.points if math.isfinite(p[1])], line.dots)
        for line in lines
    ]
    frame = _Frame.around([point for line in lines for point in line.points])
    parts = [_axes(frame, x_name)]
    if mark is not None:
        x = frame.x(mark)
        parts.append(
            Markup('<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
                x, _TOP, frame.height - _BOTTOM
            )
        )
    for line in lines:
        path = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in line.points)
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(line.kind, path))
        if line.dots:
            parts += [_dot(frame, x, y, line.kind) for x, y in line.points]
    figure = _figure(frame, parts, y_name)
    return figure + _legend(lines) if len(lines) > 1 else figure


def reliability_chart(
    points: Sequence[tuple[float, float, int]], *, x_name: str, y_name: str
) -> Markup:
    """How often answers are right, by how sure the model was: on the diagonal it is calibrated.

    Args:
        points: (mean confidence, share that is right, rows) of each bin.
        x_name: of the confidence.
        y_name: of the share.
    """
    frame = _Frame(0.0, 1.0, 0.0, 1.0, width=320, height=280)
    most = max((count for _x, _y, count in points), default=1)
    parts = [
        _axes(frame, x_name),
        Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            frame.x(0), frame.y(0), frame.x(1), frame.y(1)
        ),
    ]
    for x, y, count in points:
        parts.append(_dot(frame, x, y, "first", radius=3 + 6 * math.sqrt(count / most)))
    return _figure(frame, parts, y_name)


def scatter_chart(points: Sequence[tuple[float, float]], *, x_name: str, y_name: str) -> Markup:
    """Predicted numbers over true ones; on the diagonal they agree."""
    values = [value for point in points for value in point]
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or 1.0
    frame = _Frame(low - room, high + room, low - room, high + room, width=320, height=280)
    parts = [
        _axes(frame, x_name),
        Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            frame.x(low), frame.y(low), frame.x(high), frame.y(high)
        ),
        *(_dot(frame, x, y, "thin", radius=2) for x, y in points),
    ]
    return _figure(frame, parts, y_name)


def confusion_chart(
    counts: Sequence[Sequence[int]], names: Sequence[str], *, gold: str, predicted: str
) -> Markup:
    """A table whose cells are as deep in colour as their share of the row."""
    head = [Markup("<th></th>")] + [Markup("<th scope=col>{}</th>").format(n) for n in names]
    rows = [Markup("<tr>{}</tr>").format(Markup("").join(head))]
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row) or 1
        cells = [Markup("<th scope=row>{}</th>").format(name)]
        for j, count in enumerate(row):
            depth = math.ceil(5 * count / total)
            kind = f"right d{depth}" if i == j else f"wrong d{depth}"
            cells.append(Markup('<td class="{}">{}</td>').format(kind, count or "·"))
        rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    caption = Markup("<caption>{} ↓ &nbsp; {} →</caption>").format(gold, predicted)
    return Markup(
        '<div class="wide" tabindex="0"><table class="confusion">{}{}</table></div>'
    ).format(caption, Markup("").join(rows))


def _figure(frame: _Frame, parts: Sequence[Markup], title: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">{3}'
        '<text class="name" x="{4}" y="{5}">{2}</text></svg>'
    ).format(frame.width, frame.height, title, Markup("").join(parts), _LEFT + 6, _TOP + 12)


def _legend(lines: Sequence[Line]) -> Markup:
    key = Markup('<span class="key {}">{}</span>')
    items = [key.format(line.kind, line.name) for line in lines]
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(items))


def _dot(frame: _Frame, x: float, y: float, kind: str, radius: float = 3) -> Markup:
    return Markup('<circle class="dot {}" cx="{}" cy="{}" r="{:.1f}"/>').format(
        kind, frame.x(x), frame.y(y), radius
    )


def _axes(frame: _Frame, x_name: str) -> Markup:
    parts = []
    for value in _round_values(frame.low, frame.high, 5):
        y = frame.y(value)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                _LEFT, frame.width - _RIGHT, y, y
            )
        )
        parts.append(
            Markup('<text class="tick" text-anchor="end" x="{}" y="{}" dy="4">{}</text>').format(
                _LEFT - 6, y, f"{value:g}"
            )
        )
    parts += [
        Markup('<text class="tick" text-anchor="middle" x="{}" y="{}">{}</text>').format(
            frame.x(value), frame.height - _BOTTOM + 16, f"{value:g}"
        )
        for value in _round_values(frame.left, frame.right, 6 if frame.width > 400 else 4)
    ]
    parts.append(
        Markup('<text class="tick" text-anchor="end" x="{}" y="{}">{}</text>').format(
            frame.width - _RIGHT, frame.height - 4, x_name
        )
    )
    return Markup("").join(parts)


def _round_values(low: float, high: float, about: int) -> list[float]:
    """Values to write beside an axis: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]
