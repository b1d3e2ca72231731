"""Where a late sentence decides, windows beat a cut: the figures of benchmarks/long_texts.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.analysis.compare import compare_runs
from tunesmith.api.train import start
from tunesmith.runs.folder import RunFolder

SETTINGS = {
    "model": "embedded:mini", "data.validation": "test", "train.epochs": 4, "train.batch_size": 16,
    "train.learning_rate": 1e-3, "train.warmup": "10%", "train.precision": "fp32",
    "train.evaluate_every": None, "train.select_by": None, "train.save_every": None, "preset": None,
}  # fmt: skip


@pytest.mark.slow
def test_windows_beat_the_head_where_the_end_decides(tmp_path: Path) -> None:
    for way in ("head", "windows"):
        settings = {**SETTINGS, "options.long": way}
        for _event in start("embedded:long", out=tmp_path / way, settings=settings):
            pass
    scores = compare_runs(RunFolder(tmp_path / "head"), RunFolder(tmp_path / "windows"))
    accuracy = scores["validation"].scores["accuracy"]
    assert accuracy.interval is not None and accuracy.interval.low > 0.03
