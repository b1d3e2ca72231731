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

from collections.abc import Iterable
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
    ordered,
    singles,
    widen,
)
from tunesmith.training.fast.kernels.parallel import launch
from tunesmith.training.fast.kernels.streams import finish_stores, prefetch, store_around
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
    summed,
)

__all__ = ["PIECE", "Tensors", "count", "cut", "norm", "update"]

PIECE = 1 << 16
"""Weights of a piece of work, at most."""

_CELL = 64
"""Weights that are computed or left out together; pieces and runs of rows start at multiples."""

_BLOCK = 1024
"""Weights whose copies are collected before they are written."""

_AHEAD = 512
"""How far ahead of the computation memory is prefetched, in weights."""

_COLUMNS, _PIECE_COLUMNS, _FRACTIONS = 9, 3, 7

_ALL, _GRADIENT = np.uint16(3), np.uint16(2)
"""Bits of the marks of rows: those that an update changes, and those that have a gradient."""


@compiled
def _run(tensor, first, last, bits):
    """The first run of rows with one of some bits, from `first` on: where it starts and ends.

    Without marks that is all. Borders are rounded outwards to cells.
    """
    if tensor[7] == 0:
        return first, last
    width = tensor[8]
    row, end = first // width, (last - 1) // width + 1
    marks = at(tensor[7], end, HALF)
    while row < end and marks[row] & bits == 0:
        row += 1
    if row == end:
        return last, last
    start = max(first, row * width // _CELL * _CELL)
    while row < end and marks[row] & bits != 0:
        row += 1
    return start, min(last, (row * width + _CELL - 1) // _CELL * _CELL)


@ordered
def _load_gradient(tensor, place):
    """Sixteen numbers of a gradient."""
    if tensor[4]:
        return load_half(tensor[3] + 2 * place)
    return load(tensor[3] + 4 * place)


@compiled
def _gradient(tensor, first, factor, values):
    """A part of a gradient times a factor, less than a vector."""
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


@ordered
def _square_of(tensor, place):
    gradient = _load_gradient(tensor, place)
    return multiplied(gradient, gradient)


@ordered
def _sum_of_squares(tensor, first, last, values):
    """The sum of the squares of a part of a gradient.

    Each number has its place in one of four vectors, so rows of zeros may be left out: the sum is
    the same to the bit.
    """
    one = two = three = four = filled(np.float32(0))
    rest = np.float32(0)
    while first < last:
        first, stop = _run(tensor, first, last, _GRADIENT)
        while first + _CELL <= stop:
            one = added(one, _square_of(tensor, first))
            two = added(two, _square_of(tensor, first + WIDTH))
            three = added(three, _square_of(tensor, first + 2 * WIDTH))
            four = added(four, _square_of(tensor, first + 3 * WIDTH))
            first += _CELL
        while first + WIDTH <= stop:  # at the end of a weight
            one = added(one, _square_of(tensor, first))
            first += WIDTH
        if first < stop:
            part = values[: stop - first]
            _gradient(tensor, first, np.float32(1), part)
            rest += _squares(part)
        first = stop
    return summed(added(added(one, two), added(three, four))) + rest


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


@ordered
def _step_by_vectors(tensor, first, last, factor, numbers, copies):
    """Update as many weights as fill vectors, and put their copies into an array."""
    rest1, beta2, rest2 = filled(numbers[0]), filled(numbers[1]), filled(numbers[2])
    size, correction = filled(numbers[3]), filled(numbers[4])
    epsilon, decay, scale = filled(numbers[5]), filled(numbers[6]), filled(factor)
    weights, means, squares, gradients = tensor[0], tensor[1], tensor[2], tensor[3]
    halved = tensor[4]
    while first + WIDTH <= last:
        place = 4 * first
        if halved:
            gradient = load_half(gradients + 2 * first)
            prefetch(gradients + 2 * first + 2 * _AHEAD)
        else:
            gradient = load(gradients + place)
            prefetch(gradients + place + 4 * _AHEAD)
        gradient = multiplied(gradient, scale)
        prefetch(weights + place + 4 * _AHEAD)
        prefetch(means + place + 4 * _AHEAD)
        prefetch(squares + place + 4 * _AHEAD)
        mean = load(means + place)
        mean = added(mean, multiplied(subtracted(gradient, mean), rest1))
        square = multiplied(load(squares + place), beta2)
        square = added(square, multiplied(multiplied(gradient, gradient), rest2))
        below = added(multiplied(root(square), correction), epsilon)
        weight = multiplied(load(weights + place), decay)
        weight = subtracted(weight, divided(multiplied(size, mean), below))
        store(means + place, mean)
        store(squares + place, square)
        store(weights + place, weight)
        if copies:
            store_half(copies, weight)
            copies += 2 * WIDTH
        first += WIDTH


@ordered
def _write_copies(source, target, count):
    """Write copies to where they belong, around the caches: they are read a pass later."""
    done = 0
    if target % 64 == 0:
        while done + 2 * WIDTH <= count:
            store_around(target + 2 * done, load(source + 2 * done))
            done += 2 * WIDTH
    halves, rounded = at(target, count, HALF), at(source, count, HALF)
    for j in range(done, count):
        halves[j] = rounded[j]


@compiled
def _step_run(tensor, first, last, factor, numbers, values, copies):
    """Update a part of a weight."""
    whole = first + (last - first) // WIDTH * WIDTH
    if tensor[5] == 0:
        _step_by_vectors(tensor, first, whole, factor, numbers, 0)
    else:
        for start in range(first, whole, _BLOCK):
            stop = min(start + _BLOCK, whole)
            _step_by_vectors(tensor, start, stop, factor, numbers, copies.ctypes.data)
            _write_copies(copies.ctypes.data, tensor[5] + 2 * start, stop - start)
    if whole == last:
        return
    part = values[: last - whole]
    _gradient(tensor, whole, factor, part)
    weights = singles(tensor[0] + 4 * whole, len(part))
    means = singles(tensor[1] + 4 * whole, len(part))
    squares = singles(tensor[2] + 4 * whole, len(part))
    _step(weights, means, squares, part, numbers)
    if tensor[5]:
        halves = at(tensor[5] + 2 * whole, len(part), HALF)
        for j in range(len(part)):
            halves[j] = narrow(weights[j], HALF)


@compiled
def _decay(address, count, factor):
    """Weight decay of rows whose gradient and moments are zero."""
    if factor == 1:
        return
    weights = singles(address, count)
    for j in range(count):
        weights[j] *= factor


@compiled
def _norm(address):
    head, numbers = longs(address, 4), longs(address + 32, 4)
    tensors = longs(numbers[0], numbers[1] * _COLUMNS)
    pieces, sums = longs(numbers[2], head[1] * _PIECE_COLUMNS), singles(numbers[3], head[1])
    values = np.empty(WIDTH, np.float32)
    while True:
        number = add_one(address)
        if number >= head[1]:
            break
        piece = pieces[number * _PIECE_COLUMNS : (number + 1) * _PIECE_COLUMNS]
        tensor = tensors[piece[0] * _COLUMNS : (piece[0] + 1) * _COLUMNS]
        sums[number] = _sum_of_squares(tensor, piece[1], piece[2], values)


@compiled
def _update(address):
    head, numbers = longs(address, 4), longs(address + 32, 5)
    tensors = longs(numbers[0], numbers[1] * _COLUMNS)
    pieces = longs(numbers[2], head[1] * _PIECE_COLUMNS)
    fractions, factor = singles(numbers[3], numbers[4] * _FRACTIONS), singles(head[2], 1)[0]
    values, copies = np.empty(WIDTH, np.float32), np.empty(_BLOCK, np.uint16)
    while True:
        number = add_one(address)
        if number >= head[1]:
            break
        piece = pieces[number * _PIECE_COLUMNS : (number + 1) * _PIECE_COLUMNS]
        tensor = tensors[piece[0] * _COLUMNS : (piece[0] + 1) * _COLUMNS]
        own = fractions[tensor[6] * _FRACTIONS : (tensor[6] + 1) * _FRACTIONS]
        first, last = piece[1], piece[2]
        while first < last:
            start, stop = _run(tensor, first, last, _ALL)
            _decay(tensor[0] + 4 * first, start - first, own[6])
            _step_run(tensor, start, stop, factor, own, values, copies)
            first = stop
    finish_stores()


@compiled
def _count(address):
    head, numbers = longs(address, 4), longs(address + 32, 3)
    places, counts = longs(numbers[0], numbers[2]), singles(numbers[1], numbers[2])
    more = singles(head[2], 1)[0]
    for i in range(numbers[2]):
        one = singles(places[i], 1)
        one[0] += more
        counts[i] = one[0]


def _entries(version: int) -> tuple[Any, Any, Any]:
    """All kernels."""

    @entry
    def norm_of(address):
        if version:
            _norm(address)

    @entry
    def update_of(address):
        if version:
            _update(address)

    @entry
    def count_of(address):
        if version:
            _count(address)

    return norm_of, update_of, count_of


_NORM, _UPDATE, _COUNT = _entries(SOURCES)


@dataclass(frozen=True, slots=True)
class Tensors:
    """What an update reads and writes.

    Attributes:
        table: for each weight the addresses of its values, of both moments, and of its gradient;
            whether that is bfloat16; the address of a copy in bfloat16 or 0; which row of the
            fractions is its own; the address of marks of its rows or 0; and how long a row is.
            int64 (weights, 9). A row's mark, uint16, has bit 0 if its moments may be other than
            zero, and bit 1 if its gradient may be; no copy then.
        pieces: pieces of work, of `cut`: a row of the table, the first element, and the one behind
            the last. int64 (pieces, 3).
        fractions: 1 - b1, b2, 1 - b2, r / (1 - b1^t), 1 / sqrt(1 - b2^t), epsilon, 1 - r decay;
            float32 (groups, 7).
    """

    table: NDArray[np.int64]
    pieces: NDArray[np.int64]
    fractions: NDArray[np.float32]

    def addresses(self) -> tuple[int, int, int]:
        """The table, its length, and the pieces."""
        return self.table.ctypes.data, len(self.table), self.pieces.ctypes.data


def cut(sizes: Iterable[int]) -> NDArray[np.int64]:
    """Pieces of work for weights of some sizes, those of one weight about equally long."""
    pieces = []
    for i, size in enumerate(sizes):
        cells = -(-size // _CELL)
        length = -(-cells // -(-size // PIECE)) * _CELL
        pieces += [(i, first, min(first + length, size)) for first in range(0, size, length)]
    return np.array(pieces, dtype=np.int64)


def norm(tensors: Tensors) -> float:
    """Return the L2 norm of all gradients."""
    sums = np.empty(len(tensors.pieces), dtype=np.float32)
    launch(_NORM, len(sums), (*tensors.addresses(), sums.ctypes.data))
    return float(np.sqrt(sums.sum(dtype=np.float64)))


def update(tensors: Tensors, factor: float) -> None:
    """Update all weights, with gradients times a factor."""
    fractions = (tensors.fractions.ctypes.data, len(tensors.fractions))
    launch(_UPDATE, len(tensors.pieces), (*tensors.addresses(), *fractions), (factor,))


def count(places: NDArray[np.int64], more: float) -> NDArray[np.float32]:
    """Add to float32 at some addresses, and return what they are then."""
    counts = np.empty(len(places), dtype=np.float32)
    launch(_COUNT, 1, (places.ctypes.data, counts.ctypes.data, len(places)), (more,))
    return counts
