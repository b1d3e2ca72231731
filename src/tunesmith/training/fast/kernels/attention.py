"""Attention of short sequences in one pass: all between two matrix products of a layer.

    probabilities = softmax(scale * queries keys^T)    output = dropout(probabilities) values

A piece of work is one head of one sequence: its rows are copied into the caches once, and only the
probabilities are retained for the backward pass. Longer sequences are computed by strips of
queries. Sums are float32, whatever the activations are, and what was dropped is drawn again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

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
from tunesmith.training.fast.kernels.products import (
    ROWS,
    add_product,
    clear,
    pad,
    pad_across,
    unpad,
    write_product,
)
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

__all__ = ["Attention", "Vectors"]

_COLUMNS = 5
"""Of the table of sequences: the first token, how many; the first query, how many; pairs before."""

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
    head, numbers = longs(address, 4), longs(address + 32, 13)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, width, longest = numbers[1], numbers[2], numbers[3]
    drop = np.uint64(numbers[4]), numbers[5]
    context, saved = numbers[6], numbers[7]
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
        start, length, first_query = table[line], table[line + 1], table[line + 2]
        selected, before = table[line + 3], table[line + 4]
        rows, columns = _up(selected, ROWS), _up(length, WIDTH)
        step = numbers[8]
        pad(
            numbers[9] + first_query * step + one * part, step, queries, selected, rows, width, kind
        )
        step, place = numbers[10], start * numbers[10] + one * part
        pad_across(numbers[11] + place, step, keys, length, columns, width, kind)
        pad(numbers[12] + place, step, values, length, columns, width, kind)
        strip = _strip(rows, columns)
        for top in range(0, rows, strip):
            count = min(strip, rows - top)
            write_product(
                queries + 4 * top * width, 4 * width, 4, keys, scores, count, columns, width
            )
            for i in range(count):
                place = before * heads + (one * rows + top + i) * columns
                _softmax(
                    scores + 4 * i * columns, saved + place * size_of(kind),
                    length, columns, scale, place // WIDTH, drop, lift, kind,
                )  # fmt: skip
            write_product(scores, 4 * columns, 4, values, outputs, count, width, columns)
            target = context + (heads * (first_query + top) + one) * part
            unpad(outputs, target, heads * part, min(count, selected - top), width, kind)
    room[0] = _ZERO  # it is released behind its last use


@ordered
def _backward(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 18)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, width, longest = numbers[1], numbers[2], numbers[3]
    drop = np.uint64(numbers[4]), numbers[5]
    gradient, saved = numbers[6], numbers[7]
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
        start, length, first_query = table[line], table[line + 1], table[line + 2]
        selected, before = table[line + 3], table[line + 4]
        rows, columns = _up(selected, ROWS), _up(length, WIDTH)
        step = numbers[8]
        pad(
            numbers[9] + first_query * step + one * part, step, queries, selected, rows, width, kind
        )
        step, place = numbers[10], start * numbers[10] + one * part
        pad(numbers[11] + place, step, keys, length, columns, width, kind)
        pad_across(numbers[12] + place, step, values, length, columns, width, kind)
        place = gradient + (heads * first_query + one) * part
        pad(place, heads * part, outputs, selected, rows, width, kind)
        clear(of_keys, columns * width)
        clear(of_values, columns * width)
        strip = _strip(rows, columns)
        for top in range(0, rows, strip):
            count, above = min(strip, rows - top), 4 * top * width
            write_product(outputs + above, 4 * width, 4, values, scores, count, columns, width)
            for i in range(count):
                place = before * heads + (one * rows + top + i) * columns
                _softmax_backward(
                    scores + 4 * i * columns, rest + 4 * i * columns,
                    saved + place * size_of(kind),
                    columns, scale, place // WIDTH, drop, lift, kind,
                )  # fmt: skip
            write_product(scores, 4 * columns, 4, keys, of_queries + above, count, width, columns)
            add_product(scores, 4, 4 * columns, queries + above, of_keys, columns, width, count)
            add_product(rest, 4, 4 * columns, outputs + above, of_values, columns, width, count)
        step = numbers[13]
        place = numbers[14] + first_query * step + one * part
        unpad(of_queries, place, step, selected, width, kind)
        step, place = numbers[15], start * numbers[15] + one * part
        unpad(of_keys, numbers[16] + place, step, length, width, kind)
        unpad(of_values, numbers[17] + place, step, length, width, kind)
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


class Vectors(NamedTuple):
    """Queries, keys, and values, or their gradients.

    Attributes:
        queries: (Q, H), float32 or bfloat16, each row in one piece.
        keys: (T, H), of the same type.
        values: (T, H), as far apart as the keys.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """Bytes between queries, their address; those between keys, their address, and values'."""
        queries, keys, values = self
        size = queries.element_size()
        return (
            queries.stride(0) * size, queries.data_ptr(),
            keys.stride(0) * size, keys.data_ptr(), values.data_ptr(),
        )  # fmt: skip


class Attention:
    """Attention within each sequence of a pack, whose tokens lie one behind the other.

    Attributes:
        tokens: of all sequences.
    """

    def __init__(
        self, lengths: NDArray[np.int64], heads: int, selected: NDArray[np.int64] | None = None
    ) -> None:
        """Lay out the sequences of a pack.

        Args:
            lengths: of the sequences.
            heads: of D numbers each, a multiple of 16.
            selected: of each sequence the place of its only query; None where all tokens have one.
        """
        starts = np.cumsum(lengths) - lengths
        first = starts if selected is None else selected
        queries = lengths if selected is None else np.ones_like(lengths)
        pairs = (-(-queries // ROWS) * ROWS) * (-(-lengths // WIDTH) * WIDTH)
        table = (starts, lengths, first, queries, np.cumsum(pairs) - pairs)
        self._table = np.ascontiguousarray(np.stack(table, axis=1), dtype=np.int64)
        self._heads = heads
        self._longest = int(lengths.max())
        self.tokens = int(lengths.sum())
        self._pairs = int(pairs.sum()) * heads
        self._queries = int(queries.sum())

    def forward(
        self, vectors: Vectors, scale: float, dropout: Dropout
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the output (Q, H), and the probabilities for the backward pass.

        Args:
            vectors: of all tokens; outputs of queries behind the last sequence are zero.
            scale: of scores.
            dropout: of probabilities.
        """
        queries = vectors.queries
        output = queries.new_empty(queries.shape)
        output[self._queries :] = 0
        probabilities = queries.new_empty(self._pairs)
        numbers = output.data_ptr(), probabilities.data_ptr(), *vectors.numbers
        self._launch(_FORWARD[queries.dtype], queries.shape[1], scale, dropout, numbers)
        return output, probabilities

    def backward(
        self,
        gradient: torch.Tensor,
        vectors: Vectors,
        probabilities: torch.Tensor,
        scale: float,
        dropout: Dropout,
        of_vectors: Vectors,
    ) -> None:
        """Write the gradients of queries, keys, and values to `of_vectors`, from the output's.

        What is behind the last sequence is left as it is.
        """
        numbers = (
            gradient.data_ptr(), probabilities.data_ptr(), *vectors.numbers, *of_vectors.numbers,
        )  # fmt: skip
        self._launch(_BACKWARD[gradient.dtype], gradient.shape[1], scale, dropout, numbers)

    def _launch(
        self, kernel: Any, width: int, scale: float, dropout: Dropout, numbers: tuple[int, ...]
    ) -> None:
        first = (
            self._table.ctypes.data, self._heads, width // self._heads, self._longest,
            dropout.seed, dropout.threshold,
        )  # fmt: skip
        pieces = len(self._table) * self._heads
        launch(kernel, pieces, (*first, *numbers), (scale, dropout.lift))
