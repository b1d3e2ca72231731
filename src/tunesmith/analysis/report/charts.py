"""Charts as inline SVG: no script, no style of their own, all text escaped.

Colors come from classes of the page's style sheet, so that charts follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

__all__ = ["Line", "line_chart", "reliability_chart", "scatter_chart"]

Point = tuple[float, float]

_WIDTH, _HEIGHT, _SIDE = 380, 250, 300
_TOP, _RIGHT, _BOTTOM = 24, 16, 34
_CHARACTER = 7.0
"""The width of a digit of a label."""
_SMALLEST, _LARGEST = 1e-290, 1e300
"""The least difference that an axis shows, and the largest number: beyond, floats run out."""
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Line:
    """One curve.

    Attributes:
        name: for the legend.
        kind: a class of the style sheet: "first" or "second".
        points: (x, y), left to right.
        dots: whether each point is marked.
    """

    name: str
    kind: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """A range of values and the pixels it is drawn on; `start` may be the larger pixel."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{self.start + share * (self.stop - self.start):.1f}"


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area of a chart."""

    x: _Axis
    y: _Axis
    width: int
    height: int

    @classmethod
    def spanning(
        cls, xs: tuple[float, float], ys: tuple[float, float], *, size: tuple[int, int]
    ) -> _Frame:
        """A frame whose left margin holds the labels of the vertical axis."""
        width, height = size
        left = 12 + _CHARACTER * max(len(label) for _value, label in _ticks(*ys, 5))
        return cls(
            _Axis(*xs, left, width - _RIGHT), _Axis(*ys, height - _BOTTOM, _TOP), width, height
        )

    def dot(self, x: float, y: float, kind: str, radius: float = 3) -> Markup:
        return Markup('<circle class="dot {}" cx="{}" cy="{}" r="{:.1f}"/>').format(
            kind, self.x.at(x), self.y.at(y), radius
        )

    def line(self, kind: str, start: Point, end: Point) -> Markup:
        return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            kind, self.x.at(start[0]), self.y.at(start[1]), self.x.at(end[0]), self.y.at(end[1])
        )

    def figure(
        self, parts: Iterable[Markup], *, x_name: str, y_name: str, least_step: float = 0.0
    ) -> Markup:
        """The whole picture: axes, what is drawn on them, and the names of both."""
        return Markup(
            '<svg{8} viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">'
            '<text class="name" x="0" y="12">{2}</text>{3}{4}'
            '<text class="tick" text-anchor="end" x="{5}" y="{6}">{7}</text></svg>'
        ).format(
            self.width, self.height, y_name, self._axes(least_step), Markup("").join(parts),
            self.width - _RIGHT, self.height - 4, x_name,
            Markup(' class="square"') if self.width == self.height else "",
        )  # fmt: skip

    def _axes(self, least_step: float) -> Markup:
        parts = []
        for value, label in _ticks(self.y.low, self.y.high, 5):
            parts.append(self.line("grid", (self.x.low, value), (self.x.high, value)))
            parts.append(
                Markup(
                    '<text class="tick" text-anchor="end" x="{}" y="{}" dy="4">{}</text>'
                ).format(self.x.start - 6, self.y.at(value), label)
            )
        parts += [
            Markup('<text class="tick" text-anchor="middle" x="{}" y="{}">{}</text>').format(
                self.x.at(value), self.height - _BOTTOM + 16, label
            )
            for value, label in _ticks_that_fit(self.x, least_step)
        ]
        return Markup("").join(parts)


def line_chart(
    lines: Sequence[Line], *, x_name: str, y_name: str, mark: float | None = None
) -> Markup | None:
    """Draw curves over steps; None if no curve has points at two steps.

    Args:
        lines: numbers that are not finite are left out.
        x_name: of the horizontal axis.
        y_name: of the vertical axis.
        mark: an x with a vertical line, such as the best step.
    """
    lines = [replace(line, points=_drawable(line.points)) for line in lines]
    if not any(_are_apart([x for x, _y in line.points]) for line in lines):
        return None
    lines = [line for line in lines if line.points]
    xs, ys = zip(*(point for line in lines for point in line.points), strict=True)
    room = 0.06 * (max(ys) - min(ys)) if _are_apart(ys) else 0.1 * abs(ys[0])
    room = max(room, _SMALLEST)
    frame = _Frame.spanning(
        (min(xs), max(xs)), (min(ys) - room, max(ys) + room), size=(_WIDTH, _HEIGHT)
    )
    parts = []
    if mark is not None and frame.x.low <= mark <= frame.x.high:
        parts.append(frame.line("mark", (mark, frame.y.low), (mark, frame.y.high)))
    for line in lines:
        path = " ".join(f"{frame.x.at(x)},{frame.y.at(y)}" for x, y in line.points)
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(line.kind, path))
        if line.dots:
            parts += [frame.dot(x, y, line.kind) for x, y in line.points]
    least_step = 1.0 if max(xs) - min(xs) >= 1.0 else 0.0  # whole steps, if there are any
    figure = frame.figure(parts, x_name=x_name, y_name=y_name, least_step=least_step)
    return figure + _legend(lines) if len(lines) > 1 else figure


def reliability_chart(
    points: Sequence[tuple[float, float, int]], *, x_name: str, y_name: str
) -> Markup | None:
    """Draw how often answers are right by how confident the model is; None for a single bin.

    Args:
        points: (mean confidence, fraction that is right, number of answers) of each bin.
        x_name: of the confidence.
        y_name: of the fraction.
    """
    if len({x for x, _y, _count in points}) < 2:
        return None
    frame = _Frame.spanning((0.0, 1.0), (0.0, 1.0), size=(_SIDE, _SIDE))
    most = max(count for _x, _y, count in points)
    parts = [frame.line("mark", (0, 0), (1, 1))]
    parts += [frame.dot(x, y, "first", 3 + 6 * math.sqrt(count / most)) for x, y, count in points]
    return frame.figure(parts, x_name=x_name, y_name=y_name)


def scatter_chart(points: Sequence[Point], *, x_name: str, y_name: str) -> Markup | None:
    """Draw predicted numbers over true ones; None if all true ones are the same.

    Where both agree, a point is on the diagonal.
    """
    points = _drawable(points)
    if not _are_apart([x for x, _y in points]):
        return None
    values = [value for point in points for value in point]
    low, high = min(values), max(values)
    room = (high - low) * 0.05
    ends = (low - room, high + room)
    frame = _Frame.spanning(ends, ends, size=(_SIDE, _SIDE))
    parts = [frame.line("mark", (low, low), (high, high))]
    parts += [frame.dot(x, y, "thin", 2) for x, y in points]
    return frame.figure(parts, x_name=x_name, y_name=y_name)


def _legend(lines: Sequence[Line]) -> Markup:
    key = Markup('<span class="key {}">{}</span>')
    items = [key.format(line.kind, line.name) for line in lines]
    return Markup('<p class="legend">{}</p>').format(Markup(" ").join(items))


def _drawable(points: Iterable[Point]) -> list[Point]:
    return [point for point in points if all(abs(value) <= _LARGEST for value in point)]


def _are_apart(values: Sequence[float]) -> bool:
    """Whether there are two values between which an axis can be divided."""
    least = max(_SMALLEST, 1e-12 * max(map(abs, values), default=0.0))
    return bool(values) and max(values) - min(values) > least


def _ticks_that_fit(axis: _Axis, least_step: float) -> list[tuple[float, str]]:
    """As many ticks as a horizontal axis has room for."""
    room = axis.stop - axis.start
    for about in (6, 4, 3, 2):
        ticks = _ticks(axis.low, axis.high, about, least_step=least_step)
        widest = max((len(label) for _value, label in ticks), default=0)
        if len(ticks) * (_CHARACTER * widest + 8) <= room:
            return ticks
    return ticks[:1]


def _ticks(
    low: float, high: float, about: int, *, least_step: float = 0.0
) -> list[tuple[float, str]]:
    """The multiples of 1, 2 or 5 times a power of ten in a range, with distinct labels."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= rough), 10 * power)
    step = max(step, least_step)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return list(zip(values, _labels(values, step), strict=True))


def _labels(values: Sequence[float], step: float) -> list[str]:
    """Numbers with as few digits as tell them apart: plain, with a suffix, or as powers of ten."""
    largest = max(map(abs, values), default=0.0)
    if largest and not 1e-3 <= largest < 1e15:
        unit, suffix, style = 1.0, "", "e"
    else:
        known = ((u, s) for u, s in _SUFFIXES if largest >= max(u, 1e4))
        (unit, suffix), style = next(known, (1.0, "")), "f"
    for digits in range(17):
        plain = [f"{value / unit:.{digits}{style}}" for value in values]
        errors = (
            abs(float(text) * unit - value) for text, value in zip(plain, values, strict=True)
        )
        if all(error <= 1e-3 * step for error in errors):
            break
    return [text + suffix if value else "0" for text, value in zip(plain, values, strict=True)]
