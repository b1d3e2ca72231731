from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.interop.eject.conftest import TEXTS, Train, working_in
from tunesmith.data.open import open_splits
from tunesmith.data.readers.format import ReadingOptions
from tunesmith.data.readers.hub_reader import HubSplit
from tunesmith.inputs import Split
from tunesmith.inputs.label_spelling import normalize_labels
from tunesmith.interop.eject.data_cells import RowsCell, rows_cell
from tunesmith.interop.eject.source_run import SourceRun, load_run

ROWS = [{"body": text, "queue": "ab"[i % 2]} for i, text in enumerate(TEXTS)]
AS_IT_IS = ReadingOptions()
SPACE = {
    "csv": csv, "json": json, "gzip": gzip, "Dataset": datasets.Dataset,
    "DatasetDict": datasets.DatasetDict, "concatenate_datasets": datasets.concatenate_datasets,
}  # fmt: skip


def table(
    path: Path, *, delimiter: str = ",", encoding: str = "utf-8", header: str = "body"
) -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([[header, "queue"], *([row["body"], row["queue"]] for row in ROWS)])


def packed(path: Path) -> None:
    table(path.with_suffix(""))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))


WRITERS: Mapping[str, Callable[[Path], object]] = {
    "a.csv": table,
    "b.tsv": lambda path: table(path, delimiter="\t", encoding="utf-8-sig"),
    "c.csv.gz": packed,
    "d.jsonl": lambda path: path.write_text("\n".join(json.dumps(row) for row in ROWS)),
    "e.json": lambda path: path.write_text(json.dumps(ROWS)),
    "f.parquet": lambda path: datasets.Dataset.from_list(ROWS).to_parquet(str(path)),
}


@pytest.fixture(scope="module")
def run(train: Train, desk: Path) -> SourceRun:
    with working_in(desk):
        return load_run(train("single").folder, style="loop")


def reading_of(
    run: SourceRun, where: str | list[str], target: Path, options: ReadingOptions = AS_IT_IS
) -> tuple[RowsCell, Any]:
    """How a script reads some files, and what comes out when it does."""
    source = open_splits(where, options)["train"]
    split = Split("train", source, "", None, len(ROWS))
    reading = rows_cell(replace(run, splits={"train": split}), target)
    for name, lines in reading.files.items():
        target.with_name(name).write_text("".join(f"{line}\n" for line in lines))
    space: dict[str, Any] = dict(SPACE)
    exec(reading.cell.code, space)
    return reading, space["raw"]["train"].to_list()


@pytest.mark.parametrize("name", WRITERS)
def test_files_are_read_plainly(
    name: str, run: SourceRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    WRITERS[name](tmp_path / name)
    reading, rows = reading_of(run, str(tmp_path / name), tmp_path / "script.py")
    assert rows == ROWS
    assert not reading.files


def test_a_table_without_a_header_is_read_plainly(run: SourceRun, tmp_path: Path) -> None:
    for name, delimiter in (("one.csv", ","), ("two.csv", ","), ("three.tsv", "\t")):
        table(tmp_path / name, delimiter=delimiter)
        rows = (tmp_path / name).read_text().split("\n", 1)[1]
        (tmp_path / name).write_text(rows)
    options = ReadingOptions(header=("body", "queue"))
    both = [str(tmp_path / name) for name in ("one.csv", "two.csv")]
    for where, times in ((str(tmp_path / "three.tsv"), 1), (both, 2)):
        reading, rows = reading_of(run, where, tmp_path / "script.py", options)
        assert rows == ROWS * times
        assert not reading.files
        assert 'HEADER = ["body", "queue"]' in reading.cell.code


def test_normalized_labels_are_written_to_a_file(run: SourceRun, tmp_path: Path) -> None:
    """Plain reading would give the labels as the file has them."""
    table(tmp_path / "odd.csv")
    with (tmp_path / "odd.csv").open("a") as file:
        file.write("one more,A\n")
    source = open_splits(str(tmp_path / "odd.csv"))
    respelt = normalize_labels(run.task, source, known=["a", "b"])["train"]
    split = Split("train", respelt, "", None, len(ROWS) + 1)
    reading = rows_cell(replace(run, splits={"train": split}), tmp_path / "script.py")
    last = json.loads(list(reading.files["script.train.jsonl"])[-1])
    assert last == {"text": "one more", "label": "a"}


def test_several_files_are_one(run: SourceRun, tmp_path: Path) -> None:
    names = []
    for name in ("one.csv", "two.csv"):
        table(tmp_path / name)
        names.append(str(tmp_path / name))
    reading, rows = reading_of(run, names, tmp_path / "script.py")
    assert rows == ROWS * 2
    assert not reading.files


def test_rows_that_python_reads_differently_are_written(run: SourceRun, tmp_path: Path) -> None:
    """The header has spaces, which Python's reader keeps."""
    table(tmp_path / "odd.csv", header=" body ")
    reading, rows = reading_of(run, str(tmp_path / "odd.csv"), tmp_path / "script.py")
    assert list(reading.files) == ["script.train.jsonl"]
    assert rows == [{"text": row["body"], "label": row["queue"]} for row in ROWS]
    assert (reading.text, reading.label) == ("text", "label")


def test_a_hub_data_set_is_named_with_its_commit(run: SourceRun, tmp_path: Path) -> None:
    data = run.recipe.data.model_copy(update={"train": "glue/mrpc"})
    rows = datasets.Dataset.from_list(ROWS)
    split = Split(
        "train",
        HubSplit.of(rows, "nyu-mll/glue/mrpc:train", revision="c0ffee"),
        "",
        None,
        len(rows),
    )
    changed = replace(
        run, splits={"train": split}, recipe=run.recipe.model_copy(update={"data": data})
    )
    code = rows_cell(changed, tmp_path / "x.py").cell.code
    assert 'DATASET = ["nyu-mll/glue", "mrpc"]' in code
    assert 'COMMIT = "c0ffee"' in code
    assert 'load(SPLITS["train"])' in code


def test_drawn_rows_are_listed(run: SourceRun, desk: Path) -> None:
    with working_in(desk):
        reading = rows_cell(run, Path("drawn.py"))
        (line,) = reading.files["drawn.rows.json"]
    held = json.loads(line)
    for name, split in run.splits.items():
        assert split.places is not None
        assert held[name] == split.places.tolist()
