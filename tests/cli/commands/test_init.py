from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tunesmith.recipe import gather


def test_a_recipe_with_reasons(tunesmith: Command, tickets: Path) -> None:
    output = tunesmith("init", tickets)
    assert output.code == 0
    text = Path("recipe.yaml").read_text()
    assert "text: body" in text
    assert "label: queue" in text
    recipe = gather(file=Path("recipe.yaml"), environment={}).recipe()
    assert recipe.data.train == str(tickets)
    assert "2 classes: order 30, repair 30" in output.out
    assert "data.label" in output.out
    assert "(automatic: by its name)" in output.out
    assert "tunesmith train recipe.yaml" in output.err


def test_existing_recipe_is_not_replaced(tunesmith: Command, tickets: Path) -> None:
    Path("recipe.yaml").write_text("mine")
    output = tunesmith("init", tickets)
    assert output.code == 2
    assert "R115" in output.err
    assert Path("recipe.yaml").read_text() == "mine"
    assert tunesmith("init", tickets, "--force").code == 0
    assert (
        tunesmith(
            "init", tickets, "--out", "other.yaml", "--label", "id", "--task", "text-regression"
        ).code
        == 0
    )
    assert "task: text-regression" in Path("other.yaml").read_text()


def test_values_are_aligned(tunesmith: Command, tickets: Path) -> None:
    lines = tunesmith("init", tickets).out.splitlines()
    values = {line.split()[0]: line.split()[1] for line in lines if "(automatic" in line}
    assert values["data.label"] == "queue"
    assert values["data.validation"] == "10%"
    assert not any(key.startswith("options") for key in values)  # defaults, not choices
    assert "# Weights of the classes" in Path("recipe.yaml").read_text()


def test_json(tunesmith: Command, tickets: Path) -> None:
    (record,) = tunesmith("init", tickets, "--json").records
    assert record["rows"] == {"validation": 6, "train": 54}
    assert record["values"]["data"]["label"] == "queue"
    assert "data.label" in record["automatic"]


def test_recipe_for_data_with_errors(tunesmith: Command, tickets: Path) -> None:
    with tickets.open("a") as file:
        file.write("61,the rice was late again today,\n")
    output = tunesmith("init", tickets)
    assert output.code == 0
    assert "error D201" in output.err
    assert "1 error must be fixed first, or left out with --on-bad-row skip" in output.err
    assert "select_by:" not in Path("recipe.yaml").read_text()
    assert tunesmith("check", "recipe.yaml").code == 3
    assert tunesmith("check", "recipe.yaml", "--on-bad-row", "skip").code == 0


def test_undecided_task_writes_no_recipe(tunesmith: Command) -> None:
    rows = "".join(f"text number {i},{['a;b', 'b', 'b;a'][i % 3]}\n" for i in range(24))
    Path("tags.csv").write_text("text,label\n" + rows)
    output = tunesmith("init", "tags.csv")
    assert output.code == 3
    assert "error D218" in output.err
    assert not Path("recipe.yaml").exists()
    assert tunesmith("init", "tags.csv", "--task", "multi-label-classification").code == 0
    assert 'label_separator: ";"' in Path("recipe.yaml").read_text()
    assert tunesmith("check", "recipe.yaml").code == 0
