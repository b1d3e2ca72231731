from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.labels import (
    as_python,
    is_list,
    is_missing,
    label_finding,
    label_key,
    label_kind,
    label_text,
    labels_finding,
    spelled,
)

NAMES = ("no", "yes")


class NAType:
    """A stand-in for pandas' NA: the type's name is all that is looked at."""


@pytest.mark.parametrize(
    ("value", "names", "label"),
    [
        ("pos", None, "pos"),
        (" pos ", None, " pos "),
        ("NA", None, "NA"),
        ("", None, None),
        ("  ", None, None),
        ("\u3000\t", None, None),
        ("\u200b\ufeff", None, None),
        ("\u200bx", None, "\u200bx"),
        ("\ud800", None, "\ud800"),
        (np.str_("x"), None, "x"),
        (None, None, None),
        (float("nan"), None, None),
        (Decimal("NaN"), None, None),
        (NAType(), None, None),
        (1, None, "1"),
        (1.0, None, "1"),
        (np.int64(1), None, "1"),
        (np.float32(1), None, "1"),
        (Decimal("1.00"), None, "1"),
        (1.5, None, "1.5"),
        (Decimal("1.5"), None, "1.5"),
        (True, None, "true"),
        (np.False_, None, "false"),
        (-1, None, "-1"),
        (-100, None, "-100"),
        (2**1023, None, str(2**1023)),
        (2**1024, None, None),
        (float("inf"), None, None),
        (0, NAMES, "no"),
        (1, NAMES, "yes"),
        (1.0, NAMES, "yes"),
        (-1, NAMES, None),
        (2, NAMES, None),
        ("yes", NAMES, "yes"),
        (["a"], None, None),
        ({"x": 1}, None, None),
        (b"x", None, None),
        (date(2024, 1, 1), None, None),
    ],
)
def test_labels_as_text(value: object, names: tuple[str, ...] | None, label: str | None) -> None:
    assert label_text(value, names) == label


@pytest.mark.parametrize(
    ("value", "names", "code", "words"),
    [
        (["a", "b"], None, "D208", "several labels in one row"),
        ([], None, "D208", "several labels in one row"),
        (("a",), None, "D208", "the label is a list"),
        (np.array(["a"]), None, "D208", "the label is a list"),
        ({"x": 1}, None, "D217", "the label is an object, neither text nor a number"),
        (b"x", None, "D217", "the label is binary data, neither"),
        (date(2024, 1, 1), None, "D217", "the label is a date, neither"),
        (datetime(2024, 1, 1), None, "D217", "the label is a date, neither"),
        (time(1), None, "D217", "the label is a time, neither"),
        (timedelta(1), None, "D217", "the label is a duration, neither"),
        (frozenset("a"), None, "D217", "the label is frozenset, neither"),
        (float("inf"), None, "D217", "infinite or too large"),
        (Decimal("-Infinity"), None, "D217", "infinite or too large"),
        (2**14000, None, "D217", "infinite or too large"),
        (2, NAMES, "D217", "there is no class number 2; the column has 2 classes"),
        (2**1023, NAMES, "D217", f"there is no class number {2**1023};"),
        (2**1024, NAMES, "D217", "there is no class number …;"),
        (-2, NAMES, "D217", "there is no class number -2"),
        (2**14000, NAMES, "D217", "there is no class number …"),
        ("\ud800", None, "D142", "lone surrogate"),
        ("pos\udfff", None, "D142", "lone surrogate"),
    ],
)
def test_what_is_no_label(
    value: object, names: tuple[str, ...] | None, code: str, words: str
) -> None:
    finding = label_finding(value, names)
    assert finding is not None
    assert finding.code == code
    assert words in finding.message
    assert finding.fix


@pytest.mark.parametrize(
    "value", ["x", "", "打", "\u200b", None, float("nan"), NAType(), 1, 1.5, True, Decimal(2), -1]
)
def test_labels_and_rows_without_one_have_no_finding(value: object) -> None:
    assert label_finding(value) is None


def test_a_row_without_a_numbered_class_has_no_finding() -> None:
    assert label_finding(-1, NAMES) is None
    assert label_finding(1, NAMES) is None


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ([["a"], ["b"]], "D217", "a list within the list"),
        ([("a", 1)], "D217", "a list within the list"),
        (["a", None], "D217", "an empty value"),
        ([""], "D217", "an empty value"),
        ([float("nan")], "D217", "an empty value"),
        ([1, "a"], "D207", "several kinds: number, text"),
        ([True, 1], "D207", "several kinds: boolean, number"),
        ([{"x": 1}], "D217", "an object"),
        (["\ud800"], "D142", "lone surrogate"),
    ],
)
def test_lists_that_are_no_labels(values: list[object], code: str, words: str) -> None:
    finding = labels_finding(values)
    assert finding is not None
    assert finding.code == code
    assert words in finding.message
    assert finding.fix


def test_lists_of_labels() -> None:
    for values in ([], ["a"], ["a", "a"], [1, 2.0], [True, False], [np.int64(1), 2]):
        assert labels_finding(values) is None
    assert labels_finding([1, 0], NAMES) is None
    finding = labels_finding([1, 2], NAMES)
    assert finding is not None and finding.code == "D217"


@pytest.mark.parametrize(
    "name",
    ["abc", "ABC", " abc ", "a\u200bbc", "\ufeffabc", "abc\u200e", "ａｂｃ", "abc\u00a0", "a\xadbc",
     "a\x00bc", "abc\ufe0f", "\u2060abc", "ab\u034fc"],
)  # fmt: skip
def test_spellings_of_one_label(name: str) -> None:
    assert label_key(name) == "abc"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("1", "1.0", True), ("1", "+1", True), ("01", "1.", True), ("１", "1", True),
        ("0", "00", True), ("1", "-1", False), ("1.1", "1.10", False), ("1.5", "1", False),
        ("1.0.0", "1", False), ("a b", "a\u00a0 b", True), ("a b", "ab", False),
        ("e\u0301", "é", True), ("क\u0941", "क", False), ("pos", "neg", False), ("1e0", "1", False),
    ],
)  # fmt: skip
def test_what_spelling_is(one: str, other: str, is_same: bool) -> None:
    assert (label_key(one) == label_key(other)) is is_same


@given(st.text(max_size=8))
def test_the_key_of_a_key_is_the_key(name: str) -> None:
    assert label_key(label_key(name)) == label_key(name)
    assert (label_text(name) is None) is (label_key(name) == "")


def test_kinds() -> None:
    assert [label_kind(v) for v in ("1", np.str_("a"))] == ["text"] * 2
    assert [label_kind(v) for v in (True, np.True_)] == ["boolean"] * 2
    assert [label_kind(v) for v in (1, 1.5, np.int8(1), Decimal(1))] == ["number"] * 4


def test_values_of_other_libraries() -> None:
    assert as_python(np.array([1, 2])) == [1, 2]
    assert as_python(NAType()) is None
    assert as_python("x") == "x"
    assert [is_list(v) for v in ([], (), set(), "ab", {"a": 1}, None)] == [True] * 3 + [False] * 3
    assert is_missing(None) and is_missing(float("nan")) and is_missing(-1, NAMES)
    assert not is_missing(-1) and not is_missing("") and not is_missing(0.0)


def test_what_is_not_seen_is_written_out() -> None:
    assert spelled("a b") == "a b"
    assert spelled("a\u00a0b\u200b打\t") == "a\\u00a0b\\u200b打\\u0009"


@pytest.mark.timeout(30)  # with several ways to match a zero this takes hours
def test_long_runs_of_zeros_are_read_once() -> None:
    zeros = "0" * 1_000_000
    assert label_key(f"{zeros}x") == f"{zeros}x"
    assert label_key(f"{zeros}1.{zeros}") == "1"
    assert label_key(zeros) == "0"
    assert label_key(f"1.{zeros}x") == f"1.{zeros}x"
