from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.many.files import STATES
from tunesmith.many.index import Index
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.states import State, read_state, state_of, write_state


def job(folder: Path, digest: str = "x", line: int = 1) -> JobLine:
    return JobLine(line, ("rows.csv",), folder, {}, digest)


@settings(max_examples=15)
@given(st.lists(STATES, min_size=1, max_size=5))
def test_rebuilt_is_written(tmp_path_factory: object, states: list[State]) -> None:
    """What the index says of jobs that have ended is what their folders say."""
    root: Path = tmp_path_factory.mktemp("runs")  # type: ignore[attr-defined]
    index = Index(root / "index.jsonl")
    jobs = {}
    for state in states:
        folder = root / state.out
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "model" / "MANIFEST.json").touch()
        here = job(folder, state.digest, state.line)
        jobs[str(folder)] = here
        ended = State.from_json({**state.as_json(), "out": str(folder)})
        assert ended is not None
        write_state(here, ended)
        index.append([ended])
    assert {out: state_of(one) for out, one in jobs.items()} == index.read()


def test_a_folder_says_only_what_is_so(tmp_path: Path) -> None:
    here = job(tmp_path / "run")
    assert state_of(here).state == "pending"
    write_state(here, State.of(here, "done"))
    assert read_state(here) is None, "no folder is made"
    here.out.mkdir()
    write_state(here, State.of(here, "done", exit_code=0))
    assert state_of(here).state == "pending", "the model is gone"
    (here.out / "model").mkdir()
    (here.out / "model" / "MANIFEST.json").touch()
    assert state_of(here).state == "done"
    assert state_of(job(here.out, "other")).state == "pending", "the line was changed"
    (here.out / "job.json").write_text("{")
    assert state_of(here).state == "pending"
