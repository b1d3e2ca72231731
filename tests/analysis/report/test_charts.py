"""Charts: well-formed, inside their frame, and escaped."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunesmith.analysis.report.charts import (
    Line,
    _ticks,
    line_chart,
    reliability_chart,
    scatter_chart,
)

anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
finite = st.floats(-1e6, 1e6)
steps = st.integers(0, 10_000).map(float)
points = st.lists(st.tuples(steps, finite), min_size=2, max_size=30).map(sorted)


def parsed(markup: str | None) -> ElementTree.Element:
    assert markup is not None
    return ElementTree.fromstring(f"<div>{markup.replace('&nbsp;', ' ')}</div>")


def numbers(root: ElementTree.Element, *names: str) -> list[float]:
    return [float(e.attrib[name]) for e in root.iter() for name in names if name in e.attrib]


def ticks(root: ElementTree.Element) -> tuple[list[str], list[str]]:
    """The labels of the horizontal axis and of the vertical one."""
    across = [str(t.text) for t in root.iter("text") if t.get("text-anchor") == "middle"]
    up = [str(t.text) for t in root.iter("text") if t.get("dy")]
    return across, up


def in_picture(root: ElementTree.Element) -> bool:
    width, height = (float(v) for v in root[0].attrib["viewBox"].split()[2:])
    drawn = [
        point.split(",") for e in root.iter("polyline") for point in e.attrib["points"].split()
    ]
    xs = [float(x) for x, _y in drawn] + numbers(root, "x1", "x2", "cx")
    ys = [float(y) for _x, y in drawn] + numbers(root, "y1", "y2", "cy")
    return all(0 <= x <= width for x in xs) and all(0 <= y <= height for y in ys)


@given(points, points)
def test_curves_stay_inside_the_picture(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    lines = [Line("a", "first", first), Line("b", "second", second, dots=True)]
    chart = line_chart(lines, x_name="steps", y_name="loss", mark=first[0][0])
    if first[0][0] == first[-1][0] and second[0][0] == second[-1][0]:
        assert chart is None
    else:
        assert in_picture(parsed(chart))


@given(
    st.one_of(
        st.lists(st.tuples(steps, anything), max_size=8),
        st.lists(st.tuples(st.floats(0, 1e15), anything), max_size=8),
        st.lists(st.tuples(st.integers(0, 3).map(float), st.floats(0.5, 0.5 + 1e-9)), max_size=8),
    ).map(lambda values: sorted(values, key=lambda point: point[0]))
)
@example([(1e9, -5e-7), (2e9, -4e-7)])
@example([(0.0, math.nan), (5.0, 1.0), (7.0, 2.0)])
@example([(0.0, 1e300), (5.0, -1e300)])
@example([(0.0, 5e-324), (5.0, 0.0)])
@example([(1.0, 123456789.0), (2.0, 123456790.0)])
@example([(0.25, 0.0), (0.5, 0.0)])
def test_no_two_labels_of_an_axis_are_the_same(points: list[tuple[float, float]]) -> None:
    chart = line_chart([Line("a", "first", points)], x_name="steps", y_name="loss")
    if chart is None:
        return
    root = parsed(chart)
    assert in_picture(root)
    for labels in ticks(root):
        assert labels and len(set(labels)) == len(labels)
        assert not {"nan", "inf", "-0", ""} & set(labels)
    across, _up = ticks(root)
    assert sum(len(label) for label in across) * 7 <= 380


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(2, 6))
def test_labels_say_what_they_label(low: float, span: float, about: int) -> None:
    high = low + span
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    for value, label in _ticks(low, high, about):
        number, unit = (label[:-1], units[label[-1]]) if label[-1] in units else (label, 1.0)
        assert float(number) * unit == pytest.approx(value, rel=1e-9, abs=span * 1e-3)
        assert low - 1e-6 * span <= value <= high + 1e-6 * span


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 0.02, ["0", "0.005", "0.010", "0.015", "0.020"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0.0, 100_000.0, ["0", "20k", "40k", "60k", "80k", "100k"]),
        (999_999.0, 1_000_001.0, ["0.9999990M", "0.9999995M", "1.0000000M", "1.0000005M",
                                  "1.0000010M"]),
        (0.0, 5e-7, ["0", "1e-07", "2e-07", "3e-07", "4e-07", "5e-07"]),
        (0.0, 6e18, ["0", "2e+18", "4e+18", "6e+18"]),
        (0.0, 9000.0, ["0", "2000", "4000", "6000", "8000"]),
    ],
)  # fmt: skip
def test_labels_have_as_few_digits_as_tell_them_apart(
    low: float, high: float, labels: list[str]
) -> None:
    assert [label for _value, label in _ticks(low, high, 5)] == labels


def test_what_is_not_a_number_is_left_out() -> None:
    line = Line("a", "first", [(1, 2.0), (2, math.nan), (3, math.inf), (4, 1.0)])
    (drawn,) = parsed(line_chart([line], x_name="x", y_name="y")).iter("polyline")
    assert len(drawn.attrib["points"].split()) == 2


def test_a_curve_that_falls_goes_down() -> None:
    line = Line("a", "first", [(0, 3.0), (1, 2.0), (2, 1.0)])
    (drawn,) = parsed(line_chart([line], x_name="x", y_name="y")).iter("polyline")
    heights = [float(p.split(",")[1]) for p in drawn.attrib["points"].split()]
    assert heights == sorted(heights)


@pytest.mark.parametrize(
    "points", [[], [(150, 0.4)], [(150, 0.4), (150, 0.5)], [(1, math.nan), (2, 0.4)]]
)
def test_nothing_is_drawn_of_one_step(points: list[tuple[float, float]]) -> None:
    assert line_chart([Line("a", "first", points)], x_name="x", y_name="y") is None
    assert line_chart([], x_name="x", y_name="y") is None


def test_a_single_point_is_drawn_next_to_a_curve() -> None:
    lines = [Line("a", "first", [(1, 3.0), (5, 2.0)]), Line("b", "second", [(5, 1.0)], dots=True)]
    root = parsed(line_chart(lines, x_name="x", y_name="y"))
    assert len(list(root.iter("circle"))) == 1
    assert ticks(root)[0] == ["1", "2", "3", "4", "5"]  # steps are whole


def test_a_level_curve_is_in_the_middle() -> None:
    for level in (0.0, 0.7, -3e-6):
        line = Line("a", "first", [(1, level), (9, level)])
        root = parsed(line_chart([line], x_name="x", y_name="y"))
        assert in_picture(root) and len(ticks(root)[1]) > 1


@given(st.lists(st.tuples(anything, anything), max_size=10))
def test_points_are_drawn_if_their_labels_differ(points: list[tuple[float, float]]) -> None:
    chart = scatter_chart(points, x_name="label", y_name="predicted")
    labels = {x for x, y in points if abs(x) <= 1e300 and abs(y) <= 1e300}
    if len(labels) < 2:
        assert chart is None
    if chart is not None:
        root = parsed(chart)
        assert in_picture(root)
        assert all(len(set(axis)) == len(axis) for axis in ticks(root))


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(
            [Line(HOSTILE, "first", [(0, 1.0), (1, 2.0)])] * 2, x_name=HOSTILE, y_name=HOSTILE
        ),
        reliability_chart([(0.5, 0.5, 3), (0.6, 0.6, 1)], x_name=HOSTILE, y_name=HOSTILE),
        scatter_chart([(0.5, 0.5), (1, 1)], x_name=HOSTILE, y_name=HOSTILE),
    ],
)
def test_names_are_only_text(chart: str | None) -> None:
    assert chart is not None
    result = {
        element.tag
        for element in parsed(chart.replace("scope=col", "").replace("scope=row", "")).iter()
    }
    assert not result & {"script", "img"}
    assert HOSTILE not in chart


bins = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 99)), max_size=10)


@given(bins)
def test_every_bin_is_a_dot(bins: list[tuple[float, float, int]]) -> None:
    chart = reliability_chart(bins, x_name="sure", y_name="right")
    if len({x for x, _y, _count in bins}) < 2:
        assert chart is None
    else:
        assert len(list(parsed(chart).iter("circle"))) == len(bins)
