"""From a recipe to rows fit to train on, and the answers to bad input, before any model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from tunesmith.data.open import from_python
from tunesmith.errors import Place, Problem, TunesmithError
from tunesmith.inputs import ValidatedInputs, resolve_inputs, validate_inputs
from tunesmith.inputs.resolve import Automatic, at_key, joined
from tunesmith.recipe import Percentage, gather

MODEL = "model=embedded:mini"


def checked(*sets: str, data: object = None) -> ValidatedInputs:
    layers = gather(sets=[MODEL, *sets], environment={})
    return validate_inputs(resolve_inputs(layers, None if data is None else from_python(data)))


def reported(*sets: str, data: object = None) -> tuple[str, int]:
    with pytest.raises(TunesmithError) as caught:
        checked(*sets, data=data)
    return str(caught.value), caught.value.exit_code


def test_what_is_left_out_is_filled_in_with_its_reason(tickets: Path) -> None:
    result = checked(f"data.train={tickets}")
    recipe = result.recipe
    assert recipe.task == "text-classification"
    assert (recipe.data.text, recipe.data.text_pair, recipe.data.label) == ("body", None, "queue")
    assert recipe.data.validation == Percentage(0.1)
    assert recipe.metrics == ("f1", "accuracy")
    assert recipe.train.select_by == "f1"
    assert str(result.layers.origin("data", "label")) == "automatic: by its name"
    assert str(result.layers.origin("train", "select_by")) == "automatic: the first of the scores"
    assert result.task.as_json()["labels"] == ("order", "repair")
    assert {name: split.num_rows for name, split in result.splits.items()} == {
        "validation": 6,
        "train": 54,
    }


def test_what_is_said_stays(tickets: Path) -> None:
    result = checked(
        f"data.train={tickets}",
        "data.text=queue",
        "data.label=id",
        "task=text-regression",
        "data.validation=null",
        "metrics=[pearson]",
    )
    assert result.recipe.data.text == "queue"
    assert result.task.name == "text-regression"
    assert list(result.splits) == ["train"]
    assert result.recipe.train.select_by is None
    assert result.recipe.metrics == ("pearson",)


def test_shares_are_disjoint(tickets: Path) -> None:
    result = checked(f"data.train={tickets}", "data.validation=20%", "data.test=30%")
    sizes = {name: split.num_rows for name, split in result.splits.items()}
    assert sizes == {"validation": 12, "test": 18, "train": 30}


def glue_like(test_label: int = -1) -> DatasetDict:
    features = Features(
        {
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=["not_equivalent", "equivalent"]),
            "idx": Value("int32"),
        }
    )

    def made(count: int, label: int | None) -> Dataset:
        rows = [
            {
                "sentence1": f"sentence {i}",
                "sentence2": f"other {i}",
                "label": i % 2 if label is None else label,
                "idx": i,
            }
            for i in range(count)
        ]
        return Dataset.from_list(rows, features=features)

    return DatasetDict(
        {"train": made(20, None), "validation": made(6, None), "test": made(8, test_label)}
    )


def test_a_data_set_as_glue_has_it() -> None:
    result = checked("data.train=python", data=glue_like())
    assert result.recipe.data.text_pair == "sentence2"
    assert result.recipe.data.validation == "validation"
    assert result.recipe.data.test is None  # its labels are all -1
    assert result.task.as_json()["labels"] == ("not_equivalent", "equivalent")


def test_a_test_split_without_labels_is_for_prediction_only() -> None:
    result = checked("data.train=python", "data.test=test", data=glue_like())
    assert not result.splits["test"].is_labeled
    assert result.splits["validation"].is_labeled


def test_a_labeled_test_split_is_taken() -> None:
    result = checked("data.train=python", data=glue_like(test_label=1))
    assert result.recipe.data.test == "test"
    assert result.splits["test"].is_labeled


@pytest.mark.parametrize("name", ["mrpc", "cola", "sst2"])
def test_glue_sets_have_their_own_scores(name: str) -> None:
    from tunesmith.data.readers.hub_reader import HubSplit
    from tunesmith.metrics.scores import GLUE

    splits = {
        split: HubSplit.of(made, f"nyu-mll/glue/{name}:{split}")
        for split, made in glue_like().items()
    }
    result = validate_inputs(
        resolve_inputs(gather(sets=[MODEL, "data.train=x"], environment={}), splits)
    )
    assert result.recipe.metrics == GLUE[name]
    assert result.recipe.train.select_by == GLUE[name][0]


GOOD = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(20))


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("text,label\n", "D120", "no rows"),
        ("", "D121", "empty"),
        (GOOD + ",a\n,b\n", "D310", "rows.csv:22: the text is empty (2 rows)"),
        (GOOD + "  ,a\n", "D311", "rows.csv:22"),
        (GOOD + "hello,\n", "D201", "rows.csv:22: the label is empty"),
        (GOOD + "hello, world,a\n", "D110", "rows.csv:22: 3 fields, the header has 2"),
        (GOOD + '"never closed,a\nx,b\n', "D111", "rows.csv:22"),
        (GOOD.replace(",b\n", ",a\n"), "D204", 'all 20 rows are "a"'),
        ("text,label\n" + "".join(f"text {i},id{i}\n" for i in range(20)), "D205", "20 classes"),
        ("text,label,text\na,b,c\n", "D302", 'rows.csv are called "text": 1, 3'),
        ("id,num\n1,2\n3,4\n", "D301", "--text"),
    ],
)
def test_bad_files(content: str, code: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    message, exit_code = reported(f"data.train={path}")
    assert exit_code == 3
    assert f"error {code} " in message
    assert words in message


def test_all_problems_of_all_splits_together(tmp_path: Path) -> None:
    train, validation = tmp_path / "train.csv", tmp_path / "validation.csv"
    train.write_text(GOOD + ",a\nx,\na,b,c\n")
    validation.write_text("text,label\nx,neutral\ny,a\n,b\nz,neutral\n")
    message, _code = reported(f"data.train={train}", f"data.validation={validation}")
    for code, words in (
        ("D310", "train.csv:22"),
        ("D201", "train.csv:23"),
        ("D110", "train.csv:24"),
        ("D206", 'validation.csv:2: the label "neutral" is not in train (2 rows)'),
        ("D310", "validation.csv:4"),
    ):
        assert code in message
        assert words in message


def test_minus_one_in_training() -> None:
    broken = glue_like()
    broken["train"] = broken["test"]
    message, code = reported("data.train=python", data=broken)
    assert code == 3
    assert "D201" in message
    assert "the label is -1, which marks a row without one" in message


def test_validation_must_be_labeled_and_test_not_in_part() -> None:
    data = glue_like()
    data["validation"] = data["test"]
    assert "D201" in reported("data.train=python", data=data)[0]
    mixed = glue_like()
    rows = mixed["test"].to_list()
    rows[0]["label"] = 1
    mixed["test"] = Dataset.from_list(rows, features=mixed["test"].features)
    message, _code = reported("data.train=python", "data.test=test", data=mixed)
    assert "D201" in message
    assert "(7 rows)" in message


@pytest.mark.parametrize(
    ("sets", "code", "words", "exit_code"),
    [
        (["data.label=lable"], "D301", 'did you mean "label"?', 3),
        (["data.text=body"], "D301", "columns: text, label", 3),
        (["data.text_pair=other"], "D301", 'no column "other"', 3),
        (["data.split=trian"], "D307", 'did you mean "train"?', 3),
        (["data.validation=no_such_split_or_file"], "M104", "", 4),
        (["data.validation=no.csv"], "D105", "no such file", 3),
        (["task=text-clasification"], "R109", 'did you mean "text-classification"?', 2),
        (["data.labels=[a, b, c]"], "R112", 'no training row has "c"', 2),
        (["data.positive_label=z"], "R112", 'no class is called "z"', 2),
        (["data.validation=60%", "data.test=50%"], "R104", "leave no row", 2),
        (["data.validation=1%"], "D120", "not enough for one validation row", 3),
        (["data.encoding=klingon"], "D106", "klingon", 3),
    ],
)
def test_bad_recipes(
    sets: list[str], code: str, words: str, exit_code: int, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(GOOD)
    message, result = reported(f"data.train={path}", *sets)
    assert f"{code} " in message
    assert words in message
    assert result == exit_code


def test_a_missing_column_is_reported_at_its_place_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(GOOD)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: embedded:mini\ndata:\n  train: {tmp_path}/rows.csv\n  label: lable\n"
    )
    with pytest.raises(TunesmithError) as caught:
        resolve_inputs(gather(file=recipe, environment={}))
    lines = str(caught.value).splitlines()
    assert lines[0] == f'error D301 {recipe}:4:10: no column "lable" in {tmp_path}/rows.csv'
    assert lines[1] == "  4 |   label: lable"
    assert lines[2] == '    |          ^^^^^  did you mean "label"?'
    assert lines[3] == "  columns: text, label"


def test_labels_in_several_columns(tmp_path: Path) -> None:
    rows = [{"text": f"t {i}", "rude": i % 2, "loud": i % 3 == 0} for i in range(30)]
    result = checked("data.train=python", "data.label=[rude, loud]", data=rows)
    assert result.task.name == "multi-label-classification"
    assert result.recipe.metrics == ("f1_micro", "f1_macro", "accuracy")


def test_labels_with_a_separator(tmp_path: Path) -> None:
    rows = [{"text": f"t {i}", "tags": "a|b" if i % 2 else "b"} for i in range(30)]
    result = checked("data.train=python", "data.label_separator=|", data=rows)
    assert result.task.as_json()["labels"] == ("a", "b")


def test_what_was_detected_is_in_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    lines = [f"Schöne Grüße Nummer {i};{'ja' if i % 2 else 'nein'}" for i in range(40)]
    path.write_bytes("\r\n".join(["Text;Klasse", *lines]).encode("cp1252"))
    result = checked(f"data.train={path}", "data.encoding=auto", "data.delimiter=auto")
    assert (result.recipe.data.encoding, result.recipe.data.delimiter) == ("cp1252", ";")
    reason = "automatic: detected from the content of the file"
    assert str(result.layers.origin("data", "encoding")) == reason
    assert str(result.layers.origin("data", "delimiter")) == reason
    path.write_text("\n".join(["Text,Klasse", *(line.replace(";", ",") for line in lines)]))
    result = checked(f"data.train={path}", "data.encoding=auto")
    assert (result.recipe.data.encoding, result.recipe.data.delimiter) == (None, None)


def test_columns_without_a_name_or_with_one_name_are_no_error(tmp_path: Path) -> None:
    rows = [f"{i},note,text {i},{'ab'[i % 2]},more" for i in range(40)]
    path = tmp_path / "frame.csv"
    path.write_text("\n".join([",note,text,label,note", *rows]))
    result = checked(f"data.train={path}")
    assert (result.recipe.data.text, result.recipe.data.label) == ("text", "label")
    message, code = reported(f"data.train={path}", "data.text=note")
    assert (code, 'called "note": 2, 5' in message) == (3, True)
    checked(f"data.train={path}", "data.label=Unnamed: 0", "task=text-regression")


def test_only_keys_that_the_user_left_out_are_suggested() -> None:
    layers = gather(sets=["data.train=x", "data.text=body"], environment={})
    automatic = Automatic(layers)
    automatic.suggest(("data", "text"), "title", "longest")
    automatic.suggest(("data", "label"), "queue", "by its name")
    automatic.suggest(("task",), "text-classification", "few values")
    assert automatic.values == {"data": {"label": "queue"}, "task": "text-classification"}
    assert automatic.reasons[("data", "label")] == "by its name"


def test_joined_is_the_second_above_the_first() -> None:
    assert joined({"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"y": 4}, "c": 5}) == {
        "a": {"x": 1, "y": 4},
        "b": 3,
        "c": 5,
    }


def test_a_problem_is_reported_where_its_key_was_set() -> None:
    layers = gather(sets=["data.train=x", "data.labels=[a, b]"], environment={})
    problem = at_key(Problem("R112", "no", Place("data.labels"), fix="so"), layers)
    assert str(problem.place) == "--set data.labels=[a, b]"
    assert problem.fix == "so"


def test_a_format_that_no_task_trains_is_refused_until_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.jsonl"
    rows = [{"instruction": f"say {i}", "input": "", "output": "ab"[i % 2]} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    message, exit_code = reported(f"data.train={path}")
    assert exit_code == 2
    assert f"error R203 {path}: this looks like instructions with responses" in message
    named = checked(f"data.train={path}", "data.text=instruction", "data.label=output")
    assert named.recipe.task == "text-classification"


def test_two_columns_that_may_be_the_label_are_asked_about(tmp_path: Path) -> None:
    rows = [{"text": f"t {i}", "topic": "ab"[i % 2], "sentiment": "xy"[i % 2]} for i in range(40)]
    message, exit_code = reported("data.train=python", data=rows)
    assert (exit_code, "R204" in message) == (2, True)
    assert "--task text-classification --label topic" in message
    assert checked("data.train=python", "data.label=topic", data=rows).recipe.data.label == "topic"
