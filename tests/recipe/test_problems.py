from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.recipe.problems import Described, describe, known_keys, section_at
from tunesmith.recipe.settings import Recipe, TrainSettings


def findings(values: dict[str, object]) -> list[Described]:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({"data": {"train": "x"}, **values})
    return [describe(detail) for detail in caught.value.errors()]


def test_keys_and_sections() -> None:
    assert ("train", "epochs") in known_keys()
    assert section_at(("train",)) is TrainSettings
    assert section_at(("train", "epochs")) is None


LEAVES = sorted(key[-1] for key in known_keys() if key[0] == "train" and len(key) == 2)


@given(st.sampled_from(LEAVES), st.data())
def test_a_misspelt_key_names_a_real_one(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    misspelt = name[:at] + name[at + 1 :]
    if misspelt in LEAVES or len(misspelt) < 4:
        return
    (found,) = findings({"train": {misspelt: 1}})
    assert found.code == "R101"
    assert any(leaf in found.remark for leaf in LEAVES)


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ({"train": {"evaluation_strategy": "epoch"}}, "here train.evaluate_every"),
        ({"learning_rate": 1}, "it stands under train.learning_rate"),
        ({"trian": {}}, 'did you mean "train"'),
        ({"train": {"num_train_epochs": 3}}, "here train.epochs"),
    ],
)
def test_where_a_key_belongs(values: dict[str, object], remark: str) -> None:
    (found,) = findings(values)
    assert found.code == "R101"
    assert remark in found.remark


def test_a_strange_key_lists_the_known_ones() -> None:
    (found,) = findings({"train": {"zzzzz": 1}})
    assert "learning_rate" in (found.fix or "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"epochs": "three"}}, 'train.epochs cannot be "three": it must be a number'),
        ({"train": {"batch_size": 0}}, "train.batch_size cannot be 0: it must be more than 0"),
        ({"train": {"dropout": 1.5}}, "it must be less than 1"),
        ({"train": {"deterministic": "yes"}}, "it must be true or false"),
        ({"train": {"seed": None}}, "train.seed cannot be null: it must be a whole number"),
        ({"train": {"schedule": "linaer"}}, "choose from linear, cosine"),
        ({"train": "tickets.csv"}, "train holds keys of its own"),
        ({"data": {}}, 'the key "data.train" is missing'),
        ({"train": {"save_every": "3 parsecs"}}, "is not a duration"),
        ({"data": {"train": "x", "text": ""}}, "it must not be empty"),
        ({"train": {"freeze": {"a": 1}}}, "it must be a list"),
        ({"format": 2}, "choose from 1"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, object], message: str) -> None:
    found = findings(values)[0]
    assert message in found.message


def test_a_file_where_the_section_stands() -> None:
    (found,) = findings({"train": "tickets.csv"})
    assert "data.train" in (found.fix or "")
