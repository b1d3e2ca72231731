"""Every task, and four toys, through every command: nothing after `tasks` knows what a task is.

Each task is trained once on a few rows; every command works on that run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert
from tests.runs.children import ended, start_pair
from tests.tasks import toys
from tests.tasks.samples import NAMES, SampleRun, train_once
from tests.tasks.short_runs import PLAIN, losses, resumes_bit_for_bit
from tunesmith import tasks
from tunesmith.api.runs import Run
from tunesmith.inference.load import load
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import Record, read_predictions
from tunesmith.tasks import task_from_json

__all__ = ["tunesmith"]  # the fixture

WITHOUT_PROBABILITIES = {
    "text-regression",
    "masked-lm",
    "text-ranking",
} | ({*toys.TOYS} - {"toy-windows"})
NUMBERS = {"text-regression", "text-ranking"}
"""Tasks whose prediction is a number."""
WITHOUT_SCRIPT = {*toys.TOYS}
LAYOUTS = {
    "masked-lm": "padded",
    "token-classification": "every token",
    "question-answering": "every token",
    "toy-tags": "every token",
    "toy-text": "padded",
}
"""How the fast engine computes a batch, where not as for a label per text."""
FILLS_BLANKS = {"masked-lm"}
"""Tasks that have no answer to the rows they learn from: `predict` is for rows with blanks."""


@pytest.fixture(autouse=True, scope="module")
def _known_toys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name, of in toys.TOYS.items():
            patched.setitem(tasks.TASKS, name, of)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    make_tiny_bert(folder / "bert", layers=1)
    return folder


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest, folder: Path) -> SampleRun:
    """A task, trained when it is first needed: tests come in any order."""
    return train_once(request.param, folder)


def held_out(sample: SampleRun) -> list[dict[str, object]]:
    """The validation rows, in the order of their predictions."""
    return [dict(sample.rows[record.row]) for record in sample.records]


def write_rows(rows: list[dict[str, object]]) -> None:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rounded(value: Any) -> Any:
    """An answer with its numbers to four digits, those that are shown."""
    if isinstance(value, float):
        return round(value, 4) + 0.0
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return value


def test_training_scores_each_row_once(sample: SampleRun) -> None:
    steps = losses(sample.run.folder)
    assert len(steps) == 6 and np.isfinite(steps).all()
    assert sample.run.scores["loss"] < steps[0] + 0.1
    rows = [record.row for record in sample.records]
    assert len(rows) == len(set(rows)) == 11


def test_a_killed_run_is_resumed_bit_for_bit(sample: SampleRun, tmp_path: Path) -> None:
    assert resumes_bit_for_bit(sample, tmp_path / "run")


def test_the_fast_engine_and_two_processes_compute_the_same(
    sample: SampleRun, tmp_path: Path
) -> None:
    pair = start_pair(toys.train, *sample.arguments(tmp_path / "pair", **PLAIN))
    exact = sample.train(tmp_path / "exact", **PLAIN)
    fast = sample.train(tmp_path / "fast", **PLAIN, **{"train.engine": "fast"})
    assert ended(pair) == [0, 0], (tmp_path / "error.txt").read_text()
    engine = json.loads((fast.folder / "plan.json").read_text())["engine"]
    expected = LAYOUTS.get(sample.name, "first token, last layer cut")
    assert engine["name"] == "fast" and engine["layout"].startswith(expected)
    for other in (fast, Run(tmp_path / "pair")):
        np.testing.assert_allclose(losses(other.folder), losses(exact.folder), atol=1e-5)
        assert other.scores == pytest.approx(exact.scores, abs=1e-4)


def test_rows_are_predicted_as_in_the_run(sample: SampleRun, tunesmith: Command) -> None:
    if sample.name in FILLS_BLANKS:
        assert "D331" in tunesmith("predict", sample.run.folder, sample.rows[0]["text"]).err
        return
    model = load(sample.run.folder)
    key = "score" if sample.name in NUMBERS else "label"
    expected = [rounded(record.answer[key]) for record in sample.records]
    rows = held_out(sample)
    for row in rows:
        for name in model.task.roles.label_columns:
            del row[name]
    assert [rounded(answer[key]) for answer in model.predict(rows)] == expected
    write_rows(rows)
    output = tunesmith("predict", sample.run.folder, "--file", "rows.jsonl", "--out", "out.jsonl")
    assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [rounded(line["prediction"]) for line in lines] == expected


def test_eval_gives_the_scores_of_the_run(sample: SampleRun, tunesmith: Command) -> None:
    write_rows(held_out(sample))
    output = tunesmith("eval", sample.run.folder, "rows.jsonl", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["scores"] == pytest.approx(sample.run.scores, abs=1e-4)


def test_errors_are_shown_and_exported(sample: SampleRun, tunesmith: Command) -> None:
    output = tunesmith("errors", sample.run.folder, "--worst", "--top", 99, "--json")
    refusal = "R175" if sample.name in FILLS_BLANKS else ""
    assert refusal in output.err and (output.code == 0) is (not refusal), output.err
    output = tunesmith("errors", sample.run.folder, "--export", "issues.csv")
    assert refusal in output.err and (output.code == 0) is (not refusal), output.err


@pytest.mark.parametrize("name", toys.TOYS)
def test_the_worst_rows_are_the_wrong_ones(name: str, folder: Path, tunesmith: Command) -> None:
    toy = train_once(name, folder)
    output = tunesmith("errors", toy.run.folder, "--worst", "--top", 99, "--json")
    wrong = [record.row for record in toy.records if not is_right(toy, record)]
    worst = output.records[0]["worst"]
    first = sorted(int(row["place"].rpartition(":")[2]) - 1 for row in worst[: len(wrong)])
    assert first == wrong


def is_right(toy: SampleRun, record: Record) -> bool:
    return record.answer["label"] == toy.rows[record.row]["label"]


def test_calibration_needs_probabilities(sample: SampleRun, tunesmith: Command) -> None:
    output = tunesmith("calibrate", sample.run.folder)
    refusal = "R184" if sample.name in WITHOUT_PROBABILITIES else ""
    assert refusal in output.err and (output.code == 0) is (not refusal), output.err


def test_two_runs_are_compared(sample: SampleRun, tunesmith: Command, tmp_path: Path) -> None:
    other = sample.train(tmp_path / "run", **{"train.learning_rate": 3e-2, "train.max_steps": 12})
    output = tunesmith("runs", "compare", sample.run.folder, other.folder, "--json")
    assert output.code == 0, output.err
    differences = output.records[0]["differences"].get("validation", {"scores": {}})
    assert bool(differences["scores"]) is (sample.name not in FILLS_BLANKS)
    for name, compared in differences["scores"].items():
        both = [compared["first"], compared["second"]]
        expected = [run.scores[name] for run in (sample.run, other)]
        assert both == pytest.approx(expected, abs=1e-4)
    if sample.name in toys.TOYS:
        records = read_predictions(RunFolder(other.folder), "validation", sample.columns)
        before, after = (
            {record.row for record in each if is_right(sample, record)}
            for each in (sample.records, records)
        )
        assert set(differences["changes"]["fixed"]) == after - before
        assert set(differences["changes"]["broken"]) == before - after


def test_report_and_card_name_task_and_scores(sample: SampleRun, tunesmith: Command) -> None:
    output = tunesmith("report", sample.run.folder)
    assert output.code == 0, output.err
    report = (sample.run.folder / "report.html").read_text()
    card = (sample.run.folder / "model" / "README.md").read_text()
    for page in (card, report):
        assert sample.name in page and f"{sample.run.scores['loss']:.4f}" in page


def test_a_run_is_written_as_a_script(sample: SampleRun, tunesmith: Command) -> None:
    output = tunesmith("eject", sample.run.folder, "--out", "script")
    refusal = "R200" if sample.name in WITHOUT_SCRIPT else ""
    assert refusal in output.err and (output.code == 0) is (not refusal), output.err


def test_a_saved_task_is_the_same(sample: SampleRun) -> None:
    metadata: Any = json.loads((sample.run.folder / "model" / "tunesmith.json").read_text())
    again = task_from_json(metadata["task"])
    assert json.loads(json.dumps(again.as_json())) == metadata["task"]
