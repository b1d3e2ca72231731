"""The numbers of kernels, computed inside of compiled code."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from tunesmith.training.fast.kernels.numbers import HALF, narrow, splitmix64, widen


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
