from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.analysis.label_errors.test_held_out import fixed_tickets, flipped
from tests.runs.sealed import resealed
from tunesmith.analysis.label_errors import examine
from tunesmith.api.runs import Run
from tunesmith.api.train import train
from tunesmith.errors import IntegrityError, RecipeError
from tunesmith.inputs.corrections_table import mark_of
from tunesmith.runs.folder import RunFolder


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Run, set[int]]:
    """A finished run on rows of which some bear another label than they should."""
    folder = tmp_path_factory.mktemp("flawed")
    rows = fixed_tickets()[:400]
    wrong = flipped(rows, share=0.03)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        table.writerows([row["text"], row["label"]] for row in rows)
    run = train(
        str(folder / "rows.csv"),
        out=folder / "run",
        model=str(tiny_bert),
        settings={"train.max_steps": 3, "train.batch_size": 32, "data.test": "10%"},
    )
    return run, wrong


def test_flipped_rows_come_first(flawed: tuple[Run, set[int]]) -> None:
    run, wrong = flawed
    result = run.errors(len(wrong), kind="suspect", split="train")
    assert sum(row.row in wrong for row in result) >= 0.75 * len(result) > 3
    texts = [line.rsplit(",", 1) for line in open_lines(run)]
    for row in result:
        assert row.gold != row.suggested and row.place.line is not None
        assert texts[row.place.line - 1][1] == row.gold


def open_lines(run: Run) -> list[str]:
    return (run.folder.parent / "rows.csv").read_text(encoding="utf-8").splitlines()


def test_the_worst_are_those_of_the_predictions(flawed: tuple[Run, set[int]]) -> None:
    run, _wrong = flawed
    examined = examine(RunFolder(run.folder))
    assert list(examined.answered) == ["validation", "test", "train"] and not examined.warnings
    assert len(examined.held_out.rows) == 40 and examined.held_out.split == "validation"
    losses = [row.loss for row in examined.worst()]
    assert losses == sorted(losses, reverse=True)
    mean = run.scores["loss"]
    assert mean is not None and sum(losses) / len(losses) == pytest.approx(mean, rel=1e-4)
    right = sum(row.gold == row.predicted for row in examined.worst())
    assert right / 40 == pytest.approx(run.scores["accuracy"])
    assert sum(pair.count for pair in examined.confused()) == 40 - right
    assert run.errors(3, split="test")[0].split == "test"


def test_weak_answers_accuse_no_one(flawed: tuple[Run, set[int]]) -> None:
    """The model learned nothing in three steps: its own rows are shown only if asked for alone."""
    run, _wrong = flawed
    examined = examine(RunFolder(run.folder))
    weak = {str(problem.place) for problem in examined.weak_answers()}
    assert "train" not in weak and not weak & {row.split for row in examined.suspect()}
    for split in weak:
        alone = examine(RunFolder(run.folder), split)
        assert len(alone.suspect()) > len(alone.held_out.rows) / 10


def test_export_speaks_of_the_source(flawed: tuple[Run, set[int]], tmp_path: Path) -> None:
    """Validation rows are drawn from the training file, so that is where their labels lie."""
    run, _wrong = flawed
    examined = examine(RunFolder(run.folder), "validation")
    assert examined.export(examined.worst(4), tmp_path / "t.csv") == 4
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    for row, cells in zip(examined.worst(4), lines, strict=True):
        assert (cells["split"], int(cells["row"])) == ("train", row.row)
        assert cells["label"] == row.gold and cells["correct"] == ""
        assert cells["mark"] == mark_of(row.texts)


def test_a_corrected_run(flawed: tuple[Run, set[int]], tiny_bert: Path, tmp_path: Path) -> None:
    """Corrected labels are learned, and the next table still knows the rows of the file."""
    run, wrong = flawed
    examined = examine(RunFolder(run.folder), "train")
    examined.export(examined.suspect(), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    for i, cells in enumerate(lines):
        cells["correct"] = "remove" if i == 0 else cells["suggested"]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    again = train(
        str(run.folder.parent / "rows.csv"),
        out=tmp_path / "again",
        model=str(tiny_bert),
        settings={"train.max_steps": 1, "data.corrections": [str(tmp_path / "t.csv")]},
    )
    examined = examine(RunFolder(again.folder))
    still = [row for row in examined.suspect() if row.split == "train"]
    changed = {int(cells["row"]) for cells in lines}
    examined.export(still, tmp_path / "again.csv")
    with (tmp_path / "again.csv").open(encoding="utf-8-sig", newline="") as file:
        by_file = {int(cells["row"]) for cells in csv.DictReader(file)}
    assert len(changed & wrong) >= 5 and not by_file & changed & wrong


def test_data_that_is_not_at_hand(flawed: tuple[Run, set[int]], tmp_path: Path) -> None:
    run, _wrong = flawed
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    recipe = (folder / "recipe.yaml").read_text()
    data = tmp_path / "rows.csv"
    (folder / "recipe.yaml").write_text(recipe.replace(str(run.folder.parent), str(tmp_path)))
    data.write_text("\n".join(open_lines(run)[:-1]) + "\nwe want more soup,order\n")
    for expected in ("changed since the run began", "no such file"):
        examined = examine(RunFolder(folder))
        assert "C131" in str(examined.warnings[0]) and expected in str(examined.warnings[0])
        assert list(examined.answered) == ["validation", "test"]
        assert str(examined.worst(1)[0].place).startswith("validation[")
        with pytest.raises(IntegrityError, match="C131"):
            examined.export(examined.worst(1), tmp_path / "t.csv")
        with pytest.raises(IntegrityError, match="C131"):
            examine(RunFolder(folder), "train")
        data.unlink(missing_ok=True)


def test_other_runs_are_refused(flawed: tuple[Run, set[int]], tmp_path: Path) -> None:
    run, _wrong = flawed
    with pytest.raises(RecipeError, match="C114"):
        examine(RunFolder(tmp_path))
    folder = RunFolder(tmp_path / "copy")
    shutil.copytree(run.folder, folder.path)
    (folder.predictions / "validation.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="C132"):
        examine(folder, "validation")
    with resealed(folder) as predictions:
        for path in predictions.glob("*.parquet"):
            path.unlink()
    with pytest.raises(RecipeError, match="R179"):
        examine(folder, "test")
