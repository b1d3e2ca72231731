from __future__ import annotations

from pathlib import Path

import tunesmith as ts
from tunesmith.run.folder import RunFolder
from tunesmith.run.known_rows import known_rows, run_of_model

SHORT = {"train.max_steps": 1, "train.evaluate_every": "never"}


def test_the_rows_that_were_learnt_from(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    run = ts.train(str(tickets), model=str(tiny_bert), out=tmp_path / "run", settings=SHORT)
    found = run_of_model(str(run.model))
    assert found is not None and found.path == run.folder
    known = known_rows(found)
    assert known.total == len(known.rows) == 54  # a tenth of sixty is held back
    assert known.reason == ""
    assert run_of_model(str(tiny_bert)) is None


def test_rows_of_python_are_gone(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(40)]
    run = ts.train(rows, model=str(tiny_bert), out=tmp_path / "run", settings=SHORT)
    known = known_rows(RunFolder(run.folder))
    assert not known.rows
    assert "Python" in known.reason
