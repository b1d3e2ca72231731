from __future__ import annotations

import json
from pathlib import Path

import pytest

import tunesmith as ts
from tests.capabilities import needs
from tunesmith.analysis.curves.diagnosis import Assessment

ROWS = [
    {"text": f"the {'soup' if i % 2 else 'rice'} {i} is good", "label": "ab"[i % 2]}
    for i in range(60)
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    home = tmp_path_factory.mktemp("finished")
    for name, rows in (("train", ROWS[:36]), ("validation", ROWS[36:48]), ("test", ROWS[48:])):
        lines = (json.dumps(row) + "\n" for row in rows)
        (home / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return ts.train(
        str(home), out=home / "run", model="embedded:mini", settings={"train.epochs": 1}
    )


def test_what_a_run_left(run: ts.Run) -> None:
    assert (run.model / "config.json").is_file()
    assert run.facts["steps"] == 5
    assert run.events()[-1]["event"] == "finished"
    assert run.report.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_scores_by_split(run: ts.Run) -> None:
    for scores in (run.scores, run.test_scores):
        assert set(scores) == {"accuracy", "f1", "loss"}
    assert run.scores != run.test_scores


def test_what_can_be_asked_of_it(run: ts.Run, tmp_path: Path) -> None:
    assert all(isinstance(reading, Assessment) for reading in run.explain())
    worst = run.errors(3)
    assert [one.loss for one in worst] == sorted((one.loss for one in worst), reverse=True)
    assert len(run.errors(None, split="test")) == 12
    assert run.errors(3, kind="suspect") != worst
    assert "TrainingArguments" in run.eject(tmp_path / "train.py").read_text(encoding="utf-8")


def test_calibration_is_kept_with_the_model(run: ts.Run) -> None:
    fit = run.calibrate()
    assert fit.calibration.temperature > 0
    texts = ["the soup 1 is good", "the rice 2 is good"]
    plain, calibrated = (ts.load(run.model).predict(texts, calibrated=c) for c in (False, True))
    assert [answer["label"] for answer in plain] == [answer["label"] for answer in calibrated]
    assert plain.logits.tolist() == calibrated.logits.tolist()


def test_the_spread_of_several(run: ts.Run) -> None:
    runs = ts.Runs((run, run))
    reported = runs.spread["test"]["accuracy"]
    assert reported.mean == reported.lowest == reported.highest == run.test_scores["accuracy"]
    assert runs.scores == run.scores


@needs("links")
def test_runs_by_name(run: ts.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = run.folder.parent
    assert ts.find_run("run", root) == run
    assert ts.find_run(run.model).folder == run.folder
    assert ts.list_runs(root) == [run]
    monkeypatch.chdir(root)
    (root / "runs").symlink_to(root)
    assert ts.find_run("run").scores == run.scores
    assert [one.folder.name for one in ts.list_runs()] == ["run"]
    (root / "runs").unlink()
    assert ts.list_runs() == []
    with pytest.raises(ts.TunesmithError, match='did you mean "run"'):
        ts.find_run("runn", root)


def test_in_a_notebook(run: ts.Run, tmp_path: Path) -> None:
    html = run._repr_html_()
    assert html.count("<table>") == 2
    assert f"<strong>{run.folder}</strong> · finished" in html
    assert f"{run.scores['f1']:.4f}" in html and f"{run.test_scores['f1']:.4f}" in html
    assert f"<code>{run.model}</code>" in html
    assert f'<a href="{run.report}">' in html
    assert "(M1" in html
    spread = ts.Runs((run, run))._repr_html_()
    assert "2 seeds" in spread and spread.count("<table>") == 2
    assert f"{run.scores['f1']:.4f}" in spread
    begun = ts.Run(tmp_path / "<b>")
    assert begun._repr_html_() == (
        f"<div><div><strong>{tmp_path}/&lt;b&gt;</strong> · not finished</div></div>"
    )
