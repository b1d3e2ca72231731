"""Which files of a run are sent: those that make a state whole, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.runs.folder import RunFolder
from tunesmith.runs.remote_state import finished_state, state_at
from tunesmith.storage import atomic


def test_a_finished_run_is_sent_without_checkpoints_and_what_is_not_of_the_run(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path)
    for path in (run.recipe, run.plan, run.log, run.report, tmp_path / "notes.txt"):
        path.write_text("{}\n")
    for folder in (run.model, run.predictions, run.checkpoints / "step-00000003"):
        with atomic.publish(folder) as unfinished:
            (unfinished / "file").write_text("x")
    state = finished_state(run)
    assert sorted(file.name for file in state.files) == [
        "model/file", "plan.json", "predictions/file", "recipe.yaml", "report.html",
    ]  # fmt: skip
    assert state.is_finished and state.log_bytes == 3
    assert all(file.sha256 for file in state.files if "/" in file.name)


def test_a_checkpoint_that_is_not_there_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="state"):
        state_at(RunFolder(tmp_path), 3, 2)
