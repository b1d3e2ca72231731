from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.profile import as_number, as_text, profile, script_fractions
from tunesmith.data.readers.memory import Memory


def test_columns_are_described() -> None:
    records = [
        {"text": f"some words {i}", "label": "ab"[i % 2], "score": str(i / 2), "tags": ["x", "y"]}
        for i in range(10)
    ]
    records.append({"text": "", "label": None, "score": "", "tags": []})  # type: ignore[dict-item]
    result = profile(Memory.of_records(records, "m"))
    assert result.num_rows == 11
    label, score, tags = (result.column(name) for name in ("label", "score", "tags"))
    assert label is not None and label.distinct == 2 and label.values == 10
    assert score is not None and score.is_numeric and score.num_fractions == 5
    assert tags is not None and tags.num_lists == 11 and tags.counts["x"] == 10
    assert result.column("none") is None


def test_a_sample_is_enough() -> None:
    result = profile(Memory.of_records([{"text": "a"}] * 50, "m"), rows=20)
    assert result.num_rows == 20


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_numbers_however_they_are_written(number: float) -> None:
    assert as_number(number) == float(number)
    assert as_number(f" {number!r} ") == float(number)


@pytest.mark.parametrize("word", ["nan", "inf", "1_000", "1,234", "", "x", True, None, "0x10"])
def test_what_is_no_number(word: object) -> None:
    assert as_number(word) is None


@pytest.mark.timeout(30)  # with two ways to match a digit this takes hours
def test_long_runs_of_digits_are_read_once() -> None:
    digits = "1" * 1_000_000
    assert as_number(f"{digits}x") is None
    assert as_number(f".{digits}") == float(f".{digits}")
    assert as_number(f"1.{digits}e-2") == float(f"1.{digits}e-2")
    assert as_number(digits) is None  # beyond the largest float
    assert as_number(f"{'0' * 1_000_000}7.") == 7.0
    assert as_number("1.5.") is None and as_number(".") is None


def test_numbers_that_python_does_not_write_have_a_text() -> None:
    huge = 10**5_000
    assert as_text(huge) == "a number of thousands of digits"
    assert as_text([huge]) == as_text(-huge) == as_text(huge)
    assert as_text(10**4_000) == "1" + "0" * 4_000
    assert as_text([1, "a"]) == "[1, 'a']"
    assert as_number(huge) is None


def test_scripts() -> None:
    assert script_fractions(["hello", "world 123"])["latin"] == 1
    assert script_fractions(["打印机坏了"])["chinese"] == 1
    assert script_fractions(["привет"])["other"] == 1
    assert script_fractions(["", "12"]) == {"latin": 0, "chinese": 0, "other": 0}
    mixed = script_fractions(["ab打印"])
    assert mixed["latin"] == mixed["chinese"] == 0.5
