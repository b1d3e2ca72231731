from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


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
