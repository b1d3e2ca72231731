"""Residual, dropout and layer norm in one pass over the rows, forward and backward.

    y = (z - mean(z)) / sqrt(var(z) + eps) * weight + bias    with    z = residual + dropout(block)

Ba, Kiros, Hinton, "Layer normalization" (arXiv 1607.06450). Everything is computed in float32. What
was dropped is drawn again in the backward pass; of the forward pass the normalized values and one
number per row are retained.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    SINGLE,
    SOURCES,
    add_one,
    at,
    compiled,
    entry,
    longs,
    narrow,
    singles,
    splitmix64,
    widen,
)
from tunesmith.training.fast.kernels.parallel import Dropout, launch

__all__ = ["backward", "forward"]

ROWS = 32
"""Rows of a piece of work."""


@compiled
def _factors(seed, row, threshold, lift, words, factors):
    """What dropout multiplies a row with: 0 or `lift`; a word decides about four places."""
    lanes = words.view(np.uint16)
    for i in range(len(words)):
        words[i] = splitmix64(seed, row * len(words) + i)
    for j in range(len(factors)):
        factor = np.float32(0)
        if lanes[j] >= threshold:
            factor = lift
        factors[j] = factor


@compiled
def _sum(values):
    """The sum of a row.

    A loop that sums and also writes would be vectorized only where a check finds that its arrays do
    not overlap; that depends on their addresses, and so would the order of the sum and its bits.
    """
    total = np.float32(0)
    for j in range(len(values)):
        total += values[j]
    return total


@compiled
def _product(one, other):
    """The inner product of two rows."""
    total = np.float32(0)
    for j in range(len(one)):
        total += one[j] * other[j]
    return total


@compiled
def _forward(address, kind):
    head = longs(address, 4)
    numbers, fractions = longs(address + 32, 11), singles(head[2], 2)
    count, width, seed, threshold = numbers[0], numbers[1], np.uint64(numbers[2]), numbers[3]
    residual, block = singles(numbers[4], count * width), at(numbers[5], count * width, kind)
    weight, bias = singles(numbers[6], width), singles(numbers[7], width)
    output, rounded = singles(numbers[8], count * width), at(numbers[9], count * width, kind)
    normalized = singles(numbers[10], count * width + count)
    lift, epsilon = fractions[0], fractions[1]
    one = np.float32(1) / np.float32(width)
    words, sums = np.empty((width + 3) // 4, np.uint64), np.empty(width, np.float32)
    factors = np.ones(width, np.float32)
    scales = normalized[count * width :]
    while True:
        piece = add_one(address)
        if piece >= head[1]:
            break
        for row in range(piece * ROWS, min(piece * ROWS + ROWS, count)):
            places = slice(row * width, row * width + width)
            values, added = residual[places], block[places]
            if threshold > 0:
                _factors(seed, row, threshold, lift, words, factors)
            for j in range(width):
                sums[j] = values[j] + widen(added[j]) * factors[j]
            mean = _sum(sums) * one
            squares = np.float32(0)
            for j in range(width):
                squares += (sums[j] - mean) * (sums[j] - mean)
            scale = np.float32(1) / np.sqrt(squares * one + epsilon)
            scales[row] = scale
            retained, result, copy = normalized[places], output[places], rounded[places]
            for j in range(width):
                retained[j] = (sums[j] - mean) * scale
            for j in range(width):
                result[j] = retained[j] * weight[j] + bias[j]
            for j in range(width):
                copy[j] = narrow(result[j], kind)


@compiled
def _backward(address, kind):
    head = longs(address, 4)
    numbers, fractions = longs(address + 32, 11), singles(head[2], 1)
    count, width, seed, threshold = numbers[0], numbers[1], np.uint64(numbers[2]), numbers[3]
    gradient, has_more = singles(numbers[4], count * width), numbers[5] != 0
    more = at(numbers[5] if has_more else numbers[9], count * width, kind)
    weight, normalized = singles(numbers[6], width), singles(numbers[7], count * width + count)
    of_residual, of_block = singles(numbers[8], count * width), at(numbers[9], count * width, kind)
    partial = singles(numbers[10], head[1] * 3 * width)
    scales = normalized[count * width :]
    lift = fractions[0]
    one = np.float32(1) / np.float32(width)
    words, factors = np.empty((width + 3) // 4, np.uint64), np.ones(width, np.float32)
    outer, inner = np.empty(width, np.float32), np.empty(width, np.float32)
    while True:
        piece = add_one(address)
        if piece >= head[1]:
            break
        sums = partial[piece * 3 * width : (piece + 1) * 3 * width]
        sums[:] = np.float32(0)
        of_weight, of_bias = sums[:width], sums[width : 2 * width]
        of_added = sums[2 * width :]
        for row in range(piece * ROWS, min(piece * ROWS + ROWS, count)):
            places = slice(row * width, row * width + width)
            arriving, retained = gradient[places], normalized[places]
            if has_more:
                extra = more[places]
                for j in range(width):
                    outer[j] = arriving[j] + widen(extra[j])
            else:
                for j in range(width):
                    outer[j] = arriving[j]
            for j in range(width):
                of_bias[j] += outer[j]
            for j in range(width):
                of_weight[j] += outer[j] * retained[j]
            for j in range(width):
                inner[j] = outer[j] * weight[j]
            mean, share = _sum(inner) * one, _product(inner, retained) * one
            result, block = of_residual[places], of_block[places]
            for j in range(width):
                result[j] = scales[row] * (inner[j] - mean - retained[j] * share)
            if threshold > 0:
                _factors(seed, row, threshold, lift, words, factors)
            for j in range(width):
                inner[j] = result[j] * factors[j]
            for j in range(width):
                of_added[j] += inner[j]
            for j in range(width):
                block[j] = narrow(inner[j], kind)


def _entries(version: int) -> tuple[dict[torch.dtype, Any], dict[torch.dtype, Any]]:
    """Both passes by the kind of activations."""

    @entry
    def forward_half(address):
        if version:
            _forward(address, HALF)

    @entry
    def forward_single(address):
        if version:
            _forward(address, SINGLE)

    @entry
    def backward_half(address):
        if version:
            _backward(address, HALF)

    @entry
    def backward_single(address):
        if version:
            _backward(address, SINGLE)

    return (
        {torch.bfloat16: forward_half, torch.float32: forward_single},
        {torch.bfloat16: backward_half, torch.float32: backward_single},
    )


_FORWARD, _BACKWARD = _entries(SOURCES)


def forward(
    residual: torch.Tensor, block: torch.Tensor, norm: nn.LayerNorm, dropout: Dropout
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the layer norm of a residual and what a block adds to it.

    Args:
        residual: float32 (T, H).
        block: float32 or bfloat16 (T, H).
        norm: over H, with weight and bias.
        dropout: of the block.

    Returns:
        float32 (T, H); the same in the block's type; and what `backward` needs.
    """
    count, width = residual.shape
    output, rounded = torch.empty_like(residual), torch.empty_like(block)
    retained = residual.new_empty(count * (width + 1))
    launch(
        _FORWARD[block.dtype],
        -(-count // ROWS),
        (
            count, width, dropout.seed, dropout.threshold,
            residual.data_ptr(), block.data_ptr(), norm.weight.data_ptr(), norm.bias.data_ptr(),
            output.data_ptr(), rounded.data_ptr(), retained.data_ptr(),
        ),
        (dropout.lift, norm.eps),
    )  # fmt: skip
    return output, rounded, retained


def backward(
    gradient: torch.Tensor,
    more: torch.Tensor | None,
    norm: nn.LayerNorm,
    retained: torch.Tensor,
    dropout: Dropout,
    kind: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the gradients of `forward`.

    Args:
        gradient: of the output, float32 (T, H).
        more: what to add to it, of type `kind` (T, H).
        norm: as it was.
        retained: by `forward`.
        dropout: as it was.
        kind: the type of the block.

    Returns:
        The gradient of the residual, float32 (T, H); of the block, `kind` (T, H); and sums over
        the rows, float32 (3, H): the gradients of weight, bias, and of a bias within the block.
    """
    count, width = gradient.shape
    of_residual, of_block = (
        torch.empty_like(gradient),
        gradient.new_empty((count, width), dtype=kind),
    )
    pieces = -(-count // ROWS)
    partial = gradient.new_empty((pieces, 3, width))
    launch(
        _BACKWARD[kind],
        pieces,
        (
            count, width, dropout.seed, dropout.threshold,
            gradient.data_ptr(), 0 if more is None else more.data_ptr(), norm.weight.data_ptr(),
            retained.data_ptr(), of_residual.data_ptr(), of_block.data_ptr(), partial.data_ptr(),
        ),
        (dropout.lift,),
    )  # fmt: skip
    return of_residual, of_block, partial.sum(0)
