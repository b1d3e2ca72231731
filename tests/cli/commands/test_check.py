from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command

GOOD = "text,label\n" + "".join(f"text number {i} {i * 7919},{'ab'[i % 2]}\n" for i in range(20))


def test_text_output(tunesmith: Command, tickets: Path) -> None:
    output = tunesmith("check", tickets, "--model", "embedded:mini")
    assert output.code == 0
    lines = output.out.splitlines()
    assert lines[0].startswith("validation  6 rows")
    assert "            2 classes: order 30, repair 30" in lines
    assert any("tokens per row: median" in line for line in lines)
    assert lines[-1] == "0 errors, 0 warnings" or lines[-1] == "no problems"
    assert not Path("runs").exists()


def test_errors_come_first(tunesmith: Command) -> None:
    Path("a.csv").write_text(GOOD + "text number 0 0,b\n,a\n")
    output = tunesmith("check", "a.csv")
    assert output.code == 3
    severities = [
        line.split()[0] for line in output.out.splitlines() if line.startswith(("w", "e"))
    ]
    assert severities == ["error", "warning"]
    assert output.out.splitlines()[-1] == "1 error, 1 warning"
    assert output.err == ""


def test_json_output(tunesmith: Command) -> None:
    Path("a.csv").write_text(GOOD + "text number 0 0,b\n")
    (record,) = tunesmith("check", "a.csv", "--model", "embedded:mini", "--json").records
    assert record["is_good"]
    assert record["counts"] == {"error": 0, "warning": 1, "note": 0}
    (problem,) = record["problems"]
    assert problem["code"] == "D403"
    assert problem["place"] == "a.csv:22"
    assert problem["count"] == 1
    assert problem["row_numbers"] == [20]
    assert problem["evidence"] == ["a.csv:22 as a.csv:2: text number 0 0"]
    assert record["rows"] == {"validation": 2, "train": 19}
    assert record["lengths"]["rows"] == 21


def test_a_recipe_and_its_errors(tunesmith: Command) -> None:
    Path("a.csv").write_text(GOOD)
    Path("r.yaml").write_text("data:\n  train: a.csv\n  labell: x\n")
    output = tunesmith("check", "r.yaml")
    assert output.code == 2
    assert "error R101 r.yaml:3:3" in output.out
    Path("r.yaml").write_text("data:\n  train: a.csv\nmetrics: [f1, f2]\n")
    output = tunesmith("check", "r.yaml", "--json")
    assert output.code == 2
    assert output.records[0]["problems"][0]["code"] == "R110"


def test_skipped_bad_rows(tunesmith: Command) -> None:
    Path("a.csv").write_text(GOOD + ",a\n")
    assert tunesmith("check", "a.csv").code == 3
    output = tunesmith("check", "a.csv", "--on-bad-row", "skip")
    assert output.code == 0
    assert "warning D310 a.csv:22: left out: the text is empty" in output.out
    assert tunesmith("check", "a.csv", "--on-bad-row", "drop").code == 2
