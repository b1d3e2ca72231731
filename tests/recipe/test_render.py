from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipe import DataSettings, Duration, Percentage, Recipe, TrainSettings, gather
from tunesmith.recipe.document import parse_document
from tunesmith.recipe.keys import known_keys
from tunesmith.recipe.layers import Layer, Layers
from tunesmith.recipe.render import as_written, json_schema, to_yaml

words = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12
).filter(lambda text: text.strip() != "" and not text.strip().endswith("%"))
data = st.builds(
    DataSettings,
    train=words | st.lists(words, min_size=1, max_size=3).map(tuple),
    validation=st.none() | words | st.integers(1, 99).map(lambda p: Percentage.parse(f"{p}%")),
    text=st.none() | words,
    label=st.none() | words | st.lists(words, min_size=1, max_size=3).map(tuple),
    labels=st.none() | st.lists(words, min_size=1, max_size=4).map(tuple),
    delimiter=st.none() | st.sampled_from([",", ";", "\t", "|"]),
)
train = st.builds(
    TrainSettings,
    learning_rate=st.floats(1e-9, 10, allow_subnormal=False),
    epochs=st.floats(0.01, 100),
    warmup=st.none() | st.integers(1, 99).map(lambda p: Percentage.parse(f"{p}%")),
    evaluate_every=st.none() | st.integers(1, 999).map(lambda n: Duration(n, "steps")),
    select_by=st.none() | words,
    dropout=st.none() | st.floats(0, 0.99),
    freeze=st.lists(words, max_size=2).map(tuple),
)
recipes = st.builds(Recipe, data=data, train=train, model=st.none() | words)


def read(text: str) -> Recipe:
    document = parse_document(text, name="r")
    return Layers((Layer("recipe", document.values),), document).recipe()


@settings(max_examples=60)
@given(recipes)
def test_what_is_written_is_read_again(recipe: Recipe) -> None:
    assert read(to_yaml(recipe)) == recipe


def test_every_default_is_visible_with_a_comment() -> None:
    text = to_yaml(Recipe(data=DataSettings(train="a.csv")))
    for key in known_keys():
        assert f"{key[-1]}:" in text
    for line in text.splitlines():
        assert line.endswith(":") or " # " in line
    assert "learning_rate: 5.0e-05" in text  # also readers of YAML 1.1 see a number


def test_a_remark_says_why() -> None:
    text = to_yaml(Recipe(data=DataSettings(train="a")), remarks={("model",): "84 % Chinese"})
    assert "# 84 % Chinese | Pretrained model" in text


@given(st.text(max_size=40))
def test_any_text_is_read_back_as_value_and_hurts_no_line_as_remark(text: str) -> None:
    recipe = Recipe(data=DataSettings(train="a", text=text or "a"))
    written = to_yaml(recipe, remarks={("model",): text})
    assert len(written.splitlines()) == len(to_yaml(recipe).splitlines())
    again = Recipe.model_validate(parse_document(written, name="").values)
    assert again.data.text == recipe.data.text


def test_one_value_on_one_line() -> None:
    assert as_written("a: b") == '"a: b"'
    assert as_written("打印机") == "打印机"
    assert as_written("glue/mrpc") == "glue/mrpc"
    assert as_written("no") == '"no"'
    assert as_written(["a", 1]) == "[a, 1]"
    assert as_written(None) == "null"
    assert as_written(5e-5) == "5.0e-05"
    assert as_written(3.0) == "3"
    assert as_written("12") == '"12"'
    assert as_written("?0") == '"?0"'
    assert as_written("*.layer.0.*") == '"*.layer.0.*"'  # a star would begin an alias
    assert as_written("null") == '"null"'


def test_the_schema_knows_every_key() -> None:
    schema: dict[str, Any] = json.loads(json.dumps(json_schema()))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Recipe.model_fields)
    for section, kind in (("DataSettings", DataSettings), ("TrainSettings", TrainSettings)):
        described = schema["$defs"][section]
        assert set(described["properties"]) == set(kind.model_fields)
        assert all(prop["description"] for prop in described["properties"].values())


def test_the_recipe_of_the_readme_is_valid(tmp_path: Path) -> None:
    written = """
task: text-classification
model: bert-base-uncased          # Hub id, local folder, or embedded:mini
preset: course
data:
  train: tickets.csv              # or glue/mrpc with split names below
  validation: 10%                 # a share, a file, or a split name
  test: null
  text: sentence1
  text_pair: sentence2
  label: label
train: {epochs: 3, batch_size: 8, learning_rate: 5.0e-5, save_every: 10 minutes, \
evaluate_every: epoch, select_by: f1, seed: 42}
"""
    path = tmp_path / "r.yaml"
    path.write_text(written)
    recipe = gather(file=path, environment={}).recipe()
    assert recipe.train.save_every == Duration(10, "minutes")
    assert recipe.data.validation == Percentage(0.1)
