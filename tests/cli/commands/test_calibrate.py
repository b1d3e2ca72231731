from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "tickets"))


def test_fit_then_follow(tunesmith: Command, run: Path, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    (record,) = tunesmith("calibrate", "tickets", "--goal", "accuracy=0.2", "--json").records
    assert record["rule"] == "unsure"
    assert record["rows"] == 6
    assert record["before"]["accuracy"] is not None
    (scores,) = tunesmith("eval", run, data, "--calibrated", "--json").records
    assert set(scores["scores"]) == {"f1", "accuracy", "loss", "ece", "coverage"}
    assert "coverage" in tunesmith("eval", run, data, "--threshold", "0.5").out
    texts = ["the printer is broken again", "send me a new phone"]
    plain = tunesmith("predict", run, *texts, "--json").records
    found = tunesmith("predict", run, *texts, "--calibrated", "--json").records
    assert [row["scores"].keys() for row in found] == [row["scores"].keys() for row in plain]


def test_it_is_shown(tunesmith: Command, run: Path) -> None:
    said = tunesmith("calibrate", run, "--goal", "accuracy=0.2")
    for word in ("temperature", "ece", "coverage", "threshold", "recall", "came true"):
        assert word in said.out
    assert "fitted on 6 validation rows" in said.err
    assert "threshold" not in tunesmith("calibrate", run).out


def test_an_unsure_answer_is_shown_as_one(tunesmith: Command, trained: Path) -> None:
    said = tunesmith("predict", trained, "the printer is broken", "--threshold", "1")
    header, row = said.out.splitlines()
    assert header.startswith("prediction\tprobability\t") and row.startswith("unsure\t0.")
    (record,) = tunesmith("predict", trained, "x", "--threshold", "1", "--json").records
    assert record["label"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["calibrate", "nothing"], "C113"),
        (["calibrate", "tickets", "--goal", "f2"], "R180"),
        (["calibrate", "tickets", "--goal", "precision=2"], "R180"),
        (["predict", "runs/tickets", "x", "--calibrated"], "M152"),
        (["predict", "runs/tickets", "x", "--threshold", "2"], "R100"),
    ],
)
def test_what_cannot_be_done(
    arguments: list[str], words: str, tunesmith: Command, run: Path
) -> None:
    said = tunesmith(*arguments)
    assert said.code == 2
    assert words in said.err
    assert run.is_dir()
