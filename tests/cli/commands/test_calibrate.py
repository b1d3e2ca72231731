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
    calibrated = tunesmith("predict", run, *texts, "--calibrated", "--json").records
    assert [row["scores"].keys() for row in calibrated] == [row["scores"].keys() for row in plain]


def test_calibration_report(tunesmith: Command, run: Path) -> None:
    output = tunesmith("calibrate", run, "--goal", "accuracy=0.2")
    for word in ("temperature", "ece", "coverage", "threshold", "recall", "observed"):
        assert word in output.out
    assert "fitted on these 6 validation rows" in output.err
    assert "threshold" not in tunesmith("calibrate", run).out


def test_abstained_prediction(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("predict", trained, "the printer is broken", "--threshold", "1")
    header, row = output.out.splitlines()
    assert header.startswith("prediction\tprobability\t") and row.startswith("abstained\t0.")
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
def test_calibration_errors(
    arguments: list[str], words: str, tunesmith: Command, run: Path
) -> None:
    output = tunesmith(*arguments)
    assert output.code == 2
    assert words in output.err
    assert run.is_dir()
