"""Positions in characters, UTF-16 units, bytes, and with the last character as the end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest

from tunesmith.data.open import from_python
from tunesmith.data.rows import BadRecordsError
from tunesmith.data.shapes.offsets import (
    CHARACTERS,
    Counting,
    Mark,
    consistent,
    cuts_a_word,
    fitting,
    located,
    most_cut_words,
    say,
    ways_to_count,
)
from tunesmith.errors import RecipeError
from tunesmith.recipe.settings import Offsets

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


@pytest.mark.parametrize(("way", "end"), [("from 1", 1), ("inclusive from 1", 0)])
def test_positions_from_1_are_recognized(way: str, end: int) -> None:
    texts = ["in London", "we saw Rome", "Paris is far"]
    spans = [(3, 9), (7, 11), (0, 5)]
    rows = [
        (text, [Mark(start + 1, stop + end, "A")])
        for text, (start, stop) in zip(texts, spans, strict=True)
    ]
    ways = consistent(rows)
    assert [one.name for one in ways] == [way]
    assert [located(text, marks, ways) for text, marks in rows] == [[span] for span in spans]
    assert "from 1" in say(ways[0])


@pytest.mark.parametrize(
    ("text", "start", "end", "cuts"),
    [
        ("in London now", 3, 9, False),
        ("in London now", 4, 9, True),
        ("in London now", 3, 8, True),
        ("in London now", 2, 3, True),  # a space
        ("\u0939\u092e \u0926\u093f\u0932", 3, 4, False),  # no alphabet: it may be meant
        ("\u4f26\u6566\u5f88\u597d", 1, 2, False),
        ("\u0e01\u0e23\u0e38\u0e07", 1, 2, False),
    ],
)
def test_words_that_are_cut(text: str, start: int, end: int, cuts: bool) -> None:
    assert CHARACTERS.cuts(text, Mark(start, end, "A")) is cuts
    assert not CHARACTERS.cuts(text, Mark(start, end, "A", "a text"))


def test_a_sign_is_not_divided() -> None:
    assert cuts_a_word("\u0926\u093f\u0932", 1) and cuts_a_word("\U0001f468\u200d\U0001f373", 1)
    assert not cuts_a_word("\u0e01\u0e02", 1)


def test_rows_most_of_which_cut_words_are_wrong() -> None:
    right, wrong = ("in London", [Mark(3, 9, "A")]), ("in London", [Mark(4, 7, "A")])
    assert most_cut_words([right, *[wrong] * 4], CHARACTERS)
    assert not most_cut_words([*[right] * 3, *[wrong] * 2], CHARACTERS)
    assert not most_cut_words([wrong] * 4, CHARACTERS)
    assert located(*wrong, [CHARACTERS]) == [(4, 7)]
    assert located(*wrong, [CHARACTERS], refuses_cuts=True) == wrong[1][0]


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


def test_the_user_may_say_how_positions_are_counted() -> None:
    """Nine rows of ten count UTF-16 units: too few to be found out."""
    good = {"text": "😀 Ann", "spans": [{"start": 3, "end": 6, "label": "PER", "text": "Ann"}]}
    wrong = {"text": "😀 Ann", "spans": [{"start": 4, "end": 6, "label": "PER", "text": "Ann"}]}
    rows = [good] * 9 + [wrong]
    with pytest.raises(BadRecordsError) as caught:
        list(from_python(rows)["train"].chunks())
    assert len(caught.value.records) == 10
    assert any("--offsets utf-16" in str(problem.fix) for problem in caught.value.problems)
    source = from_python(rows, offsets="utf-16")["train"]
    assert "UTF-16" in source.notes[-1]
    with pytest.raises(BadRecordsError) as caught:
        for chunk in source.chunks():
            assert [row.values["spans"][0]["start"] for row in chunk] == [2] * 9
    assert len(caught.value.records) == 1
    plain = from_python([good] * 10, offsets="characters")["train"]
    with pytest.raises(BadRecordsError):
        list(plain.chunks())


def test_ways_that_do_not_exist_are_refused() -> None:
    with pytest.raises(RecipeError, match="R104"):
        ways_to_count([], "utf-32")
    for name in get_args(Offsets):
        assert [way.option for way in ways_to_count([], name)] == [name]
