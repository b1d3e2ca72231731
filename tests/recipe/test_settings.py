from __future__ import annotations

import pytest
from pydantic import ValidationError

from tunesmith.recipe.layers import gather
from tunesmith.recipe.settings import (
    DEFAULT_PRESET,
    PRESET_DESCRIPTIONS,
    PRESETS,
    DataSettings,
    Recipe,
    TrainSettings,
    description_of,
)


def test_a_recipe_is_frozen() -> None:
    recipe = Recipe(data=DataSettings(train="a.csv"))
    with pytest.raises(ValidationError):
        recipe.model = "x"  # type: ignore[misc]


def test_every_field_says_what_it_means() -> None:
    for section in (Recipe, DataSettings, TrainSettings):
        for name in section.model_fields:
            description = description_of(section, name)
            assert description, f"{section.__name__}.{name} has no description"
            assert description[0].isupper() and "\n" not in description, name
            assert description.endswith((".", "*")), name


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
        {"seed": 2**63},
        {"epochs": float("inf")},
        {"epochs": 1e308},
        {"epochs": 9e-7},
        {"max_steps": 10**9 + 1},
        {"batch_size": 10**6 + 1},
        {"micro_batch_size": 10**6 + 1},
        {"eval_batch_size": 10**6 + 1},
        {"learning_rate": float("inf")},
        {"learning_rate": 1001.0},
        {"learning_rate": 1e-13},
        {"weight_decay": float("inf")},
        {"weight_decay": 1001.0},
        {"adam_epsilon": 1e-31},
        {"adam_epsilon": 1.1},
        {"max_grad_norm": float("inf")},
        {"max_grad_norm": 1e-13},
        {"max_length": 10**9 + 1},
        {"keep_checkpoints": 10**6 + 1},
        {"log_every": 10**9 + 1},
        {"warmup": float("inf")},
        {"warmup": float("nan")},
        {"warmup": 10**9 + 1},
        {"warmup": 1e-10},
        {"warmup": 1.5},
        {"early_stopping": float("nan")},
        {"early_stopping": 10**400},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_does_not_fit(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainSettings.model_validate(wrong)


def test_the_bounds_themselves_fit() -> None:
    least = {"seed": 0, "epochs": 1e-6, "max_steps": 1, "batch_size": 1, "learning_rate": 1e-12,
             "weight_decay": 0.0, "adam_epsilon": 1e-30, "max_grad_norm": 1e-12, "warmup": 1e-9,
             "keep_checkpoints": 1, "log_every": 1, "max_length": 1,
             "early_stopping": 1}  # fmt: skip
    most = {"seed": 2**63 - 1, "epochs": 1e6, "max_steps": 10**9, "batch_size": 10**6,
            "micro_batch_size": 10**6, "eval_batch_size": 10**6, "learning_rate": 1e3,
            "weight_decay": 1e3, "adam_epsilon": 1.0, "max_grad_norm": 1e12, "warmup": 10**9,
            "keep_checkpoints": 10**6, "log_every": 10**9, "max_length": 10**9,
            "early_stopping": 10**9}  # fmt: skip
    for values in (least, most):
        settings = TrainSettings.model_validate(values)
        assert {key: getattr(settings, key) for key in values if key not in BY_UNIT} == {
            key: value for key, value in values.items() if key not in BY_UNIT
        }
    assert DataSettings(train="a", seed=2**63 - 1).seed == 2**63 - 1


BY_UNIT = ("warmup", "early_stopping")


@pytest.mark.parametrize(
    "wrong",
    [{"train": []}, {"train": ""}, {"train": [""]}, {"train": "a", "seed": 2**63},
     {"train": "a", "validation": []}, {"train": "a", "test": ""}],
    ids=str,
)  # fmt: skip
def test_files_have_names(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSettings.model_validate(wrong)


def test_course_is_exactly_what_transformers_defaults_to() -> None:
    from transformers import TrainingArguments

    theirs = TrainingArguments("unused", use_cpu=True)
    ours = gather(sets=["data.train=x"], environment={}).recipe().train
    assert ours.epochs == theirs.num_train_epochs
    assert ours.batch_size == theirs.per_device_train_batch_size
    assert ours.learning_rate == theirs.learning_rate
    assert ours.schedule == theirs.lr_scheduler_type
    assert (ours.warmup, theirs.warmup_steps) == (None, 0)
    assert ours.weight_decay == theirs.weight_decay
    assert ours.adam_beta1 == theirs.adam_beta1
    assert ours.adam_beta2 == theirs.adam_beta2
    assert ours.adam_epsilon == theirs.adam_epsilon
    assert ours.max_grad_norm == theirs.max_grad_norm
    assert ours.seed == theirs.seed
    assert (ours.precision, theirs.bf16, theirs.fp16) == ("fp32", False, False)


def test_every_preset_is_valid_and_explained() -> None:
    assert set(PRESETS) == set(PRESET_DESCRIPTIONS)
    assert DEFAULT_PRESET in PRESETS
    for name in PRESETS:
        assert isinstance(
            gather(sets=["data.train=x", f"preset={name}"], environment={}).recipe(), Recipe
        )
