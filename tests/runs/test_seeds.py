from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.stored_files import write_finished
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.seeds import folders_of_seeds, spread_over


def finished(folder: Path, scores: dict[str, dict[str, float | None]]) -> RunFolder:
    write_finished(folder, scores=scores)
    return RunFolder(folder)


def test_a_folder_for_each_seed() -> None:
    folders = folders_of_seeds(None, named_after="data/tickets.csv", first=7, count=2)
    assert folders == {7: Path("runs/tickets-seed-7"), 8: Path("runs/tickets-seed-8")}
    named = folders_of_seeds("here/first", named_after="x.yaml", first=0, count=1)
    assert named == {0: Path("here/first-seed-0")}


def test_the_spread_of_what_all_runs_have(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / "a", {"validation": {"f1": 0.8, "pearson": None}, "test": {"f1": 0.5}}),
        finished(tmp_path / "b", {"validation": {"f1": 0.9, "pearson": 0.1}}),
    ]
    spreads = spread_over(runs)
    assert set(spreads) == {"validation"} and set(spreads["validation"]) == {"f1"}
    f1 = spreads["validation"]["f1"]
    assert f1.mean == pytest.approx(0.85)
    assert f1.deviation == pytest.approx(0.0707, abs=1e-4)
    assert (f1.lowest, f1.highest) == (0.8, 0.9)
