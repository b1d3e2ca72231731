from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.recipe.keys import known_keys
from tunesmith.recipe.problems import Described, describe, unusable_values
from tunesmith.recipe.settings import Recipe


def findings(values: dict[str, object]) -> list[Described]:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({"data": {"train": "x"}, **values})
    return [describe(detail) for detail in caught.value.errors()]


LEAVES = sorted(key[-1] for key in known_keys() if key[0] == "train" and len(key) == 2)


@given(st.sampled_from(LEAVES), st.data())
def test_a_misspelled_key_names_a_real_one(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    misspelled = name[:at] + name[at + 1 :]
    if misspelled in LEAVES or len(misspelled) < 4:
        return
    (error,) = findings({"train": {misspelled: 1}})
    assert error.code == "R101"
    assert any(leaf in error.remark for leaf in LEAVES)


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ({"train": {"evaluation_strategy": "epoch"}}, "here train.evaluate_every"),
        ({"learning_rate": 1}, "it belongs under train.learning_rate"),
        ({"trian": {}}, 'did you mean "train"'),
        ({"train": {"num_train_epochs": 3}}, "here train.epochs"),
    ],
)
def test_where_a_key_belongs(values: dict[str, object], remark: str) -> None:
    (error,) = findings(values)
    assert error.code == "R101"
    assert remark in error.remark


def test_a_strange_key_lists_the_known_ones() -> None:
    (error,) = findings({"train": {"zzzzz": 1}})
    assert "learning_rate" in (error.fix or "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"epochs": "three"}}, 'train.epochs cannot be "three": it must be a number'),
        ({"train": {"batch_size": 0}}, "train.batch_size cannot be 0: it must be more than 0"),
        ({"train": {"dropout": 1.5}}, "it must be less than 1"),
        ({"train": {"deterministic": "yes"}}, "it must be true or false"),
        ({"train": {"seed": None}}, "train.seed cannot be null: it must be a whole number"),
        ({"train": {"schedule": "linaer"}}, "choose from linear, cosine"),
        ({"train": {"enable": ["graph"]}}, "choose from varlen, graphs, device_data"),
        ({"train": "tickets.csv"}, "train holds keys of its own"),
        ({"data": {}}, 'the key "data.train" is missing'),
        ({"train": {"save_every": "3 parsecs"}}, "is not a duration"),
        ({"data": {"train": "x", "text": ""}}, "it must not be empty"),
        ({"train": {"freeze": {"a": 1}}}, "it must be a list"),
        ({"format": 2}, "choose from 1"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, object], message: str) -> None:
    error = findings(values)[0]
    assert message in error.message


def test_a_file_in_place_of_the_section() -> None:
    (error,) = findings({"train": "tickets.csv"})
    assert "data.train" in (error.fix or "")


SURROGATE = "half of a character (lone surrogate)"
DIGITS = "a number of more than 300 digits"


@pytest.mark.parametrize(
    ("values", "problems"),
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
    values: dict[str, object], problems: list[tuple[tuple[str, ...], str]]
) -> None:
    assert list(unusable_values(values)) == problems


@given(st.dictionaries(st.text(st.characters(codec="utf-8")),
                       st.text(st.characters(codec="utf-8"))
                       | st.integers(-(2**63), 2**64) | st.floats() | st.booleans()))  # fmt: skip
def test_everything_else_passes(values: dict[str, object]) -> None:
    assert not list(unusable_values(values))
    assert not list(unusable_values({"a": values, "b": [values]}))
