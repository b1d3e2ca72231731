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
    found = recognized_separator(counts)
    assert found is not None
    assert found.sign == (sign.strip() or sign)
    assert found.labels == 4
    assert found.rows == sum(n for text, n in counts.items() if found.sign in text)
    assert set(split(found.example, found.sign)) <= set(TOPICS)
    assert len(split(found.example, found.sign)) > 1


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
    found = recognized_separator({"a;b": 3, "b;a": 2, "a": 9, "b": 9})
    assert found is not None
    assert (found.sign, found.rows, found.labels, found.example) == (";", 5, 2, "a;b")


def test_one_combination_is_enough_for_an_unmistakable_sign() -> None:
    assert recognized_separator({"a;b": 9, "a": 9, "b": 9}) is not None
    assert recognized_separator({"a,b": 9, "a": 9, "b": 9}) is None
    assert recognized_separator({"a;a": 9, "a": 9, "b": 9}) is None


def test_who_says_that_there_are_several_needs_less_evidence() -> None:
    counts = {"a;b;c;d": 9, "a;b": 9, "e;f;g": 9, "b;e": 9, "h": 1}
    assert recognized_separator(counts) is None
    asked = recognized_separator(counts, is_asked=True)
    assert asked is not None and asked.sign == ";"
    never_again = {"a;b": 9, "c;d": 9}
    assert recognized_separator(never_again, is_asked=True) is None


@pytest.mark.parametrize("write", [json.dumps, str])
def test_lists_in_a_field(write: object) -> None:
    assert callable(write)
    draw = random.Random(1)
    counts = Counter(write(draw.sample(["a", "b", "c"], draw.randint(0, 3))) for _i in range(40))
    found = recognized_separator(counts)
    assert found is not None
    assert (found.sign, found.labels) == (JSON, 3)
    assert found.rows == sum(n for text, n in counts.items() if text.count(",") > 0)
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
