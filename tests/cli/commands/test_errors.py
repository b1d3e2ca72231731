from __future__ import annotations

import csv
from pathlib import Path

from tests.cli.conftest import Command


def test_all_at_once(tunesmith: Command, trained: Path) -> None:
    said = tunesmith("errors", trained)
    assert said.code == 0
    assert "worst of the validation rows" in said.out and "tickets.csv:" in said.out
    assert "probably mislabelled" in said.out or "too weak to tell" in said.err
    assert "have not seen them" in said.err


def test_one_kind_as_json(tunesmith: Command, trained: Path) -> None:
    said = tunesmith("errors", trained, "--worst", "--top", 2, "--split", "train", "--json")
    assert said.code == 0
    (record,) = said.records
    assert set(record) == {"run", "worst"} and len(record["worst"]) == 2
    first, second = record["worst"]
    assert first["loss"] >= second["loss"] and first["split"] == "train"
    assert first["place"].rsplit(":", 1)[0].endswith("tickets.csv")


def test_a_table_to_fill_in_and_back(
    tunesmith: Command, trained: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    said = tunesmith("errors", trained, "--worst", "--top", 3, "--export", "t.csv")
    assert said.code == 0 and "3 rows in t.csv\n" in said.err and "\\u" not in said.err
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
    said = tunesmith(*words)
    assert said.code == 0, said.err
    assert "t.csv: 1 label changed, 1 row left out" in said.err
    assert tunesmith(*words).code == 0
    (tmp_path / "again" / "model" / "MANIFEST.json").unlink()
    lines[1]["correct"] = ""
    write()
    said = tunesmith(*words)
    assert said.code == 6 and "C104" in said.err
    lines[0]["mark"] = "m0"
    write()
    said = tunesmith(*words[:-4], "--out", "third")
    assert said.code == 3 and "R177" in said.err and "t.csv:2" in said.err


def test_what_is_no_run(tunesmith: Command, tmp_path: Path) -> None:
    said = tunesmith("errors", tmp_path)
    assert said.code == 2 and "C113" in said.err
    said = tunesmith("errors", tmp_path, "--split", "dev")
    assert said.code == 2


def test_a_table_that_is_there_is_replaced_only_when_asked(
    tunesmith: Command, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "filled.csv").write_text("an hour of somebody's work")
    (tmp_path / "nowhere.csv").symlink_to("gone.csv")
    words = ("errors", trained, "--worst", "--split", "validation", "--export")
    for name in ("filled.csv", "nowhere.csv"):
        said = tunesmith(*words, name)
        assert said.code == 2
        assert f"R115 {name}" in said.err and "--export" in said.err and "--force" in said.err
        assert said.out == ""  # before anything was computed
    assert (tmp_path / "filled.csv").read_text() == "an hour of somebody's work"
    said = tunesmith(*words, "filled.csv", "--force")
    assert said.code == 0
    assert (tmp_path / "filled.csv").read_text(encoding="utf-8-sig").startswith("split,row,")


def test_headings_are_in_one_language(tunesmith: Command, trained: Path) -> None:
    said = tunesmith("--lang", "zh", "errors", trained, "--worst").out
    assert "验证集中最差的行" in said
    assert "标签概率" in said
    assert "validation" not in said
    said = tunesmith("runs", "show", trained, "--lang", "zh").out
    assert "验证集" in said and "validation" not in said
