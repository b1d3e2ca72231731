from __future__ import annotations

from tunesmith.recipe.nested import flatten, lookup, merge, put, without


def test_paths_of_values() -> None:
    values = {"a": 1, "b": {"c": None, "d": {"e": 2}}}
    assert list(flatten(values)) == [("a",), ("b", "c"), ("b", "d")]


def test_null_is_a_value() -> None:
    values = {"a": {"b": None}}
    assert lookup(values, ("a", "b")) == (True, None)
    assert lookup(values, ("a", "c")) == (False, None)
    assert lookup(values, ("a", "b", "c")) == (False, None)


def test_a_value_on_the_way_becomes_a_section() -> None:
    values: dict[str, object] = {"a": 1}
    put(values, ("a", "b"), 2)
    put(values, ("c",), 3)
    assert values == {"a": {"b": 2}, "c": 3}


def test_what_is_removed_is_a_copy() -> None:
    values = {"a": {"b": 1, "c": 2}, "d": {"e": {"f": 3}}, "g": 4}
    assert without(values, {("a", "b"), ("d", "e", "f"), ("g",), ("x", "y")}) == {
        "a": {"c": 2}, "d": {"e": {}},
    }  # fmt: skip
    assert values == {"a": {"b": 1, "c": 2}, "d": {"e": {"f": 3}}, "g": 4}


def test_sections_are_merged_and_values_replaced() -> None:
    inner = {"b": 1, "c": 2}
    below: dict[str, object] = {"a": inner, "d": 1}
    merge(below, {"a": {"c": 3}, "d": {"e": 4}, "f": None})
    assert below == {"a": {"b": 1, "c": 3}, "d": {"e": 4}, "f": None}
    assert inner == {"b": 1, "c": 2}
