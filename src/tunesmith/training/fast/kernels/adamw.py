"""AdamW in one pass over all weights: clipping, moments, weights, and their copies in bfloat16.

With the gradient g, the learning rate r, and t updates so far (Loshchilov and Hutter, "Decoupled
weight decay regularization", arXiv 1711.05101):

    m = b1 m + (1 - b1) g
    v = b2 v + (1 - b2) g^2
    w = w (1 - r decay) - r / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + epsilon)

Memory is what an update costs. Torch reads or writes gradients three times more, to widen, to
measure and to clip them, and weights once more, to round them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    SOURCES,
    add_one,
    at,
    compiled,
    entry,
    longs,
    narrow,
    singles,
    widen,
)
from tunesmith.training.fast.kernels.parallel import launch
from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    added,
    divided,
    filled,
    load,
    load_half,
    multiplied,
    root,
    store,
    store_half,
    subtracted,
)

__all__ = ["PIECE", "Tensors", "norm", "update"]

PIECE = 1 << 14
"""Weights of a piece of work."""

_BLOCK = 1024
"""Weights that stay in the fastest cache from one loop to the next."""

_COLUMNS, _PIECE_COLUMNS, _FRACTIONS = 7, 3, 7


@compiled
def _gradient(tensor, first, factor, values):
    """A part of a gradient times a factor."""
    if tensor[4]:
        halves = at(tensor[3] + 2 * first, len(values), HALF)
        for j in range(len(values)):
            values[j] = widen(halves[j]) * factor
    else:
        whole = singles(tensor[3] + 4 * first, len(values))
        for j in range(len(values)):
            values[j] = whole[j] * factor


@compiled
def _squares(values):
    """The sum of squares."""
    total = np.float32(0)
    for j in range(len(values)):
        total += values[j] * values[j]
    return total


@compiled
def _step(weights, means, squares, gradient, numbers):
    """Update weights and moments, fewer than fill a vector."""
    rest1, beta2, rest2 = numbers[0], numbers[1], numbers[2]
    size, root, epsilon, decay = numbers[3], numbers[4], numbers[5], numbers[6]
    for j in range(len(weights)):
        means[j] += (gradient[j] - means[j]) * rest1
        squares[j] = squares[j] * beta2 + gradient[j] * gradient[j] * rest2
    for j in range(len(weights)):
        step = size * means[j] / (np.sqrt(squares[j]) * root + epsilon)
        weights[j] = weights[j] * decay - step


@compiled
def _step_by_vectors(tensor, first, last, factor, numbers):
    """Update as many weights as fill vectors; return the first that is left."""
    rest1, beta2, rest2 = filled(numbers[0]), filled(numbers[1]), filled(numbers[2])
    size, correction = filled(numbers[3]), filled(numbers[4])
    epsilon, decay, scale = filled(numbers[5]), filled(numbers[6]), filled(factor)
    weights, means, squares, copy = tensor[0], tensor[1], tensor[2], tensor[5]
    while first + WIDTH <= last:
        if tensor[4]:
            gradient = multiplied(load_half(tensor[3] + 2 * first), scale)
        else:
            gradient = multiplied(load(tensor[3] + 4 * first), scale)
        mean = load(means + 4 * first)
        mean = added(mean, multiplied(subtracted(gradient, mean), rest1))
        square = multiplied(load(squares + 4 * first), beta2)
        square = added(square, multiplied(multiplied(gradient, gradient), rest2))
        below = added(multiplied(root(square), correction), epsilon)
        weight = multiplied(load(weights + 4 * first), decay)
        weight = subtracted(weight, divided(multiplied(size, mean), below))
        store(means + 4 * first, mean)
        store(squares + 4 * first, square)
        store(weights + 4 * first, weight)
        if copy:
            store_half(copy + 2 * first, weight)
        first += WIDTH
    return first


@compiled
def _norm(address):
    head, numbers = longs(address, 4), longs(address + 32, 4)
    tensors = longs(numbers[0], numbers[1] * _COLUMNS)
    pieces, sums = longs(numbers[2], head[1] * _PIECE_COLUMNS), singles(numbers[3], head[1])
    values = np.empty(_BLOCK, np.float32)
    while True:
        number = add_one(address)
        if number >= head[1]:
            break
        piece = pieces[number * _PIECE_COLUMNS : (number + 1) * _PIECE_COLUMNS]
        tensor = tensors[piece[0] * _COLUMNS : (piece[0] + 1) * _COLUMNS]
        total = np.float32(0)
        for first in range(piece[1], piece[2], _BLOCK):
            part = values[: min(_BLOCK, piece[2] - first)]
            _gradient(tensor, first, np.float32(1), part)
            total += _squares(part)
        sums[number] = total


@compiled
def _update(address):
    head, numbers = longs(address, 4), longs(address + 32, 5)
    tensors = longs(numbers[0], numbers[1] * _COLUMNS)
    pieces = longs(numbers[2], head[1] * _PIECE_COLUMNS)
    fractions, factor = singles(numbers[3], numbers[4] * _FRACTIONS), singles(head[2], 1)[0]
    values = np.empty(WIDTH, np.float32)
    while True:
        number = add_one(address)
        if number >= head[1]:
            break
        piece = pieces[number * _PIECE_COLUMNS : (number + 1) * _PIECE_COLUMNS]
        tensor = tensors[piece[0] * _COLUMNS : (piece[0] + 1) * _COLUMNS]
        own = fractions[tensor[6] * _FRACTIONS : (tensor[6] + 1) * _FRACTIONS]
        first = _step_by_vectors(tensor, piece[1], piece[2], factor, own)
        count = piece[2] - first
        if count == 0:
            continue
        part = values[:count]
        _gradient(tensor, first, factor, part)
        weights = singles(tensor[0] + 4 * first, count)
        means = singles(tensor[1] + 4 * first, count)
        squares = singles(tensor[2] + 4 * first, count)
        _step(weights, means, squares, part, own)
        if tensor[5]:
            copies = at(tensor[5] + 2 * first, count, HALF)
            for j in range(count):
                copies[j] = narrow(weights[j], HALF)


def _entries(version: int) -> tuple[Any, Any]:
    """Both kernels."""

    @entry
    def norm_of(address):
        if version:
            _norm(address)

    @entry
    def update_of(address):
        if version:
            _update(address)

    return norm_of, update_of


_NORM, _UPDATE = _entries(SOURCES)


@dataclass(frozen=True, slots=True)
class Tensors:
    """What an update reads and writes.

    Attributes:
        table: for each weight the addresses of its values, of both moments, and of its gradient;
            whether that is bfloat16; the address of a copy in bfloat16 or 0; and which row of the
            fractions is its own. int64 (weights, 7).
        pieces: pieces of work: a row of the table, the first element, and the one behind the last.
            int64 (pieces, 3).
        fractions: 1 - b1, b2, 1 - b2, r / (1 - b1^t), 1 / sqrt(1 - b2^t), epsilon, 1 - r decay;
            float32 (groups, 7).
    """

    table: NDArray[np.int64]
    pieces: NDArray[np.int64]
    fractions: NDArray[np.float32]

    def addresses(self) -> tuple[int, int, int]:
        """The table, its length, and the pieces."""
        return self.table.ctypes.data, len(self.table), self.pieces.ctypes.data


def norm(tensors: Tensors) -> float:
    """Return the L2 norm of all gradients."""
    sums = np.empty(len(tensors.pieces), dtype=np.float32)
    launch(_NORM, len(sums), (*tensors.addresses(), sums.ctypes.data))
    return float(np.sqrt(sums.sum(dtype=np.float64)))


def update(tensors: Tensors, factor: float) -> None:
    """Update all weights, with gradients times a factor."""
    fractions = (tensors.fractions.ctypes.data, len(tensors.fractions))
    launch(_UPDATE, len(tensors.pieces), (*tensors.addresses(), *fractions), (factor,))
