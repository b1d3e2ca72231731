"""The numbers of kernels, computed inside of compiled code."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    NotCompiledError,
    entry,
    narrow,
    no_compiling,
    splitmix64,
    widen,
)


@njit
def _there_and_back(bits, floats):  # type: ignore[no-untyped-def]
    for i in range(len(bits)):
        floats[i] = widen(bits[i])
        bits[i] = narrow(floats[i], HALF)


@njit
def _narrowed(floats, bits):  # type: ignore[no-untyped-def]
    for i in range(len(floats)):
        bits[i] = narrow(floats[i], HALF)


@njit
def _stream(seed, words):  # type: ignore[no-untyped-def]
    for i in range(len(words)):
        words[i] = splitmix64(seed, i)


def test_every_bfloat16_is_widened_as_torch_does_and_comes_back() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    bits, floats = every.copy(), np.empty(1 << 16, np.float32)
    _there_and_back(bits, floats)
    theirs = torch.from_numpy(every.view(np.int16)).view(torch.bfloat16).float().numpy()
    assert np.array_equal(floats, theirs, equal_nan=True)
    numbers = ~np.isnan(theirs)
    assert np.array_equal(bits[numbers], every[numbers])
    back = torch.from_numpy(bits[~numbers].view(np.int16)).view(torch.bfloat16)
    assert bool(back.isnan().all())


def test_rounding_is_torchs() -> None:
    random = np.random.default_rng(0).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    floats = random.view(np.float32)
    floats = floats[~np.isnan(floats)]
    bits = np.empty(len(floats), np.uint16)
    _narrowed(floats, bits)
    theirs = torch.from_numpy(floats).bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(bits, theirs)


def test_lanes_are_uniform_and_independent() -> None:
    words = np.empty(200_000, np.uint64)
    _stream(np.uint64(12345), words)
    other = np.empty(200_000, np.uint64)
    _stream(np.uint64(12346), other)
    lanes = words.view(np.uint16).reshape(-1, 4).astype(np.float64)
    assert np.abs(lanes.mean(axis=0) / 32767.5 - 1).max() < 0.01
    assert np.abs(np.corrcoef(lanes.T) - np.eye(4)).max() < 0.01
    later = np.corrcoef(lanes[:-1, 0], lanes[1:, 0])[0, 1]
    neighbors = np.corrcoef(lanes[:, 0], other.view(np.uint16).reshape(-1, 4)[:, 0])[0, 1]
    assert max(abs(later), abs(neighbors)) < 0.01


def test_what_is_not_compiled_is_only_noticed(tmp_path: Path) -> None:
    script = tmp_path / "fresh.py"
    script.write_text("def nothing(address):\n    pass\n")
    spec = spec_from_file_location("fresh", script)
    assert spec is not None and spec.loader is not None
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    with pytest.raises(NotCompiledError), no_compiling():
        entry(fresh.nothing)
    assert entry(fresh.nothing).cache_hits == 0
    with no_compiling():
        assert entry(fresh.nothing).cache_hits == 1


@pytest.mark.slow
def test_the_run_that_compiles_has_the_bits_of_others(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    for name in ("first", "second"):
        command = ["train", "embedded:tickets", "--model", "embedded:mini", "--out", name, "-q"]
        subprocess.run(
            [sys.executable, "-m", "tunesmith", *command, "--set", "train.max_steps=10"],
            env=environment, cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    first, second = (tmp_path / name / "model/model.safetensors" for name in ("first", "second"))
    assert "M157" in (tmp_path / "first/events.jsonl").read_text()
    assert first.read_bytes() == second.read_bytes()
