from __future__ import annotations

from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.analysis import training_rows as module
from tunesmith.analysis.training_rows import KnownRows, known_rows, run_of_model
from tunesmith.runs.folder import RunFolder

SHORT = {"train.max_steps": 1, "train.evaluate_every": "never"}


def test_the_rows_that_were_learned_from(
    tickets: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ts.train(str(tickets), model=str(tiny_bert), out=tmp_path / "run", settings=SHORT)
    result = run_of_model(str(run.model))
    assert result is not None and result.path == run.folder
    known = known_rows(result)
    assert known.total == len(known.rows) == 54  # a tenth of sixty is held back
    assert known.reason == ""
    assert [row.index for row in known.rows] == sorted({row.index for row in known.rows})
    assert {row.values["queue"] for row in known.rows} == {"repair", "order"}
    assert run_of_model(str(tiny_bert)) is None
    plan = result.plan.read_text()
    result.plan.write_text("{")
    assert known_rows(result).total == 54  # the model folder knows its rows, too
    result.plan.write_text(plan)
    before = tickets.read_text()
    tickets.write_text(before.replace("printer", "plotter"))
    assert known_rows(result) == KnownRows(reason="they changed since")
    real = module.drawn_rows

    def changed_meanwhile(*arguments):  # type: ignore[no-untyped-def]
        tickets.write_text(before.replace("screen", "plotter"))
        return real(*arguments)

    tickets.write_text(before)
    monkeypatch.setattr(module, "drawn_rows", changed_meanwhile)
    assert known_rows(result) == KnownRows(reason="they changed since")
    tickets.unlink()
    assert str(tickets) in known_rows(result).reason


def test_rows_of_python_are_gone(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(40)]
    run = ts.train(rows, model=str(tiny_bert), out=tmp_path / "run", settings=SHORT)
    known = known_rows(RunFolder(run.folder))
    assert not known.rows
    assert "Python" in known.reason
