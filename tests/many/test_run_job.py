from __future__ import annotations

from pathlib import Path

import pytest

from tests.many.files import ROWS
from tunesmith.errors import Interrupted, Problem
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.run_job import is_in_use, recorded, run_job
from tunesmith.many.states import read_state
from tunesmith.storage.lock import hold


@pytest.fixture
def bad(tmp_path: Path) -> JobLine:
    """A job that fails before torch is loaded."""
    (tmp_path / "rows.csv").write_text(ROWS)
    settings = {"data.label": "nope", "model": "embedded:mini"}
    return JobLine(1, (str(tmp_path / "rows.csv"),), tmp_path / "run", settings, "digest")


def test_an_error_is_the_state_and_is_left_in_the_folder(bad: JobLine) -> None:
    state = run_job(bad)
    assert (state.state, state.exit_code, state.code) == ("failed", 3, "D301")
    assert read_state(bad) == state
    assert run_job(bad).code == "D301", "the file is no part of a run, and not in its way"


def test_a_folder_in_use_is_left_alone(bad: JobLine) -> None:
    with hold(bad.out):
        state = run_job(bad)
    assert is_in_use(bad, state) and state.code == "C106"
    assert read_state(bad) is None
    assert not is_in_use(bad, run_job(bad))


def test_what_ends_inside_is_recorded_and_raised(bad: JobLine) -> None:
    bad.out.mkdir()
    with pytest.raises(Interrupted), recorded(bad):
        raise Interrupted(Problem("C112", "stopped"))
    state = read_state(bad)
    assert state is not None and (state.state, state.exit_code) == ("stopped", 75)
    with pytest.raises(ZeroDivisionError), recorded(bad):
        raise ZeroDivisionError
    state = read_state(bad)
    assert state is not None and (state.state, state.code) == ("failed", "M000")
    with recorded(bad):
        pass
    state = read_state(bad)
    assert state is not None and (state.state, state.exit_code) == ("done", 0)
