"""Long texts in windows, through a small run and what is done with its model."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.cli.conftest import Command, tunesmith
from tests.conftest import WORDS, make_tiny_bert
from tests.runs import children
from tests.runs.children import ended, start_pair
from tests.tasks.short_runs import PLAIN, ShortRun, losses, resumes_bit_for_bit
from tunesmith.api.runs import Run
from tunesmith.inference.load import load

__all__ = ["tunesmith"]  # the fixture


def long_rows(count: int = 40) -> list[tuple[str, str]]:
    """Texts of 4 to 90 words, whose class is in their last word."""
    rows = []
    for i in range(count):
        length = 4 + (i * 37) % 87
        words = [WORDS[(i * 7 + j * (1 + i % 3)) % len(WORDS)] for j in range(length)]
        rows.append((" ".join([*words, ("good", "bad")[i % 2]]), ("yes", "no")[i % 2]))
    return rows


@dataclass(frozen=True)
class Trained(ShortRun):
    """Texts of up to five windows."""

    data_name = "long.csv"
    columns = ("text", "label")
    more: ClassVar[Mapping[str, object]] = {
        "task": "text-classification", "train.max_length": 24,
        "options.long": "windows", "options.max_windows": 4
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("long")
    make_tiny_bert(folder / "bert", layers=1)
    done = Trained(folder)
    with done.data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *long_rows()])
    done.train(done.run.folder)
    return done


def test_each_text_is_scored_once(trained: Trained) -> None:
    rows = [record.row for record in trained.records]
    assert len(rows) == len(set(rows)) == 12
    right = [record.answer["label"] == record.values["label"] for record in trained.records]
    assert trained.run.scores["accuracy"] == pytest.approx(np.mean(right))


def test_a_killed_run_is_resumed_bit_for_bit(trained: Trained, tmp_path: Path) -> None:
    assert resumes_bit_for_bit(trained, tmp_path / "run")


def test_the_fast_engine_and_two_processes_compute_the_same(
    trained: Trained, tmp_path: Path
) -> None:
    pair = start_pair(children.train, *trained.arguments(tmp_path / "pair", **PLAIN))
    exact = trained.train(tmp_path / "exact", **PLAIN)
    fast = trained.train(tmp_path / "fast", **PLAIN, **{"train.engine": "fast"})
    small = trained.train(tmp_path / "small", **PLAIN, **{"train.micro_batch_size": 1})
    assert ended(pair) == [0, 0], (tmp_path / "error.txt").read_text()
    engine = json.loads((fast.folder / "plan.json").read_text())["engine"]
    assert engine["name"] == "fast" and engine["layout"].startswith("first token")
    for other in (fast, small, Run(tmp_path / "pair")):
        np.testing.assert_allclose(losses(other.folder), losses(exact.folder), atol=1e-5)
        assert other.scores == pytest.approx(exact.scores, abs=1e-5)


def test_where_no_text_is_long_windows_change_no_bit(trained: Trained, tmp_path: Path) -> None:
    runs = [
        trained.train(tmp_path / how, **{"train.max_length": 64, "train.max_steps": 3, **more})
        for how, more in (
            ("windows", {"data.train": [str(short(trained))]}),
            ("head", {"data.train": [str(short(trained))], "options.long": "head"}),
        )
    ]
    assert losses(runs[0].folder) == losses(runs[1].folder)
    models = [(run.folder / "model" / "model.safetensors").read_bytes() for run in runs]
    assert models[0] == models[1]
    assert runs[0].scores == runs[1].scores


def short(trained: Trained) -> Path:
    path = trained.folder / "short.csv"
    rows = [row for row in long_rows(90) if len(row[0].split()) < 60]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def test_predictions_are_of_texts(trained: Trained, tunesmith: Command) -> None:
    expected = [record.answer for record in trained.records]
    texts = [str(record.values["text"]) for record in trained.records]
    for answer, other in zip(load(trained.run.folder).predict(texts), expected, strict=True):
        assert answer["label"] == other["label"]
        assert answer["scores"] == pytest.approx(other["scores"], abs=1e-6)
    with Path("rows.csv").open("w", newline="") as file:
        rows = [(text, r.values["label"]) for text, r in zip(texts, trained.records, strict=True)]
        csv.writer(file).writerows([("text", "label"), *rows])
    output = tunesmith("eval", trained.run.folder, "rows.csv", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["scores"] == pytest.approx(trained.run.scores, abs=1e-6)
    output = tunesmith("predict", trained.run.folder, "--file", "rows.csv", "--json")
    assert output.code == 0, output.err
    assert [line["label"] for line in output.records] == [one["label"] for one in expected]


def test_every_other_command(trained: Trained, tunesmith: Command) -> None:
    output = tunesmith("errors", trained.run.folder, "--worst", "--json")
    assert output.code == 0, output.err
    assert len(output.records[0]["worst"]) <= 12
    output = tunesmith("calibrate", trained.run.folder, "--goal", "accuracy=0.01")
    assert output.code == 0, output.err
    output = tunesmith("report", trained.run.folder)
    assert output.code == 0, output.err
    card = (trained.run.folder / "model" / "README.md").read_text()
    assert "return_overflowing_tokens=True" in card
    assert "of 40 rows were not read whole" in card and "texts are cut" not in card


def test_the_lines_of_the_card_predict_the_same(trained: Trained, capsys: Any) -> None:
    model = load(trained.run.folder)
    folder = trained.run.folder / "model"
    for words in (3, 30, 200):
        text = " ".join([*WORDS * 6][:words])
        code = model.task.usage.replace("path/to/this/folder", str(folder)).replace("…", text)
        exec(code, {})
        said = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])
        (answer,) = model.predict([text])
        assert said == pytest.approx(answer["scores"], abs=1e-6)
