from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.many.files import ROWS, job, written
from tunesmith.cli import main
from tunesmith.many.jobs_file import read_jobs
from tunesmith.many.states import State, write_state


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def test_what_is_done_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = read_jobs(written(here, [job(f"runs/{name}", "embedded:mini") for name in "ab"]))
    for number, each in enumerate(jobs):
        (each.out / "model").mkdir(parents=True)
        (each.out / "model" / "MANIFEST.json").touch()
        facts = {"exit_code": 0, "scores": {"accuracy": 0.5}, "best": "accuracy", "seconds": number}
        write_state(each, State.of(each, "done", **facts))
    assert main(["many", "jobs.jsonl"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["1", "runs/a", "done", "accuracy", "0.5000", "0.0"]
    assert out.splitlines()[-1] == "2 done" and err == ""
    assert main(["many", "jobs.jsonl", "--json", "--index", "states.jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2
    assert len((here / "states.jsonl").read_text().splitlines()) == 2


def test_a_launcher_starts_no_second_one(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(here, [job("runs/a", "embedded:mini")])
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["many", "jobs.jsonl"]) == 2
    assert "C174" in capsys.readouterr().err


def test_one_line_ends_as_train_does(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = job("runs/b", "embedded:mini", data__label="nope")
    path = written(here, ["{", bad])
    assert main(["many", "jobs.jsonl", "--line", "2"]) == 3
    assert "D301" in capsys.readouterr().err
    assert json.loads((here / "runs/b/job.json").read_text())["state"] == "failed"
    assert main(["many", "jobs.jsonl", "--line", "1"]) == 2
    assert main(["many", "jobs.jsonl", "--line", "3"]) == 2
    assert "no line 3" in capsys.readouterr().err
    assert not path.with_suffix(".index.jsonl").exists()
