from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import Place
from tunesmith.inputs.text_checks import TextColumn, column_problems, odd_text, swapped_problems

PLACE = Place("a.csv")


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1))
def test_plain_text_is_not_odd(text: str) -> None:
    assert odd_text(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("打印机坏了", None),
        ("two\nlines\tand a tab", None),
        ("family 👩‍👩‍👧", None),
        ("می‌خواهم", None),
        ("\x01\x02", "D312"),
        ("a\u202eb", "D321"),
        ("a\u200bb", "D321"),
        ("a" * 1_000_001, "D150"),
    ],
)
def test_odd_texts(text: str, code: str | None) -> None:
    finding = odd_text(text)
    assert (finding.code if finding else None) == code


def column(*texts: str) -> TextColumn:
    made = TextColumn()
    for text in texts:
        made.add(text)
    return made


@pytest.mark.parametrize(
    ("texts", "codes"),
    [
        ([f"text number {i}" for i in range(30)], []),
        ([f"{i}.5" for i in range(30)], ["D313"]),
        ([f"TX-{i:05}" for i in range(30)], ["D315"]),
        (["the same"] * 30, ["D314"]),
        (["word"] + [f"x{i}" for i in range(10)], []),  # too few rows to judge by
    ],
)
def test_columns_that_hold_no_text(texts: list[str], codes: list[str]) -> None:
    assert [p.code for p in column_problems({"text": column(*texts)}, PLACE)] == codes


def test_one_constant_side_of_a_pair_is_only_odd() -> None:
    pair = {"a": column(*["same"] * 30), "b": column(*(f"text {i}" for i in range(30)))}
    (problem,) = column_problems(pair, PLACE)
    assert (problem.code, str(problem.severity)) == ("D314", "warning")


def test_questions_that_changed_places() -> None:
    requested = [f"who is number {i}?" for i in range(30)]
    said = [f"that is number {i}." for i in range(30)]
    train = {"a": column(*requested), "b": column(*said)}
    assert not list(swapped_problems(train, {"a": column(*requested), "b": column(*said)}, PLACE))
    (problem,) = swapped_problems(train, {"a": column(*said), "b": column(*requested)}, PLACE)
    assert problem.code == "D333"


def test_ids_are_of_ascii_letters() -> None:
    ids = column(*(f"order-{i:04}" for i in range(20)))
    assert [p.code for p in column_problems({"id": ids}, PLACE)] == ["D315"]
    chinese = column(*(f"第{i}天快递还没有到" for i in range(20)))
    assert not list(column_problems({"text": chinese}, PLACE))
    japanese = column(*(f"{i}日も待ちました" for i in range(20)))
    assert not list(column_problems({"text": japanese}, PLACE))
