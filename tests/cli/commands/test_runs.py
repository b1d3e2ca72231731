from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Command
from tests.house import heavy_modules_after


def test_list_show_compare(tunesmith: Command, trained: Path, tiny_bert: Path) -> None:
    root = trained.parent
    data = root.parent / "tickets.csv"
    tunesmith(
        "train",
        data,
        "--model",
        tiny_bert,
        "--out",
        root / "other",
        "--set",
        "train.epochs=2",
        "-q",
    )
    output = tunesmith("runs", "list", "--root", root)
    assert [line.split()[0] for line in output.out.splitlines()[1:]] == ["other", "tickets"]
    assert "finished" in output.out
    for line in output.out.splitlines()[1:]:
        assert line.split()[-2:] == ["bert", "tickets.csv"]  # no paths of this machine
    records = tunesmith("runs", "list", "--root", root, "--json").records
    assert records[0]["model"] == str(tiny_bert)
    assert [r["step"] for r in records] == [14, 7]
    shown = tunesmith("runs", "show", "tickets", "--root", root)
    assert "← best" in shown.out
    (record,) = tunesmith("runs", "show", trained, "--json").records
    assert record["state"] == "finished"
    assert record["evaluations"][0]["step"] == 7
    compared = tunesmith("runs", "compare", "tickets", "other", "--root", root)
    assert "train.epochs" in compared.out
    assert "1 → 2" in compared.out
    assert "validation f1" in compared.out
    same = tunesmith("runs", "compare", trained, trained)
    assert "the recipes are equal" in same.out


def test_stopped_run(tunesmith: Command, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "half")
    shutil.rmtree(tmp_path / "runs" / "half" / "model")
    assert "stopped" in tunesmith("runs", "list").out


def test_a_run_that_never_started(tunesmith: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / "new").mkdir(parents=True)
    (tmp_path / "runs" / "new" / "recipe.yaml").write_text("data: {train: x.csv}\n")
    output = tunesmith("runs", "list")
    assert output.out.splitlines()[1].split() == ["new", "not", "started", "0/-", "-", "-", "-"]


def test_none_and_no_such_run(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("runs", "list")
    assert output.code == 0
    assert "no runs in runs" in output.err
    wrong = tunesmith("runs", "show", "tikets", "--root", trained.parent)
    assert wrong.code == 2
    assert 'did you mean "tickets"' in wrong.err


def test_explain(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("runs", "explain", "tickets", "--root", trained.parent)
    assert output.code == 0
    lines = {line.split()[0]: line for line in output.out.splitlines()}
    assert list(lines) == ["train", "validation", "diagnosis", "try"]
    assert "too short to tell" in lines["diagnosis"]
    (record,) = tunesmith("runs", "explain", trained, "--json").records
    assert record["assessments"][0]["diagnosis"] == "too short to tell"
    assert record["try"] == {"key": "train.epochs", "value": "2"}
    assert lines["try"].endswith("train.epochs: 2")


def test_explain_loads_nothing_heavy(trained: Path) -> None:
    arguments = ["runs", "explain", str(trained)]
    code = f"from tunesmith.cli import main\nassert main({arguments!r}) == 0"
    assert heavy_modules_after(code, trained) == []


@pytest.mark.parametrize("verb", ["list", "show", "compare", "explain", "delete"])
def test_help_has_examples(verb: str, tunesmith: Command) -> None:
    assert "Examples:" in tunesmith("runs", verb, "--help").out


def test_compare_reports_significance(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("runs", "compare", trained, trained)
    assert "0 of 6 examples (0 fixed, 0 broken; McNemar p = 1): the same" in output.out
    assert re.search(
        r"f1 +\S+ → \S+  \+0\.0000 \(95%: (-0\.\d+ to \+0\.\d+)\): the same", output.out
    )
    (record,) = tunesmith("runs", "compare", trained, trained, "--json").records
    difference = record["differences"]["validation"]
    assert difference["rows"] == 6
    assert difference["scores"]["accuracy"]["is_sure"] is False
    assert difference["changes"] == {"fixed": [], "broken": [], "p_value": 1.0}


def test_show_has_the_score_table(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("runs", "show", trained)
    assert "TF-IDF" in output.out
    (record,) = tunesmith("runs", "show", trained, "--json").records
    assert set(record["summary"]["intervals"]["validation"]) == {"f1", "accuracy", "loss"}


def test_list_with_a_damaged_run(tunesmith: Command, trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    harms = {"facts": "model/tunesmith.json", "plan": "plan.json"}
    for name in ("whole", *harms):
        shutil.copytree(trained, root / name)
    for name, file in harms.items():
        (root / name / file).write_text('{"plan": 5}')
    (root / "lost").mkdir()
    (root / "lost" / "events.jsonl").write_text("5\n")
    output = tunesmith("runs", "list")
    assert output.code == 0
    states = {line.split()[0]: line.split()[1] for line in output.out.splitlines()[1:]}
    assert states == dict.fromkeys((*harms, "lost"), "damaged") | {"whole": "finished"}
    assert output.err.count("warning C138") == 3
    records = {Path(r["run"]).name: r["state"] for r in tunesmith("runs", "list", "--json").records}
    assert records == states
    for name in harms:
        for verb in (["runs", "show"], ["report"]):
            shown = tunesmith(*verb, name)
            assert shown.code in (2, 6)
            assert "M000" not in shown.err


def test_damaged_lines_are_skipped_and_reported(
    tunesmith: Command, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "odd"
    shutil.copytree(trained, run)
    with (run / "events.jsonl").open("a") as file:
        file.write("5\n")
    for verb in (["runs", "show"], ["runs", "explain"], ["report"]):
        output = tunesmith(*verb, "odd")
        assert output.code == 0
        assert "warning C129" in output.err
        assert "1 damaged line is skipped" in output.err


def test_a_report_without_its_plan(tunesmith: Command, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "odd")
    (tmp_path / "runs" / "odd" / "plan.json").unlink()
    output = tunesmith("report", "odd")
    assert output.code == 6
    assert "C138" in output.err and "the file is missing" in output.err


class Typed(io.TextIOWrapper):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_delete_checks_all_and_confirms_once(
    tunesmith: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    for name in ("one", "two", "three"):
        shutil.copytree(trained, tmp_path / "runs" / name)
    left = lambda: sorted(path.name for path in (tmp_path / "runs").iterdir())  # noqa: E731
    output = tunesmith("runs", "delete", "one", "tow", "--yes")
    assert output.code == 2
    assert 'did you mean "two"' in output.err
    (tmp_path / "runs" / "two" / "notes.txt").write_text("mine")
    output = tunesmith("runs", "delete", "one", "two", "--yes")
    assert output.code == 2
    assert "R155" in output.err
    (tmp_path / "runs" / "two" / "notes.txt").unlink()
    output = tunesmith("runs", "delete", "one")
    assert output.code == 2
    assert "R154" in output.err and "--yes" in output.err
    assert left() == ["one", "three", "two"]
    # confirmation
    questions: list[str] = []

    def answer(question: str, *, abort: bool, err: bool) -> None:
        assert abort and err
        questions.append(question)
        if len(questions) == 1:
            raise click.Abort

    monkeypatch.setattr(click, "confirm", answer)
    monkeypatch.setattr("tests.cli.conftest.io.TextIOWrapper", Typed)
    assert tunesmith("runs", "delete", "one").code == 130
    assert left() == ["one", "three", "two"]
    output = tunesmith("runs", "delete", "runs/one", "two", "one", "--json")
    assert output.code == 0
    assert questions == ["Delete 1 run?", "Delete 2 runs?"]
    assert output.err == "runs/one\nruns/two\n"
    assert output.records == [{"deleted": ["runs/one", "runs/two"]}]
    assert tunesmith("runs", "delete", "three", "--yes").out == "deleted runs/three\n"
    assert left() == []


def test_a_run_is_read_and_fetched_by_its_address(
    tunesmith: Command, trained: Path, tmp_path: Path
) -> None:
    from tunesmith.remote.location import Location
    from tunesmith.runs.folder import RunFolder
    from tunesmith.runs.remote_folder import mirrored

    address = f"file://{tmp_path}/store/tickets"
    with mirrored(RunFolder(trained), Location.read(address)):
        pass
    (here,) = tunesmith("runs", "show", trained, "--json").records
    (there,) = tunesmith("runs", "show", address, "--json").records
    assert there == {**here, "run": address, "summary": there["summary"]}
    assert "diagnosis" in tunesmith("runs", "explain", address).out
    assert "step 7" in tunesmith("runs", "fetch", address).out
    fetched = RunFolder(tmp_path / "runs" / "tickets")
    assert fetched.is_finished
    assert fetched.events() == RunFolder(trained).events()
    assert tunesmith("runs", "fetch", address).code == 0, "again: it is there"
    assert "C113" in tunesmith("runs", "fetch", f"{address}-2").err
    assert "C160" in tunesmith("runs", "show", "s3://me:hush@bucket/run").err
