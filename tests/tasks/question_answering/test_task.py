"""Question answering: columns it learns, and a small run through every command."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert
from tests.tasks.question_answering.asked import ROLES, asked_rows
from tests.tasks.short_runs import PLAIN, ShortRun, losses
from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.errors import DataError, ModelError
from tunesmith.inference.load import load
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks import task_from_config, task_from_json
from tunesmith.tasks.question_answering.task import QuestionAnswering

__all__ = ["tunesmith"]  # the fixture

ROWS = asked_rows()


@dataclass(frozen=True)
class Trained(ShortRun):
    """Rows of questions, and a run of the exact engine on them."""

    data_name = "rows.jsonl"
    columns = ROLES.columns
    more: ClassVar[Mapping[str, object]] = {
        "train.max_length": 32, "options.stride": 6,
    }  # fmt: skip

    def held_out(self, path: Path) -> Path:
        """The validation rows as a file."""
        return write(path, [ROWS[record.row] for record in self.records])


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("questions")
    make_tiny_bert(folder / "bert", layers=1)
    done = Trained(folder)
    write(done.data, ROWS)
    done.train(done.run.folder)
    return done


def rows_of(records: list[dict[str, Any]]) -> list[Row]:
    return [Row(i, record) for i, record in enumerate(records)]


def fitted(**fields: Any) -> QuestionAnswering:
    return QuestionAnswering(ROLES, **fields).fit(rows_of(ROWS))


def test_whether_questions_may_have_no_answer_is_learned() -> None:
    task = fitted()
    assert task.has_unanswerable and "NoAns_f1" in task.default_metrics
    assert task.summary() == ["32 questions with an answer, 8 without"]
    answered = QuestionAnswering(ROLES).fit(rows_of([row for row in ROWS if row["answers"]]))
    assert not answered.has_unanswerable and answered.default_metrics == ("f1", "exact")
    assert answered.constant([]) is None
    with pytest.raises(DataError, match="D204"):
        QuestionAnswering(ROLES).fit(rows_of([{**ROWS[0], "answers": []}]))


def test_a_plain_model_is_recognized() -> None:
    task = task_from_config({"architectures": ["BertForQuestionAnswering"]}, ROLES)
    assert isinstance(task, QuestionAnswering) and task.has_unanswerable
    assert task_from_config({"architectures": ["BertModel"]}, ROLES) is None


def test_a_tokenizer_without_a_first_token_for_no_answer_is_refused(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    assert fitted().with_tokenizer(tokenizer) == fitted()
    tokenizer.cls_token = None
    with pytest.raises(ModelError, match="M163"):
        fitted().with_tokenizer(tokenizer)


def test_the_loss_is_that_of_the_model_class(trained: Trained) -> None:
    """Of windows of one length: with padding, the model class would count it among the tokens."""
    folder = str(trained.folder / "bert")
    tokenizer = load_tokenizer(locate(folder))
    task = fitted(stride=6)
    encoded = task.encode(rows_of(ROWS), tokenizer, 32, labeled=True)
    examples = Examples(hold_in_memory(encoded))
    places = np.flatnonzero(examples.lengths == 32)
    assert len(places) > 20
    batch = make_batch(examples, places, Padding.of(tokenizer))
    model = task.build(locate(folder), seed=0, dropout=0.0).model
    with torch.no_grad():
        outputs = task.forward(model, batch)
        assert batch.labels is not None and outputs.loss_sum is not None
        expected = model(
            **batch.inputs, start_positions=batch.labels[:, 0], end_positions=batch.labels[:, 1]
        ).loss
    assert batch.num_targets == 2 * len(places)
    assert float(outputs.loss_sum) / batch.num_targets == pytest.approx(float(expected), rel=1e-6)


def test_training_scores_each_row_once(trained: Trained) -> None:
    assert len(losses(trained.run.folder)) == 6
    rows = [record.row for record in trained.records]
    assert len(rows) == len(set(rows)) == 12
    for record in trained.records:
        answer, context = record.answer, ROWS[record.row]["context"]
        if answer["label"]:
            assert context[answer["start"] : answer["end"]] == answer["label"]
        for one in answer["n_best"]:
            assert context[one["start"] : one["end"]] == one["text"]
        assert 0 < answer["score"] <= 1
    assert set(trained.run.scores) == {*fitted().default_metrics, "loss"}


def test_windows_are_computed_alike_packed_and_in_micro_batches(
    trained: Trained, tmp_path: Path
) -> None:
    exact = trained.train(tmp_path / "exact", **PLAIN)
    fast = trained.train(tmp_path / "fast", **PLAIN, **{"train.engine": "fast"})
    parts = trained.train(tmp_path / "parts", **PLAIN, **{"train.micro_batch_size": 2})
    engine = json.loads((fast.folder / "plan.json").read_text())["engine"]
    assert engine["name"] == "fast" and engine["layout"].startswith("every token"), engine
    for other in (fast, parts):
        np.testing.assert_allclose(losses(other.folder), losses(exact.folder), atol=1e-5)
        assert other.scores == pytest.approx(exact.scores, abs=1e-4)


def test_predictions_of_rows_and_files(trained: Trained, tunesmith: Command) -> None:
    expected = [record.answer for record in trained.records]
    model = load(trained.run.folder)
    rows = [
        {name: record.values[name] for name in ("context", "question")}
        for record in trained.records
    ]
    for answer, other in zip(model.predict(rows), expected, strict=True):
        assert (answer["label"], answer["start"]) == (other["label"], other["start"])
        assert answer["score"] == pytest.approx(other["score"], abs=1e-5)
    trained.held_out(Path("rows.jsonl"))
    for end in ("jsonl", "csv", "parquet"):
        output = tunesmith(
            "predict", trained.run.folder, "--file", "rows.jsonl", "--out", f"o.{end}"
        )
        assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == [answer["label"] for answer in expected]
    output = tunesmith("predict", trained.run.folder, "What is it?", "The new printer.", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["input"] == {"context": "The new printer.", "question": "What is it?"}
    assert len(output.records[0]["n_best"]) <= 5


def test_rows_whose_answer_is_at_several_places_are_scored(
    trained: Trained, tunesmith: Command
) -> None:
    Path("rows.csv").write_text(
        "question,context,answers\nWhat?,the printer is the printer.,printer\nWhy?,It is new.,\n"
    )
    output = tunesmith("eval", trained.run.folder, "rows.csv", "--json")
    assert output.code == 0, output.err
    output = tunesmith("predict", trained.run.folder, "--file", "rows.csv", "--json")
    assert output.code == 0 and len(output.records) == 2


def test_a_question_that_is_too_long_is_refused_with_its_line(
    trained: Trained, tmp_path: Path, tunesmith: Command
) -> None:
    write(tmp_path / "rows.jsonl", [*ROWS[:8], {**ROWS[8], "question": "the " * 20}])
    bert, data = trained.folder / "bert", tmp_path / "rows.jsonl"
    output = tunesmith("train", data, "--model", bert, "--set", "train.max_length=32")
    assert output.code == 3 and "D354" in output.err and "rows.jsonl:9" in output.err
    output = tunesmith("predict", trained.run.folder, "the " * 20, "the printer", "--json")
    assert output.code == 3 and "D354" in output.err
    output = tunesmith("predict", trained.run.folder, "--file", data, "--json")
    assert output.code == 0 and output.records[8]["problem"] == "D354"


def test_every_other_command(trained: Trained, tunesmith: Command) -> None:
    trained.held_out(Path("rows.jsonl"))
    output = tunesmith("eval", trained.run.folder, "rows.jsonl", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["scores"] == pytest.approx(trained.run.scores, abs=1e-6)
    more = [f"--set={key}={value}" for key, value in trained.more.items()]
    model = ("--model", trained.folder / "bert")
    output = tunesmith("train", trained.data, *model, *more, "--dry-run", "--json")
    assert output.code == 0, output.err
    output = tunesmith("errors", trained.run.folder, "--json")
    assert output.code == 0, output.err
    output = tunesmith("errors", trained.run.folder, "--worst", "--export", "issues.csv")
    assert output.code == 0, output.err
    with Path("issues.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    table[0]["correct"] = "none" if table[0]["label"] != "none" else "the"
    with Path("issues.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    output = tunesmith("check", trained.data, "--set", "data.corrections=[issues.csv]")
    assert output.code == 0 and "1 label changed" in output.out + output.err, output.err
    output = tunesmith("calibrate", trained.run.folder)
    assert output.code == 0, output.err
    output = tunesmith("eval", trained.run.folder, "rows.jsonl", "--calibrated", "--json")
    assert output.code == 0, output.err
    assert "ece" in output.records[0]["scores"]
    output = tunesmith("predict", trained.run.folder, "--file", "rows.jsonl", "--threshold", "1")
    assert output.code == 0 and "abstained" in output.out
    output = tunesmith("report", trained.run.folder)
    assert output.code == 0, output.err
    page = (trained.run.folder / "report.html").read_text()
    assert "<mark>" in page and "invented" in page and "Calibration error" in page
    card = (trained.run.folder / "model" / "README.md").read_text()
    assert "AutoModelForQuestionAnswering" in card and "a little optimistic" in card
    assert "Longer texts are cut" not in card


def test_a_saved_task_is_the_same(trained: Trained) -> None:
    metadata: Any = json.loads((trained.run.folder / "model" / "tunesmith.json").read_text())
    again = task_from_json(metadata["task"])
    assert isinstance(again, QuestionAnswering) and again.threshold is not None
    assert json.loads(json.dumps(again.as_json())) == metadata["task"]


def test_a_plain_model_of_others_answers(trained: Trained, tmp_path: Path) -> None:
    bert = trained.folder / "bert"
    AutoModelForQuestionAnswering.from_pretrained(bert).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    model = load(tmp_path, roles=ROLES)
    scores = model.evaluate([ROWS[0], ROWS[4]])
    assert scores["f1"] is not None
