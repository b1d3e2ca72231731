from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tunesmith.many import processes
from tunesmith.many.jobs_file import JobLine
from tunesmith.many.processes import threads_per_job

JOB = JobLine(1, ("rows.csv",), Path("runs/a"), {})


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_cpus", lambda: 7)
    monkeypatch.setattr(processes, "cpu_quota", lambda: None)
    assert [threads_per_job(count) for count in (1, 2, 3, 9)] == [7, 3, 2, 1]
    monkeypatch.setattr(processes, "is_chosen_by_user", lambda: False)
    assert processes._environment(2) == {"OMP_NUM_THREADS": "3"}
    assert processes._environment(1) == {}, "as many as `tunesmith train` takes"
    monkeypatch.setattr(processes, "is_chosen_by_user", lambda: True)
    assert processes._environment(2) == {}


def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("TWO", raising=False)
    with processes._added({"ONE": "2", "TWO": "2"}):
        assert (os.environ["ONE"], os.environ["TWO"]) == ("2", "2")
    assert os.environ["ONE"] == "1" and "TWO" not in os.environ


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_how_a_process_ended_decides_the_state(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("\n".join(map(str, range(99))))
    killed = processes._died(JOB, -signal.SIGKILL, 1.0, output)
    assert (killed.state, killed.exit_code, killed.code) == ("failed", 137, "C172")
    assert "SIGKILL" in (killed.message or "")
    assert killed.problems[0]["evidence"][-1] == "98"
    aborted = processes._died(JOB, 134, 1.0, tmp_path / "none")
    assert (aborted.state, aborted.exit_code) == ("failed", 134)
    for code in (75, 255, None):
        assert processes._died(JOB, code, 1.0, output).state == "stopped"
