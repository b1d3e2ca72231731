"""Multiple choice: columns it learns, and a small run through every command."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert, ticket_rows
from tests.tasks.short_runs import ShortRun, losses
from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python, open_splits
from tunesmith.data.profile import profile
from tunesmith.data.rows import Row
from tunesmith.errors import DataError
from tunesmith.inference.load import load
from tunesmith.recipe import DataSettings
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import read_predictions
from tunesmith.tasks import match_task, task_from_config
from tunesmith.tasks.multiple_choice.rows import read_question
from tunesmith.tasks.multiple_choice.task import MultipleChoice

__all__ = ["tunesmith"]  # the fixture

ROLES = Roles("sent2", "choices", "label", "sent1")
TEXTS = [row[1] for row in ticket_rows(36)[1:]]


def swag() -> list[list[object]]:
    """Rows as SWAG has them, with two, three or four endings."""
    table: list[list[object]] = [["sent1", "sent2", *(f"ending{i}" for i in range(4)), "label"]]
    for i, text in enumerate(TEXTS):
        *first, last = text.split()
        count = 2 + i % 3
        endings = [f"{word} {i}" for word in "door light cup moon".split()[:count]]
        endings[i % count] = f"{last} {i}"
        table.append([" ".join(first), "it is", *endings, *[""] * (4 - count), i % count])
    return table


@dataclass(frozen=True)
class Trained(ShortRun):
    """Rows with choices, and a run of the exact engine on them."""

    data_name = "swag.csv"
    columns = ROLES.columns
    more: ClassVar[Mapping[str, object]] = {"train.max_length": 48}

    @cached_property
    def held_out(self) -> list[list[object]]:
        """The validation rows as a table."""
        return [swag()[0], *(swag()[1 + record.row] for record in self.records)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("choices")
    make_tiny_bert(folder / "bert", layers=1)
    done = Trained(folder)
    write(done.data, swag())
    done.train(done.run.folder)
    return done


def write(path: Path, table: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(table)


def matched(record: Mapping[str, object], **named: Any) -> tuple[str, Roles]:
    source = from_python([record] * 3)["train"]
    task, match = match_task(profile(source), DataSettings(train="x", **named))
    return task.name, match.roles


def test_columns_are_found() -> None:
    record = {"sent1": "So", "sent2": "it", "ending0": "up", "ending1": "down", "label": 1}
    assert matched(record) == ("multiple-choice", ROLES)
    record = {"goal": "Boil it", "sol1": "up", "sol2": "down", "label": 0, "topic": "water"}
    assert matched(record) == ("multiple-choice", Roles("goal", "choices", "label"))
    assert matched(record, text="goal", label="topic")[0] == "text-classification"


def test_choices_without_labels_cannot_be_learned() -> None:
    with pytest.raises(DataError, match="D301"):
        matched({"question": "Where?", "choices": ["up", "down"]})


def test_the_most_choices_of_a_row_are_learned() -> None:
    rows = [Row(i, {"sent2": "it", "choices": list("abcdefghijkl")[: i + 2]}) for i in range(11)]
    task = MultipleChoice(ROLES).fit(rows)
    assert task.most == 12 and task.output.names[-1] == "L"
    assert MultipleChoice(ROLES).fit(rows[:3]).width == 10
    assert task.summary() == ["up to 12 choices per row"]
    with pytest.raises(DataError, match="D204"):
        MultipleChoice(ROLES).fit([])


def test_a_plain_model_is_recognized() -> None:
    task = task_from_config({"architectures": ["BertForMultipleChoice"]}, ROLES)
    assert isinstance(task, MultipleChoice)


def test_training_scores_each_row_once(trained: Trained) -> None:
    assert len(losses(trained.run.folder)) == 6
    rows = [record.row for record in trained.records]
    assert len(rows) == len(set(rows)) == 11
    right = [record.answer["label"] == "ABCD"[int(record.values["label"])]  # type: ignore[call-overload]
             for record in trained.records]  # fmt: skip
    assert trained.run.scores["accuracy"] == pytest.approx(np.mean(right))
    for record in trained.records:
        choices: Any = record.values["choices"]
        assert [*record.answer["scores"]] == list("ABCD")[: len(choices)]
        assert sum(record.answer["scores"].values()) == pytest.approx(1)
    assert set(trained.run.scores) == {"accuracy", "loss"}


def test_predictions_of_rows_and_files(trained: Trained, tunesmith: Command) -> None:
    expected = [record.answer["label"] for record in trained.records]
    model = load(trained.run.folder)
    rows = [
        {name: record.values[name] for name in ("sent1", "sent2", "choices")}
        for record in trained.records
    ]
    answers = model.predict(rows)
    assert [answer["label"] for answer in answers] == expected
    for row, answer in zip(rows, answers, strict=True):
        place: Any = answer["index"]
        choices: Any = row["choices"]
        assert answer["text"] == choices[place] and answer["label"] == "ABCD"[place]
    write(Path("rows.csv"), [line[:-1] for line in trained.held_out])
    for end in ("csv", "jsonl", "parquet"):
        output = tunesmith(
            "predict", trained.run.folder, "--file", "rows.csv", "--out", f"o.{end}", "--scores"
        )
        assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == expected
    assert lines[0]["ending0"] == trained.held_out[1][2]
    output = tunesmith("predict", trained.run.folder, "The door", "it is", "open | shut", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["text"] in ("open", "shut")


def test_more_choices_than_any_training_row_had(trained: Trained) -> None:
    model = load(trained.run.folder)
    row = {"sent1": "The door", "sent2": "it is", "choices": [f"word {i}" for i in range(10)]}
    (answer,) = model.predict([row])
    scores: Any = answer["scores"]
    assert [*scores] == list("ABCDEFGHIJ")
    with pytest.raises(DataError, match="D369"):
        model.predict([{**row, "choices": [f"word {i}" for i in range(11)]}])


def test_every_other_command(trained: Trained, tunesmith: Command) -> None:
    write(Path("rows.csv"), trained.held_out)
    output = tunesmith("eval", trained.run.folder, "rows.csv", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["scores"] == pytest.approx(trained.run.scores, abs=1e-6)
    assert {"choices", "longest"} <= set(output.records[0]["baselines"])
    output = tunesmith("errors", trained.run.folder, "--worst", "--json")
    assert output.code == 0, output.err
    worst_rows = output.records[0]["worst"]
    worst = worst_rows[0]
    choices = worst["texts"][-1].splitlines()
    assert [line[0] for line in choices] == [*worst["probabilities"]]
    assert worst["share"] == pytest.approx(worst["probabilities"][worst["gold"]])
    output = tunesmith("calibrate", trained.run.folder, "--goal", "accuracy=0.01")
    assert output.code == 0, output.err
    output = tunesmith("eval", trained.run.folder, "rows.csv", "--calibrated", "--json")
    assert output.code == 0, output.err
    assert "ece" in output.records[0]["scores"]
    output = tunesmith("predict", trained.run.folder, "--file", "rows.csv", "--threshold", "1")
    assert output.code == 0 and "abstained" in output.out
    output = tunesmith("report", trained.run.folder)
    assert output.code == 0, output.err
    is_wrong = any(row["gold"] != row["predicted"] for row in worst_rows)
    page = (trained.run.folder / "report.html").read_text()
    assert (f"A {worst['probabilities']['A']:.1%}, B " in page) is is_wrong
    card = (trained.run.folder / "model" / "README.md").read_text()
    assert "AutoModelForMultipleChoice" in card and "longest choice" in card


def test_labels_are_corrected_by_letter(
    trained: Trained, tunesmith: Command, tmp_path: Path
) -> None:
    output = tunesmith("errors", trained.run.folder, "--worst", "--export", "issues.csv")
    assert output.code == 0, output.err
    with Path("issues.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    new = "B" if table[0]["label"] == "A" else "A"
    table[0]["correct"] = new
    with Path("issues.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    source = str(Path("issues.csv").absolute())
    run = trained.train(tmp_path / "run", **{"data.corrections": [source], "train.max_steps": 1})
    records = read_predictions(RunFolder(run.folder), "validation", ROLES.columns)
    places = {record.row: record.values["label"] for record in records}
    row = int(table[0]["place"].rpartition(":")[2]) - 2
    assert places.get(row, "AB".index(new)) == "AB".index(new)


def test_the_lines_of_the_card_predict_the_same(trained: Trained, capsys: Any) -> None:
    folder = trained.run.folder / "model"
    model = load(trained.run.folder)
    source = open_splits(str(trained.data))["train"]
    row = next(iter(source.chunks()))[4]
    question = read_question(row, ROLES)
    (answer,) = model.predict([{"sent1": "a … b", "sent2": "it", "choices": ["one", "two"]}])
    code = model.task.usage.replace("path/to/this/folder", str(folder))
    code = code.replace('"…", "…"\n', '"a … b", "it"\n', 1).replace('["…", "…"]', '["one", "two"]')
    exec(code, {})
    assert capsys.readouterr().out.startswith(f"{answer['text']} ")
    plain = AutoModelForMultipleChoice.from_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)(
        *map(list, zip(*question.pairs, strict=True)), return_tensors="pt", padding=True
    )
    with torch.no_grad():
        logits = plain(**{name: values[None] for name, values in tokens.items()}).logits[0]
    (answer,) = model.predict([dict(row.values)])
    scores: Any = answer["scores"]
    np.testing.assert_allclose([*scores.values()], logits.softmax(0).numpy(), atol=1e-6)
