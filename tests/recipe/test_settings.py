from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunesmith.recipe.settings import DataSettings, Recipe, TrainSettings


def test_a_recipe_is_frozen() -> None:
    recipe = Recipe(data=DataSettings(train="a.csv"))
    with pytest.raises(ValidationError):
        recipe.model = "x"  # type: ignore[misc]


def test_every_field_says_what_it_means() -> None:
    for section in (Recipe, DataSettings, TrainSettings):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name} has no description"
            assert field.description[0].isupper(), name
            assert field.description.endswith((".", "*")), name


def test_class_names_are_words_also_where_yaml_reads_numbers() -> None:
    data = DataSettings.model_validate({"train": "a", "labels": [0, 1.5, True, "x"], "text": 3})
    assert data.labels == ("0", "1.5", "true", "x")
    assert data.text == "3"


def test_one_name_is_a_list_of_one() -> None:
    assert TrainSettings.model_validate({"freeze": "embeddings"}).freeze == ("embeddings",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": "3"},
        {"batch_size": 8.0},
        {"batch_size": True},
        {"learning_rate": float("nan")},
        {"dropout": 1.0},
        {"precision": "fp16"},
        {"seed": -1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_does_not_fit(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainSettings.model_validate(wrong)
