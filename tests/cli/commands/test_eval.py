from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather


def test_scores_of_labeled_data(tunesmith: Command, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    (record,) = tunesmith("eval", trained, data, "--json").records
    assert set(record["scores"]) == {"f1", "accuracy", "loss"}
    output = tunesmith("eval", trained, data)
    assert f"{record['scores']['f1']:.4f}" in output.out
    assert output.table[0].split()[0] == "tickets.csv"  # a file of one's own is not headed "train"
    assert record["split"] == "train"
    low, high = record["intervals"]["accuracy"]
    assert low <= record["scores"]["accuracy"] <= high
    assert f"{low:.4f} to {high:.4f}" in output.out
    assert record["baselines"]["constant"]["accuracy"] == 0.5


def test_other_scores_and_splits(tunesmith: Command, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    output = tunesmith("eval", trained, data, "--metric", "matthews_correlation", "--json")
    assert set(output.records[0]["scores"]) == {"matthews_correlation", "loss"}
    assert "R110" in tunesmith("eval", trained, data, "--metric", "acuracy").err
    wrong = tunesmith("eval", trained, data, "--split", "trian")
    assert wrong.code == 3
    assert 'did you mean "train"' in wrong.err


def test_a_split_heads_its_table(tunesmith: Command, trained: Path) -> None:
    Path("data").mkdir()
    for name in ("train", "test"):
        Path(f"data/{name}.csv").write_text("body,queue\na new phone,order\nbroken,repair\n")
    for arguments in ((), ("--split", "test")):
        output = tunesmith("eval", trained, "data", *arguments)
        assert output.table[0].split()[0] == "test"


def test_a_run_by_its_name(tunesmith: Command, trained: Path) -> None:
    """The same rule for each command that reads a model, and no look at the Hub."""
    data = trained.parents[1] / "tickets.csv"
    root = ("--root", trained.parent)
    by_path = tunesmith("eval", trained, data, "--json").records[0]
    by_name = tunesmith("eval", "tickets", data, "--json", *root).records[0]
    assert by_name["baselines"]["tfidf"] == by_path["baselines"]["tfidf"]
    assert by_name["scores"] == by_path["scores"]
    assert tunesmith("predict", "tickets", "x", *root).code == 0
    shutil.copytree(trained.parent, "runs")
    assert tunesmith("predict", "tickets", "x").code == 0
    for model, meant in (("tikcets", "tickets"), ("embeded:mini", "embedded:mini")):
        output = tunesmith("predict", model, "x")
        assert output.code in (2, 4)
        assert meant in output.err


def test_rows_that_cannot_be_scored(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("body,queue\nx,order\ny,unknown\nz,\n")
    output = tunesmith("eval", trained, "new.csv")
    assert output.code == 3
    assert "new.csv:3" in output.err
    assert "new.csv:4" in output.err


def test_columns_option_and_normalized_labels(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("the printer is broken,Repair\na new phone,order\n")
    names = ("--columns", "body,queue")
    output = tunesmith("eval", trained, "new.csv", *names)
    assert output.code == 3
    assert "Use --normalize-labels" in output.err
    output = tunesmith("eval", trained, "new.csv", *names, "--normalize-labels", "--json")
    assert output.code == 0
    assert "D114" in tunesmith("eval", trained, "new.csv", "--columns", "body").err


def test_baselines_are_those_of_the_run(tunesmith: Command, trained: Path, tmp_path: Path) -> None:
    """On the run's own validation rows they score what the run wrote down."""
    facts = json.loads((trained / "model" / "tunesmith.json").read_text())
    checked = validate_inputs(resolve_inputs(gather(file=trained / "recipe.yaml", environment={})))
    split = checked.splits["validation"]
    assert split.places is not None
    held = set(split.places.tolist())
    rows = [row.values for chunk in split.source.chunks() for row in chunk if row.index in held]
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(dict(row)) + "\n" for row in rows))
    for model in (trained, trained / "model"):
        (record,) = tunesmith("eval", model, tmp_path / "v.jsonl", "--json").records
        for name, scores in facts["baselines"]["validation"].items():
            assert record["baselines"][name] == pytest.approx(scores)
    assert "TF-IDF" in tunesmith("eval", trained, tmp_path / "v.jsonl").out


def test_no_tfidf_baseline_without_the_training_rows(
    tunesmith: Command, trained: Path, tmp_path: Path
) -> None:
    data = trained.parents[1] / "tickets.csv"
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    written = data.read_text()
    try:
        data.write_text(written + "99,one more printer,repair\n")
        output = tunesmith("eval", run, data)
        assert "training rows are not available (they changed since)" in output.err
        data.write_text(written)
        assert "TF-IDF baseline: " not in tunesmith("eval", run, data).err
    finally:
        data.write_text(written)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace(str(data), "gone.csv"))
    assert "gone.csv: no such file" in tunesmith("eval", run, data).err
    shutil.copytree(trained / "model", tmp_path / "alone")
    assert "its run was not found" in tunesmith("eval", tmp_path / "alone", data).err
