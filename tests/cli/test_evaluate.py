from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_scores_of_labelled_data(tunesmith: Command, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    (record,) = tunesmith("eval", trained, data, "--json").records
    assert set(record["scores"]) == {"f1", "accuracy", "loss"}
    said = tunesmith("eval", trained, data)
    assert f"{record['scores']['f1']:.4f}" in said.out
    low, high = record["intervals"]["accuracy"]
    assert low <= record["scores"]["accuracy"] <= high
    assert f"{low:.4f} to {high:.4f}" in said.out
    assert record["baselines"]["constant"]["accuracy"] == 0.5


def test_other_scores_and_splits(tunesmith: Command, trained: Path) -> None:
    data = trained.parents[1] / "tickets.csv"
    said = tunesmith("eval", trained, data, "--metric", "matthews_correlation", "--json")
    assert set(said.records[0]["scores"]) == {"matthews_correlation", "loss"}
    assert "R110" in tunesmith("eval", trained, data, "--metric", "acuracy").err
    wrong = tunesmith("eval", trained, data, "--split", "trian")
    assert wrong.code == 3
    assert 'did you mean "train"' in wrong.err


def test_rows_that_cannot_be_scored(tunesmith: Command, trained: Path) -> None:
    Path("new.csv").write_text("body,queue\nx,order\ny,unknown\nz,\n")
    said = tunesmith("eval", trained, "new.csv")
    assert said.code == 3
    assert "new.csv:3" in said.err
    assert "new.csv:4" in said.err


def test_tables_without_a_header_and_labels_spelt_otherwise(
    tunesmith: Command, trained: Path
) -> None:
    Path("new.csv").write_text("the printer is broken,Repair\na new phone,order\n")
    names = ("--no-header", "body,queue")
    said = tunesmith("eval", trained, "new.csv", *names)
    assert said.code == 3
    assert "Use --normalise-labels" in said.err
    said = tunesmith("eval", trained, "new.csv", *names, "--normalise-labels", "--json")
    assert said.code == 0
    assert "D114" in tunesmith("eval", trained, "new.csv", "--no-header", "body").err
