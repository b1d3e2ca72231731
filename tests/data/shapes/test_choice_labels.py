"""Labels as one value, whatever they are written as."""

from __future__ import annotations

import pytest

from tunesmith.data.shapes.choice_labels import (
    Place,
    is_missing,
    key_of,
    number_of,
    place_of_key,
    place_of_text,
    plain_label,
)
from tunesmith.data.shapes.choice_lists import Listed

THREE = Listed(["up", "down", "left"])


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (2.0, 2), ("2.0", "2"), ([1], 1), ([["B"]], "B"), ([0, 1, 0], Place(1)),
        (["1", "0", "0"], Place(0)), ([0, 1], [0, 1]), ([1, 1, 0], [1, 1, 0]), ([], []),
        (1.5, 1.5), ("B.0", "B.0"), (True, True), (None, None), ("A", "A"),
    ],
)  # fmt: skip
def test_a_label_is_one_value(value: object, plain: object) -> None:
    result = plain_label(value, THREE)
    assert result == plain and type(result) is type(plain)


@pytest.mark.parametrize(
    ("value", "key", "number"),
    [("(b)", "B", None), ("2", "2", 2), (2, "2", 2), (True, None, None), ("maybe", None, None)],
)
def test_keys_are_letters_or_numbers(value: object, key: str | None, number: int | None) -> None:
    assert key_of(value) == key and number_of(value) == number


def test_places() -> None:
    assert place_of_text(" down ", THREE) == 1 and place_of_text("right", THREE) is None
    assert place_of_key("C", THREE, 0) == 2 and place_of_key("D", THREE, 0) is None
    assert place_of_key("3", THREE, 1) == 2 and place_of_key("left", THREE, 0) is None
    keyed = Listed(["up", "down"], ("1", "2"))
    assert place_of_key("2", keyed, 0) == 1 and place_of_key("0", keyed, 0) is None


@pytest.mark.parametrize("value", [None, "", " -1 ", -1, -1.0, float("nan")])
def test_a_label_that_says_there_is_none(value: object) -> None:
    assert is_missing(value) and not is_missing(0)
