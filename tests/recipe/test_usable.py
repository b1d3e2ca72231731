from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipe.usable import unusable_values

SURROGATE = "half of a character (lone surrogate)"
DIGITS = "a number of more than 300 digits"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"a": "x\ud800"}, [(("a",), SURROGATE)]),
        ({"a": "\udfff"}, [(("a",), SURROGATE)]),
        ({"a": {"b": "\0"}, "model": "x"}, []),
        ({"model": "a\0"}, [(("model",), "the character U+0000")]),
        ({"data": {"train": ["a", "b\0"]}}, [(("data", "train"), "the character U+0000")]),
        ({"data": {"train": ["a\udcff", 5], "test": "b\udc80"}}, []),
        ({"data": {"train": "a\ud800"}}, [(("data", "train"), SURROGATE)]),
        ({"data": {"text": "a\udcff"}}, [(("data", "text"), SURROGATE)]),
        ({"\ud800": 1}, [(("\ud800",), SURROGATE)]),
        ({"a": ["x", "\ud800", "\0"]}, [(("a",), SURROGATE)]),
        ({"a": [["x"], ["\ud800"]]}, [(("a",), SURROGATE)]),
        ({"a": [{"b": {"c": "\ud800"}}]}, [(("a",), SURROGATE)]),
        ({"a": (1, 2**1024)}, [(("a",), DIGITS)]),
        ({"a": -(2**1024), "b": 2**1024}, [(("a",), DIGITS), (("b",), DIGITS)]),
        ({"a": "x" * 10_001}, [(("a",), "a text of 10001 characters; at most 10000 are read")]),
        ({"a": "x" * 10_000, "b": 2**1023, "c": True, "d": None, "e": 1e308}, []),
        ({"a": "打\U0001f600\ue000\u202e\t", "b": {}, "c": []}, []),
    ],
)
def test_what_no_key_can_take(
    values: dict[str, object], found: list[tuple[tuple[str, ...], str]]
) -> None:
    assert list(unusable_values(values)) == found


@given(st.dictionaries(st.text(st.characters(codec="utf-8")),
                       st.text(st.characters(codec="utf-8"))
                       | st.integers(-(2**63), 2**64) | st.floats() | st.booleans()))  # fmt: skip
def test_everything_else_passes(values: dict[str, object]) -> None:
    assert not list(unusable_values(values))
    assert not list(unusable_values({"a": values, "b": [values]}))
