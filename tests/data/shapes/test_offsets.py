"""Positions in characters, UTF-16 units, bytes, and with the last character as the end."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tunesmith.data.shapes.offsets import (
    CHARACTERS,
    Counting,
    Mark,
    consistent,
    fitting,
    located,
    say,
)

TEXT = "\U0001f600 Zo\u00eb \u5728 London"
ZOE, LONDON = "Zo\u00eb", "London"


def position(text: str, way: str) -> int:
    units = {"UTF-16": "utf-16-le", "bytes": "utf-8"}
    if way not in units:
        return len(text)
    return len(text.encode(units[way])) // (2 if way == "UTF-16" else 1)


def marked(surface: str, way: str, *, is_said: bool = True, text: str = TEXT) -> Mark:
    counting, inclusive = way.removeprefix("inclusive "), way.startswith("inclusive")
    start = text.index(surface)
    ends = position(text[: start + len(surface)], counting) - inclusive
    return Mark(position(text[:start], counting), ends, "A", surface if is_said else None)


WAYS = ["characters", "UTF-16", "bytes", "inclusive", "inclusive UTF-16", "inclusive bytes"]


@pytest.mark.parametrize("is_said", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_the_way_is_recognized(way: str, is_said: bool) -> None:
    marks = [marked(ZOE, way, is_said=is_said), marked(LONDON, way, is_said=is_said)]
    ways = consistent([(TEXT, marks)])
    assert ways[0].name == way
    assert located(TEXT, marks, ways) == [(2, 5), (8, 14)]
    assert say(ways[0])


def test_without_evidence_positions_are_characters() -> None:
    assert consistent([]) == (CHARACTERS,)
    assert consistent([("abc", [])]) == (CHARACTERS,)
    assert consistent([("abcdef", [Mark(1, 3, "A")])]) == (CHARACTERS,)
    assert consistent([("ab cd", [Mark(0, 2, "A")])])[0] is CHARACTERS


def test_a_few_wrong_rows_do_not_change_the_way() -> None:
    rows = [(TEXT, [marked(LONDON, "UTF-16")])] * 200 + [(TEXT, [Mark(0, 1, "A", "x")])]
    ways = consistent(rows)
    assert [way.name for way in ways] == ["UTF-16"]
    assert located(TEXT, rows[-1][1], ways) == rows[-1][1][0]


def test_what_is_undecided_is_decided_by_what_is_marked() -> None:
    """Without emoji the first rows do not say whether characters or UTF-16 units are counted."""
    ways = consistent([("in London", [marked(LONDON, "characters", text="in London")])])
    assert {"characters", "UTF-16", "bytes"} == {way.name for way in ways}
    assert located(TEXT, [marked(LONDON, "UTF-16")], ways) == [(8, 14)]
    unsaid = [marked(LONDON, "UTF-16", is_said=False)]
    assert located(TEXT, unsaid, ways) == [(9, 14)] or located(TEXT, unsaid, ways) == [(9, 15)]


def test_white_space_around_is_left_out() -> None:
    assert located("in London now", [Mark(2, 10, "A", "London ")], (CHARACTERS,)) == [(3, 9)]


def test_an_odd_place_is_no_character() -> None:
    (utf_16,) = consistent([(TEXT, [marked(LONDON, "UTF-16")])])
    assert utf_16.span_of("\U0001f600a", Mark(1, 3, "A")) is None
    assert utf_16.span_of("\U0001f600a", Mark(2, 9, "A")) is None
    assert Counting("characters").span_of("a b", Mark(1, 2, "A")) is None


def test_advice_names_a_way_that_fits() -> None:
    way = fitting(TEXT, [marked(LONDON, "inclusive bytes")])
    assert way is not None and way.name == "inclusive bytes"
    assert fitting(TEXT, [Mark(0, 3, "A", "nothing")]) is None


def test_any_text_and_way_give_the_marks_back() -> None:
    draw = random.Random(0)
    for way in WAYS:
        for _ in range(100):
            words = [
                "".join(draw.choices("ab\u4e2d\U0001f600\u00e9", k=draw.randint(1, 4)))
                for _w in range(6)
            ]
            text = " ".join([*words, "\U0001f600x"])
            word = draw.choice(words)
            marks: Sequence[Mark] = [marked(word, way, text=text)]
            spans = located(text, marks, consistent([(text, marks)]))
            assert isinstance(spans, list)
            ((start, end),) = spans
            assert text[start:end] == word
