from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.many.files import ROWS, job, run, written
from tunesmith.many.index import Index
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.run_jobs import exit_code_of
from tunesmith.many.states import State


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def test_jobs_are_done_once_and_failures_are_reported(here: Path, tiny_bert: Path) -> None:
    lines = [job(f"runs/{seed}", tiny_bert, train__seed=seed) for seed in (1,)]
    bad = job("runs/bad", tiny_bert, data__label="nope")
    jobs = written(here, [*lines, bad])
    code, out, err = run(here, "jobs.jsonl", "--jobs", "2", "--json")
    assert code == 3, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1] == {
        "event": "summary", "pending": 0, "running": 0, "done": 1, "stopped": 0, "failed": 1,
    }  # fmt: skip
    states = Index(jobs.with_suffix(".index.jsonl")).read()
    assert {Path(out).name: state.state for out, state in states.items()} == {
        "1": "done", "bad": "failed"
    }  # fmt: skip
    assert states["runs/bad"].code == "D301" and states["runs/1"].scores
    weights = (here / "runs/1/model/model.safetensors").stat().st_mtime_ns

    written(here, lines)
    code, out, err = run(here, "jobs.jsonl", environment={"PATH": ""})
    assert (code, err) == (0, "")
    assert "1 done" in out and "failed" not in out
    assert (here / "runs/1/model/model.safetensors").stat().st_mtime_ns == weights
    assert not any((here / "tmp").iterdir())


def state(name: str, exit_code: int | None = None) -> State:
    return State.of(JobLine(1, ("a",), Path("a"), {}), name, exit_code=exit_code)  # type: ignore[arg-type]


def test_one_exit_code() -> None:
    done, stopped = state("done", 0), state("stopped", 75)
    failed, killed = state("failed", 3), state("failed", 137)
    assert exit_code_of([]) == exit_code_of([done, done]) == exit_code_of([done], 75) == 0
    assert exit_code_of([done, stopped]) == 75
    assert exit_code_of([stopped, killed, failed, done]) == 137
    assert exit_code_of([failed, stopped], 75) == 75
    assert exit_code_of([done, state("pending")], 130) == 130


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sessions and signals of POSIX")
