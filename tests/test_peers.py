"""The benchmark of peers: what its scripts share, its scorer, and its table in the docs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.doc_twins import DOCS, ROOT, ZH

RESULTS = json.loads((ROOT / "benchmarks" / "results" / "peers.json").read_text())
WORDS = ["good", "fine", "nice", "bad", "poor", "worse"]


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "peer_scripts")
    return importlib.import_module("peers")


@pytest.fixture
def task_file(peers: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(peers, "model_folder", lambda: str(tmp_path))
    rows = [
        {"idx": i, "sentence": f"{word} {word}", "label": "negative" if i > 2 else "positive"}
        for i, word in enumerate(WORDS)
    ]
    data = {"train": rows * 3, "validation": rows, "test": rows}
    path: Path = peers.write_task(tmp_path, data, "sst2", 7)
    return path


def test_a_script_reads_its_rows_without_the_labels_to_predict(
    peers: ModuleType, task_file: Path
) -> None:
    task = importlib.import_module("shared").Task.read(task_file)
    assert task.texts("train")[0][:2] == ["good good", "fine fine"]
    assert task.classes("validation") == [1, 1, 1, 0, 0, 0]
    assert set(task.rows("test")[0]) == {"sentence"}
    assert (task.seed, task.steps()) == (7, 3)


def test_a_peer_runs_in_its_own_process_and_is_scored_here(
    peers: ModuleType, task_file: Path
) -> None:
    outcome = peers.run(peers.Peer("linear", "run_linear.py"), task_file, None, 60)
    assert outcome["predictions"] == [1, 1, 1, 0, 0, 0]
    assert 0 < outcome["seconds_training"] < outcome["seconds"]
    assert outcome["peak_mb"] > 10 and set(outcome["versions"]) == {"scikit-learn"}
    failure = peers.run(peers.Peer("none", "run_none.py"), task_file, None, 60)
    assert "run_none.py" in failure["problem"]


def test_scores_have_intervals(peers: ModuleType) -> None:
    truth = [1, 1, 1, 0] * 25
    scores = peers.score([1, 1, 0, 0] * 25, truth)
    assert (scores["accuracy"][0], scores["f1"][0]) == (0.75, 0.8)
    assert all(low < value < high for value, low, high in scores.values())
    assert 0.65 < scores["accuracy"][1] < 0.68 and 0.82 < scores["accuracy"][2] < 0.85
    with pytest.raises(ValueError, match="1 answers to 2 rows"):
        peers.score([1], [1, 0])


def test_the_scores_are_those_of_the_predictions(peers: ModuleType) -> None:
    """Each row of the results is as long as the test split."""
    for name in peers.WORK:
        for peer in RESULTS[name]["peers"].values():
            for run in peer.get("runs", ()):
                assert len(run["predictions"]) == RESULTS[name]["rows"]["test"]
                assert run["seconds_training"] <= run["seconds"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_is_that_of_the_results(peers: ModuleType, language: str) -> None:
    page = (DOCS if language == "en" else ZH) / "explanation" / "benchmarks.md"
    text = page.read_text(encoding="utf-8").replace("，", ", ")
    for name in peers.WORK:
        lines = peers.table(RESULTS, name)
        assert len(lines) > 5
        assert "\n".join(lines) in text, f"{name}: write what `benchmarks/peers.py --table` prints"
    for key in {**RESULTS["mrpc"]["peers"], **RESULTS["not_installed"]}:
        assert peers.PEERS[key].title in text
