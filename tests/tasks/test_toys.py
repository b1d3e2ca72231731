"""Four toy tasks through every verb: nothing after `tasks` knows what a task is.

Each toy is trained once; every verb works on that run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert, ticket_rows
from tests.runs.children import ended, in_child, start_pair
from tests.tasks import toys
from tests.tasks.short_runs import PLAIN, ShortRun, losses
from tunesmith import tasks
from tunesmith.api.runs import Run
from tunesmith.inference.load import load
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import Record, read_predictions
from tunesmith.tasks import task_from_json

__all__ = ["tunesmith"]  # the fixture

TEXTS = [row[1] for row in ticket_rows(36)[1:]]
LABELS: dict[str, list[object]] = {
    "toy-tags": [["OXY"[len(word) % 3] for word in text.split()] for text in TEXTS],
    "toy-choice": [i % 2 for i in range(len(TEXTS))],
    "toy-windows": ["repair" if "broken" in text else "order" for text in TEXTS],
    "toy-text": ["broken" if "broken" in text else "new one" for text in TEXTS],
}
CHOICES = [TEXTS[i % 7 : i % 7 + 2 + i % 3] for i in range(len(TEXTS))]


@dataclass(frozen=True)
class Toy(ShortRun):
    """A toy task, its data and a run of the exact engine."""

    name: str
    data_name = "rows.jsonl"

    @property
    def run(self) -> Run:
        return Run(self.folder / "runs" / "first")

    @property
    def columns(self) -> list[str]:
        return [*self.rows[0]]

    @property
    def more(self) -> dict[str, object]:
        named = {"task": self.name, "data.label": "label", "data.text": "text"}
        pair = {"data.text_pair": "pair"} if self.name == "toy-choice" else {}
        return {"train.select_by": "loss", **named, **pair}

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.data.read_text().splitlines()]

    def is_right(self, record: Record) -> bool:
        return record.answer["label"] == self.rows[record.row]["label"]


@pytest.fixture(autouse=True, scope="module")
def _known_toys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name, of in toys.TOYS.items():
            patched.setitem(tasks.TASKS, name, of)
        yield


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("toys") / "bert", layers=1)


@pytest.fixture(params=toys.TOYS)
def toy(request: pytest.FixtureRequest, bert: Path) -> Toy:
    """A toy, trained when it is first needed: tests come in any order."""
    toy = Toy(bert.parent / request.param, request.param)
    if toy.folder.exists():
        return toy
    toy.folder.mkdir()
    shutil.copytree(bert, toy.folder / "bert")
    rows: list[dict[str, object]] = [
        {"text": text, "label": label}
        for text, label in zip(TEXTS, LABELS[request.param], strict=True)
    ]
    if request.param == "toy-choice":
        rows = [{**row, "pair": pair} for row, pair in zip(rows, CHOICES, strict=True)]
    toy.data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    toy.train(toy.run.folder)
    return toy


def test_training_lowers_the_loss_and_scores_each_row_once(toy: Toy) -> None:
    assert len(losses(toy.run.folder)) == 6
    assert toy.run.scores["loss"] < losses(toy.run.folder)[0] + 0.1
    rows = [record.row for record in toy.records]
    assert len(rows) == len(set(rows)) == 11
    name = "accuracy" if toy.name == "toy-windows" else "exact"
    assert toy.run.scores[name] == np.mean([toy.is_right(record) for record in toy.records])


def test_a_killed_run_is_resumed_bit_for_bit(toy: Toy, tmp_path: Path) -> None:
    arguments = toy.arguments(tmp_path / "run")
    assert in_child(toys.train_and_die_at, 60, *arguments) == -9
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    assert not (tmp_path / "run" / "model").exists()
    assert in_child(toys.train, *arguments) == 0
    ends = [folder / "model" / "model.safetensors" for folder in (tmp_path / "run", toy.run.folder)]
    assert ends[0].read_bytes() == ends[1].read_bytes()
    assert losses(tmp_path / "run")[-2:] == losses(toy.run.folder)[-2:]


def test_the_fast_engine_and_two_processes_compute_the_same(toy: Toy, tmp_path: Path) -> None:
    pair = start_pair(toys.train, *toy.arguments(tmp_path / "pair", **PLAIN))
    exact = toy.train(tmp_path / "exact", **PLAIN)
    fast = toy.train(tmp_path / "fast", **PLAIN, **{"train.engine": "fast"})
    assert ended(pair) == [0, 0], (tmp_path / "error.txt").read_text()
    engine = json.loads((fast.folder / "plan.json").read_text())["engine"]
    assert engine["name"] == "fast" and engine["layout"]
    for other in (fast, Run(tmp_path / "pair")):
        np.testing.assert_allclose(losses(other.folder), losses(exact.folder), atol=1e-5)
        assert other.scores == pytest.approx(exact.scores, abs=1e-5)


def test_predictions_of_texts_and_of_a_file(toy: Toy, tunesmith: Command) -> None:
    expected = [record.answer["label"] for record in toy.records]
    rows = [dict(toy.rows[record.row]) for record in toy.records]
    for row in rows:
        del row["label"]
    assert [answer["label"] for answer in load(toy.run.folder).predict(rows)] == expected
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tunesmith("predict", toy.run.folder, "--file", "rows.jsonl", "--out", "out.jsonl")
    assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == expected
    if toy.name != "toy-choice":  # whose rows are not texts alone
        assert tunesmith("predict", toy.run.folder, rows[0]["text"]).code == 0


def test_eval_gives_the_scores_of_the_run(toy: Toy, tunesmith: Command) -> None:
    rows = [toy.rows[record.row] for record in toy.records]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tunesmith("eval", toy.run.folder, "rows.jsonl", "--json")
    assert output.code == 0, output.err
    (record,) = output.records
    assert record["scores"] == pytest.approx(toy.run.scores, abs=1e-6)


def test_errors_are_the_wrong_rows(toy: Toy, tunesmith: Command) -> None:
    output = tunesmith("errors", toy.run.folder, "--worst", "--top", 99, "--json")
    assert output.code == 0, output.err
    worst = output.records[0]["worst"]
    wrong = [record.row for record in toy.records if not toy.is_right(record)]
    first = sorted(int(row["place"].rpartition(":")[2]) - 1 for row in worst[: len(wrong)])
    assert first == wrong
    output = tunesmith("errors", toy.run.folder, "--export", "issues.csv")
    assert output.code == 0, output.err
    finds_label_errors = toy.name == "toy-windows"
    assert ("cannot be found" in output.err) is not finds_label_errors
    exported = len(Path("issues.csv").read_text(encoding="utf-8-sig").splitlines()) - 1
    assert finds_label_errors or exported > 0


def test_calibration_needs_probabilities(toy: Toy, tunesmith: Command) -> None:
    output = tunesmith("calibrate", toy.run.folder)
    refusal = "" if toy.name == "toy-windows" else "R184"
    assert refusal in output.err and (output.code == 0) is (not refusal)


def test_comparison_finds_the_rows_that_changed(
    toy: Toy, tunesmith: Command, tmp_path: Path
) -> None:
    other = toy.train(tmp_path / "run", **{"train.learning_rate": 3e-2, "train.max_steps": 12})
    output = tunesmith("runs", "compare", toy.run.folder, other.folder, "--json")
    assert output.code == 0, output.err
    changes = output.records[0]["differences"]["validation"]["changes"]
    records = read_predictions(RunFolder(other.folder), "validation", [*toy.rows[0]])
    was, now = (
        {record.row for record in each if toy.is_right(record)} for each in (toy.records, records)
    )
    assert (set(changes["fixed"]), set(changes["broken"])) == (now - was, was - now)


def test_report_and_card_name_task_and_scores(toy: Toy, tunesmith: Command) -> None:
    output = tunesmith("report", toy.run.folder)
    assert output.code == 0, output.err
    report = (toy.run.folder / "report.html").read_text()
    card = (toy.run.folder / "model" / "README.md").read_text()
    for page in (card, report):
        assert toy.name in page and f"{toy.run.scores['loss']:.4f}" in page
    assert ("pipeline(" in card) is (toy.name == "toy-windows")


def test_eject_is_refused(toy: Toy, tunesmith: Command) -> None:
    output = tunesmith("eject", toy.run.folder)
    assert output.code == 2 and "R200" in output.err


def test_a_dry_run_writes_nothing(toy: Toy, tunesmith: Command) -> None:
    sets = [part for key, value in toy.settings().items() for part in ("--set", f"{key}={value}")]
    arguments = [toy.data, "--model", toy.folder / "bert", *sets, "--out", "dry"]
    output = tunesmith("train", *arguments, "--dry-run")
    assert output.code == 0 and not Path("dry").exists(), output.err


def test_a_saved_toy_is_the_same(toy: Toy) -> None:
    metadata: Any = json.loads((toy.run.folder / "model" / "tunesmith.json").read_text())
    again = task_from_json(metadata["task"]).as_json()
    assert json.loads(json.dumps(again)) == metadata["task"]
