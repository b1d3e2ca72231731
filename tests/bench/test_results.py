from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from tunesmith.metrics import METRICS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The script, whose results go elsewhere."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import engines  # type: ignore[import-not-found]

    monkeypatch.setattr(engines, "RESULTS", tmp_path / "engines.json")
    monkeypatch.setattr(engines, "LOCK", FileLock(tmp_path / "engines.json.lock"))
    yield engines
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == BENCHMARKS:
            del sys.modules[name]  # their names are everyday words


def test_several_may_add_results_at_once(engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_facts() -> dict[str, object]:
        time.sleep(0.01)  # between reading and writing
        return {}

    monkeypatch.setattr(engines, "facts", slow_facts)
    with ThreadPoolExecutor(4) as pool:
        seeds = range(20)
        list(pool.map(lambda seed: engines.added("sst2", "fast", seed, {"seconds": 1}), seeds))
        assert len(engines.held()["sst2"]["runs"]["fast"]) == 20
    assert json.loads(engines.RESULTS.read_text()) == engines.held()


@pytest.fixture
def measured_coverage(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script; not by its name, which is that of a package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("held", BENCHMARKS / "coverage.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "held", script)
    spec.loader.exec_module(script)
    yield script
    del sys.modules["machine"]


def test_intervals_hold_what_they_should(measured_coverage: Any) -> None:
    """A small part of the benchmark, with new rows and labels in each of 100 trials."""
    wanted = {
        "accuracy 3 skewed classes, 0.9": 30,
        "f1 10% positive, 0.9": 60,
        "f1_macro 3 skewed classes, 0.7": 60,
        "matthews_correlation 3 skewed classes, 0.6": 60,
        "pearson normal, 0.8": 30,
        "pearson ratings, 0.9": 60,
        "loss mostly small": 60,
        "accuracy pair, 3 skewed classes, 0.8 and 0.9, 50% common": 60,
        "f1_macro pair, 3 skewed classes, 0.8 and 0.9, 50% common": 60,
    }
    found = {}
    for case in measured_coverage.cases():
        name = f"{case.score} {case.about}"
        if name in wanted:
            told = measured_coverage.measure(case, wanted[name], 100)
            assert 0 < told["width"] < 1
            found[name] = told["coverage"]
    assert found.keys() == wanted.keys()
    assert min(found.values()) >= 0.9
    assert 0.93 <= sum(found.values()) / len(found) <= 0.98


def test_the_goal_of_a_case_is_the_score_of_a_great_many_rows(measured_coverage: Any) -> None:
    for case in measured_coverage.cases():
        if case.score == "f1_macro" and case.about in ("6 skewed classes, 0.7",
                "pair, 3 skewed classes, 0.6 and 0.9, 0% common"):  # fmt: skip
            truth, *models = case.draw(np.random.default_rng(0), 400_000)
            scores = [METRICS["f1_macro"].function(model, truth, 1) for model in models]
            assert case.goal == pytest.approx(scores[-1] - sum(scores[:-1]), abs=0.005)
