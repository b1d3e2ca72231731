from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.errors import RecipeError
from tunesmith.recipe import DataSettings, Recipe, TrainSettings, gather
from tunesmith.recipe.layers import KINDS, Layers
from tunesmith.text import escape_controls


def layered(
    tmp_path: Path, *, file: str = "", sets: list[str] | None = None, **variables: str
) -> Layers:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {train: a.csv}\n" + file, encoding="utf-8")
    flags = {("train", "warmup"): ("--warmup", "10%")}
    return gather(file=path, flags=flags, sets=sets or [], environment=variables)


def test_the_strongest_layer_wins(tmp_path: Path) -> None:
    """One key, set in one layer more each time."""
    key = ("train", "batch_size")
    path = tmp_path / "r.yaml"
    path.write_text("data: {train: a.csv}\n")

    def value(**arguments: object) -> tuple[object, str]:
        layers = gather(environment=arguments.pop("environment", {}), **arguments)  # type: ignore[arg-type]
        layers = layers.with_automatic({"train": {"batch_size": 2}}, {key: "why"})
        return layers.recipe().train.batch_size, layers.origin(*key).kind

    train = ["data.train=x"]
    assert value(sets=train) == (8, "preset")
    assert value(sets=[*train, "preset=null"]) == (2, "automatic")
    path.write_text("data: {train: a.csv}\ntrain: {batch_size: 3}\n")
    assert value(file=path) == (3, "recipe")
    environment = {"TUNESMITH_TRAIN__BATCH_SIZE": "4"}
    assert value(file=path, environment=environment) == (4, "environment")
    flags = {key: ("--batch-size", 5)}
    assert value(file=path, environment=environment, flags=flags) == (5, "flag")
    sets = ["train.batch_size=6"]
    assert value(file=path, environment=environment, flags=flags, sets=sets) == (6, "set")
    assert KINDS.index("set") == len(KINDS) - 1


def test_every_origin_has_a_place(tmp_path: Path) -> None:
    layers = layered(
        tmp_path, file="train: {seed: 1}\n", sets=["train.epochs=2"], TUNESMITH_MODEL="m"
    )
    assert str(layers.origin("train", "seed")).endswith("recipe.yaml:2:15")
    assert str(layers.origin("train", "epochs")) == "set: --set train.epochs=2"
    assert str(layers.origin("model")) == "environment: TUNESMITH_MODEL"
    assert str(layers.origin("train", "warmup")) == "flag: --warmup"
    assert str(layers.origin("train", "weight_decay")) == "preset: course"
    assert str(layers.origin("train", "log_every")) == "default"


def test_null_is_a_value(tmp_path: Path) -> None:
    layers = layered(tmp_path, file="train: {select_by: null}\n")
    layers = layers.with_automatic({"train": {"select_by": "f1"}}, {})
    assert layers.recipe().train.select_by is None
    assert layers.holds("train", "select_by")


def test_a_value_is_left_out_of_every_layer(tmp_path: Path) -> None:
    layers = layered(
        tmp_path, file="model: x\ntrain: {select_by: f1, seed: 5}\n", sets=["train.select_by=mcc"]
    )
    without = layers.without("train", "select_by")
    assert not without.holds("train", "select_by")
    assert (without.value("train", "seed"), without.value("model")) == (5, "x")
    assert layers.value("train", "select_by") == "mcc"
    assert not layers.without("model").holds("model")
    assert layers.without("model", "inner").value("model") == "x"
    assert layers.without("data", "sheet").value("train", "select_by") == "mcc"


def test_all_problems_of_all_layers_at_once(tmp_path: Path) -> None:
    layers = layered(
        tmp_path,
        file="train:\n  evaluation_strategy: epoch\n  epochs: three\n",
        sets=["train.epocs=1"],
        TUNESMITH_TRAIN__SEED="x",
    )
    with pytest.raises(RecipeError) as caught:
        layers.recipe()
    text = str(caught.value)
    assert [problem.code for problem in caught.value.problems].count("R101") == 2
    assert "recipe.yaml:3:3" in text
    assert "  3 |   evaluation_strategy: epoch\n    |   ^^^^^^^^^^^^^^^^^^^" in text
    assert "recipe.yaml:4:11" in text
    assert "--set train.epocs=1" in text
    assert "TUNESMITH_TRAIN__SEED" in text


def test_a_union_is_reported_once(tmp_path: Path) -> None:
    layers = layered(tmp_path, sets=["data.label={a: 1}"])
    with pytest.raises(RecipeError) as caught:
        layers.recipe()
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("written", ["train.epochs", "=1", "train..epochs=1", "a.=1"])
def test_set_wants_key_and_value(written: str) -> None:
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        gather(sets=[written], environment={})


def test_an_unknown_preset_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match='did you mean "course"'):
        layered(tmp_path, file="preset: corse\n")


def test_reserved_variables_are_no_keys() -> None:
    variables = {"TUNESMITH_LANG": "zh", "TUNESMITH_CACHE": "/x", "OTHER": "1"}
    variables |= {"TUNESMITH_CACHE_SIZE": "20GB"}
    assert gather(sets=["data.train=x"], environment=variables).recipe()
    with pytest.raises(RecipeError, match="TUNESMITH_MODLE"):
        gather(sets=["data.train=x"], environment={"TUNESMITH_MODLE": "x"}).recipe()


def test_a_recipe_from_python_leaves_room_for_the_automatic() -> None:
    recipe = Recipe(data=DataSettings(train="a"), train=TrainSettings(epochs=1))
    layers = gather(recipe=recipe, environment={}).with_automatic(
        {"data": {"text": "body"}, "train": {"epochs": 9}}, {}
    )
    merged = layers.recipe()
    assert merged.data.text == "body"
    assert merged.train.epochs == 1
    assert layers.origin("train", "epochs").kind == "recipe"


def test_a_problem_is_reported_at_its_value(tmp_path: Path) -> None:
    layers = layered(tmp_path, file="model: x\n")
    assert str(layers.problem("M1", "no", "model").place).endswith("recipe.yaml:2:8")
    assert str(layers.problem("M1", "no", "train", "warmup").place) == "--warmup"
    assert layers.problem("M1", "no", "train", "log_every").place is None


def test_what_no_key_can_take_is_reported_at_its_layer() -> None:
    for layers, place in (
        (gather(sets=["data.train=a", "task=x\ud800"], environment={}), "--set task=x\\ud800"),
        (gather(sets=["data.train=a"], environment={"TUNESMITH_MODEL": "\0"}), "TUNESMITH_MODEL"),
        (gather(flags={("model",): ("--model", "\ud800")}, environment={}), "--model"),
    ):
        with pytest.raises(RecipeError) as caught:
            layers.recipe()
        assert [problem.code for problem in caught.value.problems] == ["R139"]
        assert escape_controls(str(caught.value.problems[0].place)) == place


def test_of_many_unknown_keys_the_first_are_reported() -> None:
    layers = gather(sets=["data.train=a", *(f"k{i}=1" for i in range(100))], environment={})
    with pytest.raises(RecipeError) as caught:
        layers.recipe()
    assert len(caught.value.problems) == 40


def test_keys_are_not_nested_deeply() -> None:
    with pytest.raises(RecipeError, match="R108"):
        gather(sets=[".".join("a" * 9) + "=1"], environment={})
    assert gather(sets=[".".join("a" * 8) + "=1"], environment={}).holds(*"aaaaaaaa")
    deep = {"TUNESMITH_" + "__".join("a" * 3000): "1"}
    with pytest.raises(RecipeError, match="R101"):
        gather(sets=["data.train=a"], environment=deep).recipe()


@pytest.mark.parametrize("preset", ["[a]", "{a: 1}", "1", "true"])
def test_a_preset_is_a_word(preset: str) -> None:
    with pytest.raises(RecipeError, match=r"R104.*preset"):
        gather(sets=["data.train=a", f"preset={preset}"], environment={})


def test_null_can_be_read_as_unset() -> None:
    layers = gather(sets=["task=null", "data.text=null", "data.train=a", "model=m"],
                    environment={"TUNESMITH_TASK": "x"})  # fmt: skip
    without = layers.without_nulls([("task",), ("data", "text"), ("model",), ("data", "label")])
    assert not without.holds("task") and not without.holds("data", "text")
    assert without.value("model") == "m" and without.value("data", "train") == "a"
    assert layers.holds("task") and layers.value("task") is None
    assert without.without_nulls([("task",)]) is without


def test_more_sets_win(tmp_path: Path) -> None:
    layers = layered(tmp_path, sets=["train.seed=1", "train.epochs=2"])
    more = layers.with_sets("train.seed=7")
    assert (more.value("train", "seed"), more.value("train", "epochs")) == (7, 2)
    assert str(more.origin("train", "seed")) == "set: --set train.seed=7"
    assert str(more.origin("train", "epochs")) == "set: --set train.epochs=2"
    assert layers.value("train", "seed") == 1
