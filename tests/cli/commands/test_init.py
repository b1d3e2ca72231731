from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.recipe import gather


def test_a_recipe_with_reasons(tunesmith: Command, tickets: Path) -> None:
    said = tunesmith("init", tickets)
    assert said.code == 0
    text = Path("recipe.yaml").read_text()
    assert "text: body" in text
    assert "label: queue" in text
    recipe = gather(file=Path("recipe.yaml"), environment={}).recipe()
    assert recipe.data.train == str(tickets)
    assert "2 classes: order 30, repair 30" in said.out
    assert "data.label" in said.out
    assert "(automatic: by its name)" in said.out
    assert "tunesmith train recipe.yaml" in said.err


def test_it_overwrites_nothing_unasked(tunesmith: Command, tickets: Path) -> None:
    Path("recipe.yaml").write_text("mine")
    said = tunesmith("init", tickets)
    assert said.code == 2
    assert "R115" in said.err
    assert Path("recipe.yaml").read_text() == "mine"
    assert tunesmith("init", tickets, "--force").code == 0
    assert (
        tunesmith(
            "init", tickets, "--out", "other.yaml", "--label", "id", "--task", "text-regression"
        ).code
        == 0
    )
    assert "task: text-regression" in Path("other.yaml").read_text()


def test_values_stand_apart_from_their_keys(tunesmith: Command, tickets: Path) -> None:
    lines = tunesmith("init", tickets).out.splitlines()
    values = {line.split()[0]: line.split()[1] for line in lines if "(automatic" in line}
    assert values["options.class_weights"] == values["options.focal_gamma"] == "null"
    assert values["data.label"] == "queue"


def test_json(tunesmith: Command, tickets: Path) -> None:
    (record,) = tunesmith("init", tickets, "--json").records
    assert record["rows"] == {"validation": 6, "train": 54}
    assert record["values"]["data"]["label"] == "queue"
    assert "data.label" in record["automatic"]


def test_data_with_errors_gets_a_recipe_that_training_takes_once_they_are_left_out(
    tunesmith: Command, tickets: Path
) -> None:
    with tickets.open("a") as file:
        file.write("61,the rice was late again today,\n")
    said = tunesmith("init", tickets)
    assert said.code == 0
    assert "error D201" in said.err
    assert "1 error must be corrected first, or left out with --on-bad-row skip" in said.err
    assert "select_by:" not in Path("recipe.yaml").read_text()
    assert tunesmith("check", "recipe.yaml").code == 3
    assert tunesmith("check", "recipe.yaml", "--on-bad-row", "skip").code == 0


def test_a_question_about_the_task_is_asked_before_a_recipe_is_written(tunesmith: Command) -> None:
    rows = "".join(f"text number {i},{['a;b', 'b', 'b;a'][i % 3]}\n" for i in range(24))
    Path("tags.csv").write_text("text,label\n" + rows)
    said = tunesmith("init", "tags.csv")
    assert said.code == 3
    assert "error D218" in said.err
    assert not Path("recipe.yaml").exists()
    assert tunesmith("init", "tags.csv", "--task", "multi-label-classification").code == 0
    assert 'label_separator: ";"' in Path("recipe.yaml").read_text()
    assert tunesmith("check", "recipe.yaml").code == 0
