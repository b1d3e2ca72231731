from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from tunesmith.errors import RecipeError
from tunesmith.recipe import Recipe, TrainSettings, gather, key_named
from tunesmith.recipe.keys import known_keys
from tunesmith.recipe.renamed import RENAMED, RENAMED_FLAGS, RENAMED_KEYS

REMOVED_SINCE_4_57 = (
    "evaluation_strategy warmup_ratio group_by_length overwrite_output_dir logging_dir no_cuda "
    "use_mps_device save_safetensors half_precision_backend fp16_backend fp16_opt_level "
    "per_gpu_train_batch_size per_gpu_eval_batch_size adafactor include_inputs_for_metrics "
    "include_tokens_per_second push_to_hub_model_id push_to_hub_organization push_to_hub_token "
    "fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap torchdynamo jit_mode_eval "
    "tpu_num_cores tpu_metrics_debug ray_scope past_index mp_parameters "
    "use_legacy_prediction_loop _n_gpu"
).split()


def test_every_argument_of_transformers_has_an_answer() -> None:
    from transformers import TrainingArguments

    leaves = {key[-1] for key in known_keys()}
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert names - set(RENAMED) - leaves == set()


@pytest.mark.parametrize("name", REMOVED_SINCE_4_57)
def test_every_removed_argument_has_an_answer(name: str) -> None:
    assert RENAMED[name].remark(name)


def test_every_key_named_exists() -> None:
    for name, renamed in RENAMED.items():
        if renamed.key:
            assert tuple(renamed.key.split(".")) in known_keys(), name


def test_the_remark_tells_the_way_of_a_name() -> None:
    assert RENAMED["evaluation_strategy"].remark("evaluation_strategy") == (
        "became eval_strategy in transformers; here train.evaluate_every; for example 1 epoch"
    )


OLD = """\
model: x
data: {train: a.csv, normalise_labels: true}
track: wandb
train:
  best: f1
  fast_without: [packing]
options:
  mask_share: 0.2
  whole_words: true
  always: [a]
"""
NOW = {
    "data": {"train": "a.csv", "normalize_labels": True},
    "train": {"select_by": "f1", "disable": ("packing",)},
    "options": {"mlm_probability": 0.2, "whole_word_mask": True, "always_mask": ["a"]},
    "trackers": ("wandb",),
    "model": "x",
}


def test_every_old_key_leads_to_a_key_of_its_section() -> None:
    for old, new in RENAMED_KEYS.items():
        assert old[:-1] == new[:-1]
        assert old not in known_keys()
        assert new in known_keys() or new[0] == "options"
    assert set(RENAMED_FLAGS.values()) == {"--columns", "--normalize-labels"}


def test_a_recipe_file_with_old_keys_is_read_with_a_line_for_each(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(OLD)
    layers = gather(file=path, environment={})
    assert (
        layers.recipe().model_dump(include=set(NOW), exclude_unset=True).items()
        >= {key: value for key, value in NOW.items() if key != "train"}.items()
    )
    assert (layers.recipe().train.select_by, layers.recipe().train.disable) == ("f1", ("packing",))
    assert [str(notice).replace(str(tmp_path), "") for notice in layers.notices] == [
        "note R124 /recipe.yaml:3:1: track is now called trackers",
        "note R124 /recipe.yaml:2:22: data.normalise_labels is now called data.normalize_labels",
        "note R124 /recipe.yaml:5:3: train.best is now called train.select_by",
        "note R124 /recipe.yaml:6:3: train.fast_without is now called train.disable",
        "note R124 /recipe.yaml:8:3: options.mask_share is now called options.mlm_probability",
        "note R124 /recipe.yaml:9:3: options.whole_words is now called options.whole_word_mask",
        "note R124 /recipe.yaml:10:3: options.always is now called options.always_mask",
    ]


def test_problems_of_a_renamed_key_are_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {train: a.csv}\ntrain: {fast_without: [pack]}\n")
    layers = gather(file=path, environment={})
    with pytest.raises(RecipeError) as raised:
        layers.recipe()
    (problem,) = raised.value.problems
    assert (problem.code, str(problem.place)) == ("R104", f"{path}:2:23")
    assert "^^^^" in problem.evidence[1]


def test_flags_and_environment_with_old_keys() -> None:
    layers = gather(
        flags={("data", "train"): ("WHAT", "a.csv"), ("train", "best"): ("train.best", "f1")},
        sets=["options.always=[a]"],
        environment={"TUNESMITH_TRACK": "wandb"},
    )
    recipe = layers.recipe()
    assert (recipe.train.select_by, recipe.trackers) == ("f1", ("wandb",))
    assert recipe.options == {"always_mask": ["a"]}
    assert str(layers.origin("trackers")) == "environment: TUNESMITH_TRACK"
    assert [str(notice) for notice in layers.notices] == [
        "note R124 TUNESMITH_TRACK: track is now called trackers",
        "note R124 train.best: train.best is now called train.select_by",
        "note R124 --set options.always=[a]: options.always is now called options.always_mask",
    ]


def test_a_stronger_layer_wins_under_either_name(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {train: a.csv}\ntrain: {best: f1}\n")
    assert gather(file=path, sets=["train.select_by=mcc"]).recipe().train.select_by == "mcc"
    path.write_text("data: {train: a.csv}\ntrain: {select_by: f1}\n")
    assert gather(file=path, sets=["train.best=mcc"]).recipe().train.select_by == "mcc"


def test_both_names_at_once_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "data: {train: a.csv}\ntrain: {select_by: f1, best: f1}\ntrack: a\ntrackers: b\n"
    )
    with pytest.raises(RecipeError) as raised:
        gather(file=path, environment={})
    assert [(problem.code, str(problem.place)) for problem in raised.value.problems] == [
        ("R125", f"{path}:3:1"),
        ("R125", f"{path}:2:24"),
    ]
    assert raised.value.problems[1].fix == "Remove train.best."
    with pytest.raises(RecipeError, match="R125"):
        gather(sets=["track=a", "trackers=a"], environment={})


def test_sections_made_in_python_take_old_names() -> None:
    with pytest.warns(FutureWarning) as caught:
        recipe = Recipe(
            data={"train": "a.csv", "normalise_labels": True},  # type: ignore[arg-type]
            train=TrainSettings(best="f1"),  # type: ignore[call-arg]
            track="wandb",  # type: ignore[call-arg]
            options={"always": ["a"]},
        )
    assert recipe.data.normalize_labels
    assert (recipe.train.select_by, recipe.trackers) == ("f1", ("wandb",))
    assert recipe.options == {"always_mask": ["a"]}
    assert {warning.filename for warning in caught} == {__file__}
    assert str(caught[0].message) == "R124: train.best is now called train.select_by"
    assert not gather(recipe=recipe, environment={}).notices
    with pytest.raises(ValidationError, match=r"train\.best and train\.select_by are the same"):
        TrainSettings(best="f1", select_by="f1")  # type: ignore[call-arg]


def test_an_old_name_alone_names_its_key() -> None:
    assert key_named("best") == "train.select_by"
    assert key_named("train.fast-without") == "train.disable"
    assert key_named("track") == "trackers"


def test_no_page_uses_an_old_key_or_flag() -> None:
    """Code blocks included; only the lists of changes name them."""
    root = Path(__file__).parents[2]
    keys = [".".join(old) for old in RENAMED_KEYS if len(old) > 1]
    names = "|".join(map(re.escape, [*keys, *RENAMED_FLAGS, "--set track"]))
    pattern = re.compile(rf"(?:{names})\b")
    for page in [*root.glob("README*.md"), *(root / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        if page.name == "recipe.md":
            text = re.split("## (?:Renamed keys|改名的键)", text)[0]
        if not page.is_relative_to(root / "docs" / "decisions"):
            assert not pattern.findall(text), page
