from __future__ import annotations

import csv
from pathlib import Path

from tests.capabilities import needs
from tests.cli.conftest import Command


def test_all_at_once(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("errors", trained)
    assert output.code == 0
    assert "worst of the validation rows" in output.out and "tickets.csv:" in output.out
    assert "probably mislabeled" in output.out or "the model is too weak" in output.err
    assert "by cross-validation" in output.err


def test_one_kind_as_json(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("errors", trained, "--worst", "--top", 2, "--split", "train", "--json")
    assert output.code == 0
    (record,) = output.records
    assert set(record) == {"run", "worst"} and len(record["worst"]) == 2
    first, second = record["worst"]
    assert first["loss"] >= second["loss"] and first["split"] == "train"
    assert first["place"].rsplit(":", 1)[0].endswith("tickets.csv")


def test_too_few_rows_for_slices(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("errors", trained, "--slices", "--split", "validation")
    assert output.code == 0
    assert output.out.endswith("no slice has enough rows to be scored apart\n")


def test_export_and_corrections(
    tunesmith: Command, trained: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    output = tunesmith("errors", trained, "--worst", "--top", 3, "--export", "t.csv")
    assert output.code == 0 and "3 rows in t.csv\n" in output.err and "\\u" not in output.err
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    lines[0]["correct"] = {"repair": "order", "order": "repair"}[lines[0]["label"]]
    lines[1]["correct"] = "remove"

    def write() -> None:
        with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.DictWriter(file, list(lines[0]))
            table.writeheader()
            table.writerows(lines)

    write()
    data = trained.parents[1] / "tickets.csv"
    words = ["train", data, "--model", tiny_bert, "--corrections", "t.csv", "--out", "again"]
    words += ["--set", "train.max_steps=1"]
    output = tunesmith(*words)
    assert output.code == 0, output.err
    assert "t.csv: 1 label changed, 1 row left out" in output.err
    assert tunesmith(*words).code == 0
    (tmp_path / "again" / "model" / "MANIFEST.json").unlink()
    lines[1]["correct"] = ""
    write()
    output = tunesmith(*words)
    assert output.code == 6 and "C104" in output.err
    lines[0]["mark"] = "m0"
    write()
    output = tunesmith(*words[:-4], "--out", "third")
    assert output.code == 3 and "R177" in output.err and "t.csv:2" in output.err


def test_unknown_run(tunesmith: Command, tmp_path: Path) -> None:
    output = tunesmith("errors", tmp_path)
    assert output.code == 2 and "C113" in output.err
    output = tunesmith("errors", tmp_path, "--split", "dev")
    assert output.code == 2


@needs("links")
def test_existing_table_is_not_replaced(tunesmith: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "filled.csv").write_text("an hour of somebody's work")
    (tmp_path / "nowhere.csv").symlink_to("gone.csv")
    words = ("errors", trained, "--worst", "--split", "validation", "--export")
    for name in ("filled.csv", "nowhere.csv"):
        output = tunesmith(*words, name)
        assert output.code == 2
        assert f"R115 {name}" in output.err and "--export" in output.err and "--force" in output.err
        assert output.out == ""  # before anything was computed
    assert (tmp_path / "filled.csv").read_text() == "an hour of somebody's work"
    output = tunesmith(*words, "filled.csv", "--force")
    assert output.code == 0
    assert (tmp_path / "filled.csv").read_text(encoding="utf-8-sig").startswith("split,row,")


def test_headings_are_in_one_language(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("--lang", "zh", "errors", trained, "--worst").out
    assert "验证集中最差的行" in output
    assert "标签概率" in output
    assert "validation" not in output
    output = tunesmith("runs", "show", trained, "--lang", "zh").out
    assert "验证集" in output and "validation" not in output
