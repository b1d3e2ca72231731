"""Answers as data has them, and where they are in the context."""

from __future__ import annotations

import pytest

from tunesmith.data.shapes.answers import (
    Answer,
    are_structured,
    occurrences,
    read_answers,
    similar,
    start_of,
    ways_of,
)
from tunesmith.data.shapes.offsets import POSITIONS

ROME = [Answer("Rome", 3)]


@pytest.mark.parametrize(
    ("value", "start", "answers"),
    [
        ([{"text": "Rome", "answer_start": 3}], None, ROME),
        ({"text": ["Rome"], "answer_start": [3]}, None, ROME),
        ({"text": "Rome", "answer_start": 3}, None, ROME),
        ({"text": ["Rome", "in"], "answer_start": [3, 0]}, None, [*ROME, Answer("in", 0)]),
        ('{"text": ["Rome"], "answer_start": [3]}', None, ROME),
        ("{'text': ['Rome'], 'answer_start': [3]}", None, ROME),
        ("{'text': array(['Rome'], dtype=object), 'answer_start': array([3], dtype=int32)}",
         None, ROME),
        ("[{'text': 'Rome', 'answer_start': 3}]", None, ROME),
        (["Rome"], [3], ROME),
        (["Rome"], 3, ROME),
        (["Rome"], "[3]", ROME),
        ("Rome", "3", ROME),
        ("Rome", 3.0, ROME),
        ("Rome", [3], ROME),
        ("Rome", None, [Answer("Rome")]),
        ("Rome", -1, [Answer("Rome")]),
        ("Rome", float("nan"), [Answer("Rome")]),
        (["Rome", "Roma"], None, [Answer("Rome"), Answer("Roma")]),
        (1947, 3, [Answer("1947", 3)]),
        ("[1]", None, [Answer("[1]")]),
        ("[sic]", None, [Answer("[sic]")]),
        ([], None, []),
        ("[]", None, []),
        ("", None, []),
        ({"text": [], "answer_start": []}, None, []),
        ({"text": [], "answer_start": []}, 3, []),
        ([{"text": "", "answer_start": -1}], None, []),
        (None, 3, None),
    ],
)  # fmt: skip
def test_answers_are_read(value: object, start: object, answers: list[Answer] | None) -> None:
    assert read_answers(value, start) == answers


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ({"text": ["Rome", "in"], "answer_start": [3]}, None),
        ({"label": "Rome"}, None),
        ([["Rome"], [3]], [1]),
        (["Rome", "in"], 3),
        ([None], None),
        (True, None),
        ("Rome", "three"),
        ("Rome", 3.5),
        ("Rome", [1, 2]),
        ("Rome", {"a": 1}),
    ],
)
def test_anything_else_is_refused(value: object, start: object) -> None:
    with pytest.raises(ValueError):
        read_answers(value, start)


def test_objects_with_a_text_are_structured() -> None:
    for value in ([], {"text": []}, '[{"text": "a"}]', [{"text": "a"}, {"text": "b"}]):
        assert are_structured(value)
    for value in ("a", ["a"], [{"text": "a"}, "b"], {"label": "a"}, 3):
        assert not are_structured(value)


def test_places_that_cut_a_word_count_only_without_others() -> None:
    assert occurrences("know no one", "no") == [5]
    assert occurrences("know", "no") == [1]
    assert occurrences("no, no", "no") == [0, 4]
    assert occurrences("aaa", "aa") == [0, 1]
    assert occurrences("他在罗马，罗马", "罗马") == [2, 5]
    assert occurrences("know", "yes") == []


def test_similar_texts_differ_in_case_and_spaces() -> None:
    assert similar("The Eiffel\n Tower", "eiffel tower") == "Eiffel\n Tower"
    assert similar("1 000 km", "1000km") is None
    assert similar("1000km", "1000 km") == "1000km"
    assert similar("a+b", "A+B") == "a+b"
    assert similar("a", " ") is None


def test_white_space_around_an_answer_is_no_part_of_it() -> None:
    characters = POSITIONS[0]
    assert start_of("in Rome now", Answer(" Rome", 2), characters) == 3
    assert start_of("in Rome now", Answer(" Rome ", 3), characters) == 3
    assert start_of("in Rome now", Answer("Rome", 2), characters) is None
    assert start_of("in Rome now", Answer("now", -3), characters) is None
    assert start_of("in Rome now", Answer("now", 800), characters) is None


@pytest.mark.parametrize("way", POSITIONS, ids=lambda way: way.name)
def test_the_way_to_count_is_recognized(way: object) -> None:
    context = "\U0001f600 Zo\u00eb \u5728 Rome"
    starts = {"characters": 8, "UTF-16": 9, "bytes": 14}
    name = way.name  # type: ignore[attr-defined]
    rows = [(context, [Answer("Rome", starts[name])]), ("in Rome", ROME)]
    ways = ways_of(rows)
    assert [one.name for one in ways] == [name]
    assert start_of(context, rows[0][1][0], ways[0]) == 8


def test_without_evidence_starts_count_characters() -> None:
    assert [way.name for way in ways_of([])] == ["characters"]
    assert [way.name for way in ways_of([("Rome", [Answer("Rome")])])] == ["characters"]
    assert [way.name for way in ways_of([("in Rome", [Answer("Rome", 9)])])] == ["characters"]
    assert len(ways_of([("in Rome", ROME)])) == 3
