"""Bad rows stop everything, or are left out, counted and written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.errors import DataError, Severity
from tunesmith.inputs import ValidatedInputs, check, look
from tunesmith.recipe import gather
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.prepare import make_job
from tunesmith.runs.start import inputs_of, write_inputs

GOOD = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(20))
BAD = GOOD + ",a\nfine,b\nno label,\nthree,fields,a\nalso fine,a\n"


def checked(path: Path, *sets: str) -> ValidatedInputs:
    layers = gather(
        sets=["model=embedded:mini", f"data.train={path}", "data.validation=null", *sets],
        environment={},
    )
    return check(look(layers))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text(BAD)
    return path


def test_left_out_rows_are_told_and_the_others_are_used(bad: Path) -> None:
    found = checked(bad, "data.on_bad_row=skip")
    train = found.splits["train"]
    assert train.num_rows == 22
    assert [(p.code, p.severity) for p in found.warnings] == [
        ("D110", Severity.WARNING),
        ("D310", Severity.WARNING),
        ("D201", Severity.WARNING),
    ]
    assert all(problem.message.startswith("left out: ") for problem in found.warnings)
    assert not found.rejected
    assert train.source.places([20, 21])[21].line == 26
    examples = make_job(found).examples["train"]
    assert len(examples) == 22


def test_the_default_stops(bad: Path) -> None:
    with pytest.raises(DataError) as caught:
        checked(bad)
    assert {problem.code for problem in caught.value.problems} == {"D110", "D310", "D201"}


def test_left_out_is_another_content(bad: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.csv"
    clean.write_text(GOOD)
    digests = {
        checked(path, f"data.on_bad_row={policy}").splits["train"].digest
        for path, policy in ((bad, "skip"), (clean, "skip"), (clean, "fail"))
    }
    assert len(digests) == 2  # nothing is left out of the clean file


def test_shares_are_drawn_from_what_is_left(bad: Path) -> None:
    found = checked(bad, "data.on_bad_row=skip", "data.validation=20%")
    rows = {
        name: {split.source.places([place])[place].line for place in split.places}
        for name, split in found.splits.items()
        if split.places is not None
    }
    assert len(rows["train"] | rows["validation"]) == 22
    assert not {22, 24, 25} & (rows["train"] | rows["validation"])


def test_a_test_split_that_lacks_some_labels(bad: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.csv"
    clean.write_text(GOOD)
    found = checked(clean, f"data.test={bad}", "data.on_bad_row=skip")
    assert found.splits["test"].num_rows == 22
    assert found.splits["test"].is_labelled
    assert make_job(found).examples["test"].labels.shape == (22,)


def test_quarantine_writes_what_was_left_out_with_its_reason(bad: Path, tmp_path: Path) -> None:
    layers = gather(
        sets=["model=embedded:mini", f"data.train={bad}", "data.on_bad_row=quarantine"],
        environment={},
    )
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    found = inputs_of(layers, run)
    write_inputs(run, found.recipe, found.layers, found.rejected)
    written = [json.loads(line) for line in run.rejected.read_text().splitlines()]
    assert [(row["split"], row["place"], row["code"]) for row in written] == [
        ("train", f"{bad}:22", "D310"),
        ("train", f"{bad}:24", "D201"),
        ("train", f"{bad}:25", "D110"),
    ]
    assert written[1]["values"] == {"text": "no label", "label": ""}
    assert "three,fields,a" in written[2]["reason"]


@pytest.mark.parametrize("content", ["text,label\n,a\n,b\n", 'text,label\nx,a\n"open,b\n'])
def test_what_leaves_no_good_row_or_cannot_be_read_stops(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError):
        checked(path, "data.on_bad_row=skip", "data.text=text", "data.label=label")
