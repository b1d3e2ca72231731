"""`benchmarks/gpu.py` without a GPU: what it compares, and that it finds a fault."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.analysis.bench.test_contenders import settings
from tunesmith.training.fast.graphs.capture import StaticPass

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The script as a module; its checks are `gpu.gpu_checks`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import gpu  # type: ignore[import-not-checks]
    import gpu_checks  # type: ignore[import-not-checks]

    gpu.gpu_checks = gpu_checks
    yield gpu
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == BENCHMARKS:
            del sys.modules[name]  # their names are everyday words


def test_each_result_is_written_at_once(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "facts", dict)
    target = tmp_path / "gpu.json"
    results = gpu.Results(target, 9.0, None)
    assert 500 < results.seconds_left <= 540
    results.keep("checks", "graphs, fp32", {"ok": True})
    assert json.loads(target.read_text())["checks"] == {"graphs, fp32": {"ok": True}}
    results.keep("checks", "graphs, bf16", {"ok": False})
    assert json.loads(target.read_text())["checks"]["graphs, bf16"] == {"ok": False}


def test_what_no_longer_fits_is_named(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "facts", dict)
    plain = gpu.CONTENDERS["fast-bf16"]
    result = gpu.compare.__globals__["Result"]("fast-bf16", each_turn=(1.0,))

    def slow(*_args: Any, **_more: Any) -> list[Any]:
        time.sleep(0.1)
        return [result]

    monkeypatch.setattr(gpu, "compare", slow)
    monkeypatch.setattr(gpu, "contenders", lambda: [plain])
    results = gpu.Results(None, 0.15 / 60, None)
    gpu.measure(results, tmp_path, {}, turns=2, steps=2)
    assert list(results.values["speed"]) == ["minilm, batch 8"]
    assert len(results.values["left out"]) == 3


def test_gradients_are_compared_weight_by_weight(gpu: Any) -> None:
    largest = gpu.gpu_checks._largest
    one, zero = torch.ones(4), torch.zeros(4)
    assert largest([{"a": one, "b": one}], [{"a": one, "b": one}]) == 0
    assert largest([{"a": one * 1.1, "b": one}], [{"a": one, "b": one}]) == pytest.approx(0.1, 0.02)
    assert largest([{"a": one}], [{"a": one, "b": zero}]) == math.inf
    assert largest([{"a": one * math.nan}], [{"a": one}]) == math.inf


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_way_agrees_and_a_wrong_one_is_found(
    gpu: Any, tickets: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passes over static memory, which would be recorded on a GPU; then ones that are wrong."""
    checks: dict[str, Any] = {}
    shared = settings(tickets, tiny_bert) | {"train.preflight": False}
    assert gpu.gpu_checks.check(shared, 18, checks.__setitem__)
    assert len(checks) == 10 and all(figures["ok"] for figures in checks.values())
    run = StaticPass.run

    def wrong(self: StaticPass) -> None:
        self.weight.mul_(1.01)
        run(self)

    monkeypatch.setattr(StaticPass, "run", wrong)
    monkeypatch.setattr(gpu.gpu_checks, "WAYS", {"graphs": ("graphs",)})
    monkeypatch.setattr(gpu.gpu_checks, "PRECISIONS", ("fp32",))
    exact = {"fp32": gpu.gpu_checks._exact({**shared, "train.max_steps": 18}, "fp32")}
    figures = gpu.gpu_checks._compared(
        {**shared, "train.max_steps": 18}, ("graphs",), "fp32", exact
    )
    assert not figures["ok"] and figures["gradient"]["error"] > 0.005
