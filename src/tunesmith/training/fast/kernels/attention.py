"""Attention of short sequences in one pass: all between two matrix products of a layer.

    probabilities = softmax(scale * queries keys^T)    output = dropout(probabilities) values

A piece of work is one head of one sequence: its rows are copied into the caches once, and only the
probabilities are retained for the backward pass. Longer sequences are computed by strips of
queries. Sums are float32, whatever the activations are, and what was dropped is drawn again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    SINGLE,
    SOURCES,
    add_one,
    at,
    entry,
    longs,
    ordered,
    singles,
    widen,
)
from tunesmith.training.fast.kernels.parallel import Dropout, launch
from tunesmith.training.fast.kernels.products import ROWS, add_product, write_product
from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    added,
    exp,
    filled,
    first,
    larger,
    largest,
    load,
    multiplied,
    read,
    retained,
    size_of,
    store,
    subtracted,
    summed,
    write,
)

__all__ = ["Attention"]

_COLUMNS = 3
"""Of the table of sequences: the first token, how many, and pairs of tokens before it."""

_STRIP = 4096
"""Pairs of tokens whose scores are computed together: they stay in the fastest cache."""

_LEAST = 4 * ROWS
"""Queries that are computed together also where keys are many: each reads all of these."""

_ZERO, _ONE = np.float32(0), np.float32(1)


@ordered
def _up(number, step):
    """A number rounded up to a multiple."""
    return (number + step - 1) // step * step


@ordered
def _strip(rows, columns):
    """How many queries are computed together."""
    return min(rows, max(_STRIP // columns // ROWS * ROWS, _LEAST))


@ordered
def _pad(source, step, target, length, rows, width, kind):
    """Copy rows, a step of bytes apart, as float32 one behind the other; padding is zero."""
    for i in range(length):
        for j in range(0, width, WIDTH):
            numbers = read(source + i * step + j * size_of(kind), kind)
            store(target + 4 * (i * width + j), numbers)
    for j in range(length * width, rows * width, WIDTH):
        store(target + 4 * j, filled(_ZERO))


@ordered
def _pad_across(source, step, target, length, columns, width, kind):
    """Copy rows as `_pad` does, each as a column."""
    turned = singles(target, width * columns)
    for i in range(length):
        row = at(source + i * step, width, kind)
        for j in range(width):
            turned[j * columns + i] = widen(row[j])
    for j in range(width):
        for i in range(length, columns):
            turned[j * columns + i] = _ZERO


@ordered
def _clear(target, count):
    for j in range(0, count, WIDTH):
        store(target + 4 * j, filled(_ZERO))


@ordered
def _unpad(source, target, step, length, width, kind):
    """Copy rows of float32 to where they belong, a step of bytes apart."""
    for i in range(length):
        for j in range(0, width, WIDTH):
            numbers = load(source + 4 * (i * width + j))
            write(target + i * step + j * size_of(kind), numbers, kind)


@ordered
def _softmax(row, saved, length, columns, scale, number, drop, lift, kind):
    """Turn scores of a query into probabilities, save these, and leave what dropout retains."""
    seed, threshold = drop
    last, top = columns - WIDTH, filled(np.float32(-np.inf))
    store(row + 4 * last, first(load(row + 4 * last), length - last, np.float32(-np.inf)))
    for j in range(0, columns, WIDTH):
        scores = multiplied(load(row + 4 * j), filled(scale))
        store(row + 4 * j, scores)
        top = larger(scores, top)
    shift, total = filled(largest(top)), filled(_ZERO)
    for j in range(0, columns, WIDTH):
        powers = exp(subtracted(load(row + 4 * j), shift))
        if j == last:
            powers = first(powers, length - last, _ZERO)
        store(row + 4 * j, powers)
        total = added(total, powers)
    one = filled(_ONE / summed(total))
    for j in range(0, columns, WIDTH):
        probabilities = multiplied(load(row + 4 * j), one)
        write(saved + j * size_of(kind), probabilities, kind)
        if threshold > 0:
            probabilities = retained(probabilities, seed, number + j // WIDTH, threshold)
            probabilities = multiplied(probabilities, filled(lift))
        store(row + 4 * j, probabilities)


@ordered
def _softmax_backward(row, rest, saved, columns, scale, number, drop, lift, kind):
    """Turn the gradient of a query's retained probabilities into that of its scores.

    What dropout retained of the probabilities is written to `rest`.
    """
    seed, threshold = drop
    total = filled(_ZERO)
    for j in range(0, columns, WIDTH):
        probabilities, gradient = read(saved + j * size_of(kind), kind), load(row + 4 * j)
        if threshold > 0:
            factors = retained(filled(lift), seed, number + j // WIDTH, threshold)
            gradient = multiplied(gradient, factors)
            store(row + 4 * j, gradient)
            store(rest + 4 * j, multiplied(probabilities, factors))
        else:
            store(rest + 4 * j, probabilities)
        total = added(total, multiplied(gradient, probabilities))
    mean = filled(summed(total))
    for j in range(0, columns, WIDTH):
        probabilities, gradient = read(saved + j * size_of(kind), kind), load(row + 4 * j)
        gradient = multiplied(multiplied(probabilities, subtracted(gradient, mean)), filled(scale))
        store(row + 4 * j, gradient)


@ordered
def _forward(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 9)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, width, longest = numbers[1], numbers[2], numbers[3]
    drop = np.uint64(numbers[4]), numbers[5]
    vectors, context, probabilities = numbers[6], numbers[7], numbers[8]
    scale, lift = singles(head[2], 2)[0], singles(head[2], 2)[1]
    part = width * size_of(kind)
    most = _up(longest, WIDTH)
    room = np.empty(4 * most * width + max(_STRIP, _LEAST * most) + WIDTH, np.float32)
    queries = (room.ctypes.data + 63) // 64 * 64
    keys, values = queries + 4 * most * width, queries + 8 * most * width
    outputs, scores = queries + 12 * most * width, queries + 16 * most * width
    while True:
        piece = add_one(address)
        if piece >= head[1]:
            break
        line, one = piece // heads * _COLUMNS, piece % heads
        start, length, before = table[line], table[line + 1], table[line + 2]
        rows, columns = _up(length, ROWS), _up(length, WIDTH)
        source = vectors + (3 * heads * start + one) * part
        _pad(source, 3 * heads * part, queries, length, rows, width, kind)
        _pad_across(source + heads * part, 3 * heads * part, keys, length, columns, width, kind)
        _pad(source + 2 * heads * part, 3 * heads * part, values, length, columns, width, kind)
        strip = _strip(rows, columns)
        for top in range(0, rows, strip):
            count = min(strip, rows - top)
            write_product(
                queries + 4 * top * width, 4 * width, 4, keys, scores, count, columns, width
            )
            for i in range(count):
                place = before * heads + (one * rows + top + i) * columns
                _softmax(
                    scores + 4 * i * columns, probabilities + place * size_of(kind),
                    length, columns, scale, place // WIDTH, drop, lift, kind,
                )  # fmt: skip
            write_product(scores, 4 * columns, 4, values, outputs, count, width, columns)
            target = context + (heads * (start + top) + one) * part
            _unpad(outputs, target, heads * part, min(count, length - top), width, kind)
    room[0] = _ZERO  # it is released behind its last use


@ordered
def _backward(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 10)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, width, longest = numbers[1], numbers[2], numbers[3]
    drop = np.uint64(numbers[4]), numbers[5]
    vectors, probabilities, gradient, of_vectors = numbers[6], numbers[7], numbers[8], numbers[9]
    scale, lift = singles(head[2], 2)[0], singles(head[2], 2)[1]
    part = width * size_of(kind)
    most = _up(longest, WIDTH)
    room = np.empty(7 * most * width + 2 * max(_STRIP, _LEAST * most) + WIDTH, np.float32)
    queries = (room.ctypes.data + 63) // 64 * 64
    keys, values = queries + 4 * most * width, queries + 8 * most * width
    outputs, of_queries = queries + 12 * most * width, queries + 16 * most * width
    of_keys, of_values = queries + 20 * most * width, queries + 24 * most * width
    scores = queries + 28 * most * width
    rest = scores + 4 * max(_STRIP, _LEAST * most)
    while True:
        piece = add_one(address)
        if piece >= head[1]:
            break
        line, one = piece // heads * _COLUMNS, piece % heads
        start, length, before = table[line], table[line + 1], table[line + 2]
        rows, columns = _up(length, ROWS), _up(length, WIDTH)
        step, place = 3 * heads * part, (3 * heads * start + one) * part
        source, target = vectors + place, of_vectors + place
        _pad(source, step, queries, length, rows, width, kind)
        _pad(source + heads * part, step, keys, length, columns, width, kind)
        _pad_across(source + 2 * heads * part, step, values, length, columns, width, kind)
        place = gradient + (heads * start + one) * part
        _pad(place, heads * part, outputs, length, rows, width, kind)
        _clear(of_keys, columns * width)
        _clear(of_values, columns * width)
        strip = _strip(rows, columns)
        for top in range(0, rows, strip):
            count, above = min(strip, rows - top), 4 * top * width
            write_product(outputs + above, 4 * width, 4, values, scores, count, columns, width)
            for i in range(count):
                place = before * heads + (one * rows + top + i) * columns
                _softmax_backward(
                    scores + 4 * i * columns, rest + 4 * i * columns,
                    probabilities + place * size_of(kind),
                    columns, scale, place // WIDTH, drop, lift, kind,
                )  # fmt: skip
            write_product(scores, 4 * columns, 4, keys, of_queries + above, count, width, columns)
            add_product(scores, 4, 4 * columns, queries + above, of_keys, columns, width, count)
            add_product(rest, 4, 4 * columns, outputs + above, of_values, columns, width, count)
        _unpad(of_queries, target, step, length, width, kind)
        _unpad(of_keys, target + heads * part, step, length, width, kind)
        _unpad(of_values, target + 2 * heads * part, step, length, width, kind)
    room[0] = _ZERO  # it is released behind its last use


def _entries(version: int) -> tuple[dict[torch.dtype, Any], dict[torch.dtype, Any]]:
    """Forward and backward pass, by the kind of activations."""

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


class Attention:
    """Attention within each sequence of a pack, whose tokens lie one behind the other."""

    def __init__(self, lengths: NDArray[np.int64], heads: int) -> None:
        """Lay out sequences of these lengths, for so many heads of D numbers, a multiple of 16."""
        rows, columns = (-(-lengths // step) * step for step in (ROWS, WIDTH))
        pairs = rows * columns
        table = (np.cumsum(lengths) - lengths, lengths, np.cumsum(pairs) - pairs)
        self._table = np.ascontiguousarray(np.stack(table, axis=1), dtype=np.int64)
        self._heads = heads
        self._tokens, self._longest = int(lengths.sum()), int(lengths.max())
        self._pairs = int(pairs.sum()) * heads

    def forward(
        self, vectors: torch.Tensor, scale: float, dropout: Dropout
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the output (T, H), and the probabilities for the backward pass.

        Args:
            vectors: queries, keys, and values of each token, (T, 3 H), float32 or bfloat16; tokens
                behind the last sequence get zeros.
            scale: of scores.
            dropout: of probabilities.
        """
        width = vectors.shape[1] // 3
        output = vectors.new_empty((len(vectors), width))
        output[self._tokens :] = 0
        probabilities = vectors.new_empty(self._pairs)
        addresses = vectors.data_ptr(), output.data_ptr(), probabilities.data_ptr()
        self._launch(_FORWARD[vectors.dtype], width, scale, dropout, addresses)
        return output, probabilities

    def backward(
        self,
        gradient: torch.Tensor,
        vectors: torch.Tensor,
        probabilities: torch.Tensor,
        scale: float,
        dropout: Dropout,
    ) -> torch.Tensor:
        """Compute the gradient of queries, keys, and values, (T, 3 H), from that of the output."""
        of_vectors = torch.empty_like(vectors)
        of_vectors[self._tokens :] = 0
        addresses = (
            vectors.data_ptr(), probabilities.data_ptr(), gradient.data_ptr(),
            of_vectors.data_ptr(),
        )  # fmt: skip
        kernel = _BACKWARD[vectors.dtype]
        self._launch(kernel, gradient.shape[1], scale, dropout, addresses)
        return of_vectors

    def _launch(
        self, kernel: Any, width: int, scale: float, dropout: Dropout, addresses: tuple[int, ...]
    ) -> None:
        numbers = (
            self._table.ctypes.data, self._heads, width // self._heads, self._longest,
            dropout.seed, dropout.threshold,
        )  # fmt: skip
        pieces = len(self._table) * self._heads
        launch(kernel, pieces, (*numbers, *addresses), (scale, dropout.lift))
