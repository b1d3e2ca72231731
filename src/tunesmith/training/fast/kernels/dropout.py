"""Dropout in one pass, forward and backward: what was dropped is drawn again."""

from __future__ import annotations

from typing import Any

import torch

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    SINGLE,
    SOURCES,
    add_one,
    entry,
    longs,
    ordered,
    singles,
)
from tunesmith.training.fast.kernels.parallel import Dropout, launch
from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    filled,
    multiplied,
    read,
    retained,
    size_of,
    write,
)

__all__ = ["PIECE", "drop", "takes"]

PIECE = 1024
"""Vectors of a piece of work."""


@ordered
def _drop(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 5)
    count, seed, threshold = numbers[0], numbers[1], numbers[2]
    source, target, step = numbers[3], numbers[4], WIDTH * size_of(kind)
    lift = filled(singles(head[2], 1)[0])
    while True:
        piece = add_one(address)
        if piece >= head[1]:
            break
        for i in range(piece * PIECE, min(piece * PIECE + PIECE, count)):
            values = multiplied(read(source + i * step, kind), lift)
            write(target + i * step, retained(values, seed, i, threshold), kind)


def _entries(version: int) -> dict[torch.dtype, Any]:
    """The kernel, by the kind of activations."""

    @entry
    def half(address):
        if version:
            _drop(address, HALF)

    @entry
    def single(address):
        if version:
            _drop(address, SINGLE)

    return {torch.bfloat16: half, torch.float32: single}


_DROP = _entries(SOURCES)


def takes(values: torch.Tensor) -> bool:
    """Whether the kernel can compute with such a tensor."""
    return (
        values.device.type == "cpu"
        and values.dtype in _DROP
        and values.numel() % WIDTH == 0
        and values.is_contiguous()
    )


def drop(values: torch.Tensor, dropout: Dropout) -> torch.Tensor:
    """Set values to zero as dropout says, and lift the others."""
    result = torch.empty_like(values)
    count = values.numel() // WIDTH
    numbers = (
        count, dropout.seed, dropout.threshold, values.data_ptr(), result.data_ptr(),
    )  # fmt: skip
    launch(_DROP[values.dtype], -(-count // PIECE), numbers, (dropout.lift,))
    return result
