"""Charts: well-formed, inside their frame, and inert."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.analysis.report.charts import (
    Line,
    confusion_chart,
    line_chart,
    reliability_chart,
    scatter_chart,
)

finite = st.floats(-1e6, 1e6)
points = st.lists(st.tuples(st.integers(0, 10_000).map(float), finite), min_size=1, max_size=30)


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{markup.replace('&nbsp;', ' ')}</div>")


def numbers(root: ElementTree.Element, *names: str) -> list[float]:
    return [float(e.attrib[name]) for e in root.iter() for name in names if name in e.attrib]


@given(points, points)
def test_curves_stay_inside_the_picture(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    chart = line_chart(
        [Line("a", "first", sorted(first)), Line("b", "second", sorted(second), dots=True)],
        x_name="steps",
        y_name="loss",
        mark=first[0][0],
    )
    root = parsed(chart)
    width, height = (float(v) for v in root[0].attrib["viewBox"].split()[2:])
    for line in root.iter("polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert all(0 <= x <= width for x in numbers(root, "x1", "x2", "cx"))


def test_what_is_not_a_number_is_left_out() -> None:
    line = Line("a", "first", [(1, 2.0), (2, math.nan), (3, math.inf), (4, 1.0)])
    (drawn,) = parsed(line_chart([line], x_name="x", y_name="y")).iter("polyline")
    assert len(drawn.attrib["points"].split()) == 2


def test_a_curve_that_falls_goes_down() -> None:
    line = Line("a", "first", [(0, 3.0), (1, 2.0), (2, 1.0)])
    (drawn,) = parsed(line_chart([line], x_name="x", y_name="y")).iter("polyline")
    heights = [float(p.split(",")[1]) for p in drawn.attrib["points"].split()]
    assert heights == sorted(heights)


def test_one_point_stands_in_the_middle_of_whole_steps() -> None:
    chart = line_chart([Line("a", "first", [(150, 0.4)], dots=True)], x_name="x", y_name="y")
    root = parsed(chart)
    (dot,) = root.iter("circle")
    ticks = [text.text for text in root.iter("text") if text.get("text-anchor") == "middle"]
    assert ticks == ["135", "140", "145", "150", "155", "160", "165"]
    left, right = 52, 425 - 12
    assert float(dot.attrib["cx"]) == pytest.approx((left + right) / 2, abs=0.1)
    zero = parsed(line_chart([Line("a", "first", [(0, 0.4)])], x_name="x", y_name="y"))
    assert "-1" in [text.text for text in zero.iter("text")]


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(
            [Line(HOSTILE, "first", [(0, 1.0), (1, 2.0)])] * 2, x_name=HOSTILE, y_name=HOSTILE
        ),
        reliability_chart([(0.5, 0.5, 3)], x_name=HOSTILE, y_name=HOSTILE),
        scatter_chart([(0.5, 0.5)], x_name=HOSTILE, y_name=HOSTILE),
        confusion_chart([[1, 0], [0, 1]], [HOSTILE, "b"], gold=HOSTILE, predicted=HOSTILE),
    ],
)
def test_names_are_only_text(chart: str) -> None:
    found = {
        element.tag
        for element in parsed(chart.replace("scope=col", "").replace("scope=row", "")).iter()
    }
    assert not found & {"script", "img"}
    assert HOSTILE not in chart


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_the_table_of_confusions_holds_every_count(counts: list[list[int]]) -> None:
    chart = confusion_chart(counts, ["a", "b", "c"], gold="label", predicted="predicted")
    root = parsed(chart.replace("scope=col", "").replace("scope=row", ""))
    cells = [cell.text for cell in root.iter("td")]
    assert cells == [str(count) if count else "·" for row in counts for count in row]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 99)), max_size=10))
def test_every_bin_is_a_dot(bins: list[tuple[float, float, int]]) -> None:
    root = parsed(reliability_chart(bins, x_name="sure", y_name="right"))
    assert len(list(root.iter("circle"))) == len(bins)
