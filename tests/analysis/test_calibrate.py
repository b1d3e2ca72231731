from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tunesmith as ts
from tests.runs.sealed import resealed
from tunesmith.analysis.calibrate import calibrate_run
from tunesmith.data.columns import Roles
from tunesmith.errors import FolderInUseError, RecipeError
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.temperature import fit_temperature
from tunesmith.metrics.thresholds import Goal
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.model_folder import amend_facts
from tunesmith.storage import atomic
from tunesmith.storage.lock import hold
from tunesmith.tasks.text_regression import TextRegression

ROWS = [
    {"text": f"the {'soup' if i % 3 else 'rice'} {i} is good", "label": i % 5 % 2}
    for i in range(60)
]
TAGS = [
    {"text": f"the {'soup' if i % 2 else 'rice'} {i} is good", "tags": ["a", "b"][: i % 3]}
    for i in range(40)
]
SHORT: dict[str, object] = {"train.epochs": 1, "train.learning_rate": 1e-3}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    out = tmp_path_factory.mktemp("classes") / "run"
    data = {"train": ROWS[30:], "validation": ROWS[:30]}
    return ts.train(data, out=out, model=str(tiny_bert), settings=SHORT).folder


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    out = tmp_path_factory.mktemp("several") / "run"
    data = {"train": TAGS[20:], "validation": TAGS[:20]}
    return ts.train(data, out=out, model=str(tiny_bert), label="tags", settings=SHORT).folder


@pytest.fixture
def run(classes: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(classes, tmp_path / "run")))


def test_the_written_probabilities_are_as_good_as_logits(run: RunFolder) -> None:
    before = {p.name: atomic.sha256_of(p) for p in run.model.iterdir()}
    fit = calibrate_run(run)
    model = ts.load(run.path)
    result = model.predict(ROWS[:30])
    assert result.labels is not None
    expected = fit_temperature(model.task.output, result.logits, result.labels)
    assert fit.calibration.temperature == pytest.approx(expected, rel=1e-3)
    assert fit.before.loss == pytest.approx(result.loss, rel=1e-5)
    after = {p.name: atomic.sha256_of(p) for p in run.model.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"tunesmith.json", "README.md", "MANIFEST.json"}
    assert run.is_finished
    assert Calibration.from_json(run.facts()["calibration"]) == fit.calibration


def test_several_labels(several: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(several, tmp_path / "run")))
    fit = calibrate_run(run, goal=Goal("f1"))
    model = ts.load(run.path)
    result = model.predict(TAGS[:20])
    assert result.labels is not None
    assert fit.before.loss == pytest.approx(result.loss, rel=1e-5)
    calibrated = model.predict(TAGS[:20], calibrated=True)
    shares = model.task.output.probabilities(result.logits / fit.calibration.temperature)
    found_least = fit.calibration.thresholds or {}
    least = {name: 2.0 if value is None else value for name, value in found_least.items()}
    for answer, row in zip(calibrated, shares, strict=True):
        assert answer["scores"] == pytest.approx(dict(zip("ab", row, strict=True)))
        assert answer["label"] == [
            name for name, share in zip("ab", row, strict=True) if share >= least[name]
        ]


def test_answers_follow_it_when_asked_and_only_then(run: RunFolder) -> None:
    plain = ts.load(run.path).predict(ROWS[:30])
    fit = ts.Run(run.path).calibrate("accuracy=0.3")
    model = ts.load(run.path)
    assert list(model.predict(ROWS[:30])) == list(plain)
    result = model.predict(ROWS[:30], calibrated=True)
    np.testing.assert_array_equal(result.logits, plain.logits)
    shares = model.task.output.probabilities(plain.logits / fit.calibration.temperature)
    (least,) = set((fit.calibration.thresholds or {}).values())
    assert least is not None
    for answer, row in zip(result, shares, strict=True):
        assert answer["score"] == pytest.approx(row.max())
        assert answer["label"] == (str(row.argmax()) if row.max() >= least else None)
    scores = model.evaluate(ROWS[:30], calibrated=True)
    assert scores["accuracy"] == pytest.approx(fit.after.accuracy)
    assert scores["coverage"] == pytest.approx(fit.after.coverage)
    assert scores["ece"] == pytest.approx(fit.after.ece, abs=1e-6)
    assert scores["loss"] == pytest.approx(fit.after.loss, rel=1e-5)


def test_a_later_one_takes_the_place_of_an_earlier(run: RunFolder) -> None:
    calibrate_run(run, goal=Goal("accuracy", 0.3))
    fit = calibrate_run(run)
    assert run.facts()["calibration"]["rule"] is None
    assert Calibration.from_json(run.facts()["calibration"]) == fit.calibration
    spoil(run)
    retained = run.facts()
    with pytest.raises(RecipeError, match="R182"):
        calibrate_run(run, goal=Goal("accuracy", 0.9))
    assert run.facts() == retained


def spoil(run: RunFolder) -> None:
    """Predictions that are all wrong."""
    with resealed(run) as folder:
        records = pq.read_table(folder / "validation.parquet").to_pylist()
        for record in records:
            record["scores"] = {str(i): 0.9 if i != record["label"] else 0.1 for i in (0, 1)}
        pq.write_table(pa.Table.from_pylist(records), folder / "validation.parquet")


def test_a_kill_between_two_renames_is_repaired_first(run: RunFolder) -> None:
    run.model.rename(run.path / ".old-model-1")
    assert not run.is_finished
    calibrate_run(run)
    assert run.is_finished


def test_runs_that_cannot_be_calibrated(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="C114"):
        calibrate_run(RunFolder(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    with hold(run.path), pytest.raises(FolderInUseError, match="C106"):
        calibrate_run(run)
    with resealed(run) as folder:
        (folder / "validation.parquet").unlink()
    with pytest.raises(RecipeError, match="R185"):
        calibrate_run(run)
    task = TextRegression(Roles("text", None, "label"), 0.0, 1.0)
    amend_facts(run.model, {"task": task.as_json(), "constant": None})
    with pytest.raises(RecipeError, match=r"R184.*text-regression"):
        calibrate_run(run)
    (run.model / "config.json").write_text("{}")
    with pytest.raises(RecipeError, match="C114"):
        calibrate_run(run)


def test_the_card_reports_the_last_one(run: RunFolder) -> None:
    calibrate_run(run, goal=Goal("precision", 0.2))
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert "goal `precision=0.2`" in card
    fit = calibrate_run(run)
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert f"Temperature {fit.calibration.temperature:.3f}, fitted on the 30 rows" in card
    assert f"| ece | {fit.before.ece:.4f} | {fit.after.ece:.4f} |" in card
    assert "Thresholds" not in card
    assert run.is_finished


def test_what_is_kept_is_plain_json(run: RunFolder) -> None:
    calibrate_run(run, goal=Goal("precision", 0.2))
    retained = json.loads((run.model / "tunesmith.json").read_text())["calibration"]
    assert retained["goal"] == "precision=0.2"
    assert retained["rows"] == 30
    assert retained["split"] == "validation"
    assert set(retained["thresholds"]) == {"0", "1"}
    assert sum(point["count"] for point in retained["after"]["curve"]) == 30
