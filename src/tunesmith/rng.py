"""Random numbers as pure functions of integers: no generator and no state.

All are based on the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", 2014), which mixes 64 bits so that neighboring numbers give unrelated ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["permuted", "seed_of", "splitmix64", "uniform_at"]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def splitmix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each number, one-to-one on 64 bits."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def seed_of(*numbers: int) -> int:
    """Derive a 64-bit seed from several numbers, such as (seed, step, micro-batch)."""
    state = 0
    for number in numbers:
        state = _mixed(state ^ _mixed(number & _MASK))
    return state


def _mixed(value: int) -> int:
    """Return `splitmix64` of one number."""
    z = (value + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform_at(seed: int, *numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each element of arrays of integers, which are broadcast.

    Args:
        seed: selects one of 2^64 functions.
        *numbers: what identifies an element, such as its example and its position.
    """
    state = np.full((1,) * numbers[0].ndim, seed_of(seed), dtype=np.uint64)
    for values in numbers:
        state = splitmix64(state ^ splitmix64(values.astype(np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permuted(positions: NDArray[Any], size: int, key: int) -> NDArray[np.int64]:
    """Return where a pseudorandom permutation of range(size) puts some positions.

    Six Feistel rounds on the next even power of two; a value outside the range is permuted again
    until it is inside, which keeps the map one-to-one. Nothing is stored, whatever the size.
    """
    half = np.uint64((max(2, (size - 1).bit_length()) + 1) // 2)
    low = np.uint64((1 << int(half)) - 1)
    keys = [np.uint64(seed_of(key, number)) for number in range(6)]
    values = positions.astype(np.uint64)
    inside = np.zeros(len(positions), dtype=bool)
    with np.errstate(over="ignore"):
        while not inside.all():
            left, right = values[~inside] >> half, values[~inside] & low
            for round_key in keys:
                mixed = (right + round_key) * np.uint64(_GOLDEN)
                mixed ^= mixed >> np.uint64(29)
                mixed *= np.uint64(0xBF58476D1CE4E5B9)
                left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
            values[~inside] = (left << half) | right
            inside = values < size
    return values.astype(np.int64)
