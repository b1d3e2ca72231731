from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.label_lists import (
    JSON,
    parsed_list,
    recognized_separator,
    separator_name,
    split,
)

TOPICS = ("delivery", "price", "quality", "service")


def fields(labels: tuple[str, ...], sign: str, rows: int = 60) -> Counter[str]:
    draw = random.Random(1)
    sets = (draw.sample(labels, draw.randint(1, 3)) for _row in range(rows))
    return Counter(sign.join(names) for names in sets)


@pytest.mark.parametrize("sign", [";", "|", ",", "/", "\t", "\n", "、", "，", "；", " ; ", ", "])
def test_parts_that_come_back_are_labels(sign: str) -> None:
    counts = fields(TOPICS, sign)
    result = recognized_separator(counts)
    assert result is not None
    assert result.sign == (sign.strip() or sign)
    assert result.labels == 4
    assert result.rows == sum(n for text, n in counts.items() if result.sign in text)
    assert set(split(result.example, result.sign)) <= set(TOPICS)
    assert len(split(result.example, result.sign)) > 1


@pytest.mark.parametrize(
    "names",
    [
        ["Health, Beauty", "Sports, Outdoors", "Books", "Home, Garden"],
        ["Paris, France", "Lyon, France", "Berlin, Germany"],
        ["1,5", "2,5", "3,0", "5,1"],
        ["3/4", "1/2", "1/4", "4/4"],
        ["quality/good", "quality/bad", "price/good", "price/bad"],
        ["Electronics/Phones", "Electronics/Laptops", "Home/Kitchen", "Home", "Electronics"],
        ["Bonds; Gov", "Bonds; Corp", "Stocks; US", "Stocks; EU"],
        ["yes", "no", "yes/no"],
        ["input", "output", "input/output"],
        ["N/A", "yes", "no"],
        ["Food & Drink", "Arts, Crafts & Sewing", "Arts"],
        ["2020/01/02", "2020/01/03", "2021/01/02"],
        ["a", "b", "c"],
        ["sci/tech", "world", "sports", "business"],
        ["x" * 60 + ";" + "y" * 60, "x" * 60, "y" * 60],
        [],
    ],
)
def test_names_that_hold_such_signs_are_names(names: list[str]) -> None:
    assert recognized_separator(dict.fromkeys(names, 30)) is None


def test_few_rows_prove_nothing() -> None:
    assert recognized_separator({"a;b": 2, "b;a": 2, "a": 9, "b": 9}) is None
    result = recognized_separator({"a;b": 3, "b;a": 2, "a": 9, "b": 9})
    assert result is not None
    assert (result.sign, result.rows, result.labels, result.example) == (";", 5, 2, "a;b")


def test_one_combination_is_enough_for_an_unmistakable_sign() -> None:
    assert recognized_separator({"a;b": 9, "a": 9, "b": 9}) is not None
    assert recognized_separator({"a,b": 9, "a": 9, "b": 9}) is None
    assert recognized_separator({"a;a": 9, "a": 9, "b": 9}) is None


def test_who_says_that_there_are_several_needs_less_evidence() -> None:
    counts = {"a;b;c;d": 9, "a;b": 9, "e;f;g": 9, "b;e": 9, "h": 1}
    assert recognized_separator(counts) is None
    requested = recognized_separator(counts, is_requested=True)
    assert requested is not None and requested.sign == ";"
    never_again = {"a;b": 9, "c;d": 9}
    assert recognized_separator(never_again, is_requested=True) is None


@pytest.mark.parametrize("write", [json.dumps, str])
def test_lists_in_a_field(write: object) -> None:
    assert callable(write)
    draw = random.Random(1)
    counts = Counter(write(draw.sample(["a", "b", "c"], draw.randint(0, 3))) for _i in range(40))
    result = recognized_separator(counts)
    assert result is not None
    assert (result.sign, result.labels) == (JSON, 3)
    assert result.rows == sum(n for text, n in counts.items() if text.count(",") > 0)
    assert recognized_separator({**counts, "a": 4}) is not None
    assert recognized_separator({**counts, "a": 5}) is None
    assert recognized_separator({'["a", "b"]': 4}) is None


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b"]', ("a", "b")),
        (" ['a', 1, None] ", ("a", 1, None)),
        ("('a', 'b')", ("a", "b")),
        ("{'a'}", ("a",)),
        ("[]", ()),
        ('{"a": 1}', None),
        ("[a, b]", None),
        ("(1 + 2)", None),
        ("[" * 50_000 + "]" * 50_000, None),
        ("[" + "1," * 50_000 + "1]", None),
        ("a", None),
        ("", None),
    ],
)
def test_lists_that_are_read(text: str, items: tuple[object, ...] | None) -> None:
    assert parsed_list(text) == items


@given(st.lists(st.text("abc ", min_size=1), max_size=5))
def test_splitting_joins_back(names: list[str]) -> None:
    assert split(" ; ".join(names), ";") == [name.strip() for name in names if name.strip()]


def test_separators_as_they_are_typed() -> None:
    assert [separator_name(sign) for sign in ("\t", "\n", ";")] == ["\\t", "\\n", ";"]


def test_a_list_may_be_so_long_and_no_longer() -> None:
    longest = '["' + "a" * (100_000 - 4) + '"]'
    assert parsed_list(longest) == ("a" * (100_000 - 4),)
    assert parsed_list(longest[:3] + longest[2:]) is None


def test_a_label_may_be_so_long_and_no_longer() -> None:
    for length, is_label in ((50, True), (51, False)):
        x, y = "x" * length, "y" * length
        result = recognized_separator({f"{x};{y}": 30, x: 30, y: 30})
        assert (result is not None) is is_label


def test_how_many_parts_must_come_back() -> None:
    several = {"a;b": 9, "c;d": 9, "c": 9, "d": 9}
    of_five = recognized_separator({"a;b;e": 9, **several})  # all but e
    assert of_five is not None and (of_five.labels, of_five.rows) == (5, 27)
    assert recognized_separator({"a;b;e;f": 9, **several}) is None
    of_ten = {"a;d;e;f": 9, "a;b;g;h": 9, "b;c": 9, "c;i;j": 9, "a": 9, "b": 9}  # a, b and c
    assert recognized_separator(of_ten) is None
    assert recognized_separator(of_ten, is_requested=True) is not None
    of_eleven = {text.replace("j", "j;k"): rows for text, rows in of_ten.items()}
    assert recognized_separator(of_eleven, is_requested=True) is None


def test_more_labels_than_twice_the_combinations_are_none() -> None:
    counts = {"a;b": 5, "b;a": 5, "c;d": 5, "d;c": 5}
    assert recognized_separator(counts) is None
    assert recognized_separator({**counts, "a": 1}) is not None


def test_the_sign_of_the_most_rows_and_the_most_frequent_field_are_shown() -> None:
    counts = {"a;b": 9, "b;a": 8, "c|d": 7, "d|c": 7}
    result = recognized_separator(counts)
    assert result is not None and (result.sign, result.rows, result.example) == (";", 17, "a;b")
    result = recognized_separator({**counts, "d|c": 12, "c|d": 12})
    assert result is not None and (result.sign, result.rows, result.example) == ("|", 24, "d|c")


def test_of_lists_the_longest_is_shown_and_those_with_several_are_counted() -> None:
    counts = {'["a"]': 3, '["a", "b"]': 2, "[]": 1, '["c", "a", "b"]': 1, "[1]": 2}
    result = recognized_separator(counts)
    assert result is not None
    assert (result.sign, result.rows, result.labels, result.example) == (
        JSON,
        3,
        4,
        '["c", "a", "b"]',
    )
    assert recognized_separator({**counts, "x": 1}) is not None  # nine of ten rows
    five = recognized_separator({'["a", "b"]': 5})
    assert five is not None and five.rows == 5
