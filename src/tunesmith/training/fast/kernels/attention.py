"""What attention does around its matrix products: padded heads, softmax, dropout.

A pack's sequences form groups of one padded length L, a group is (sequences * heads, L, D). One
call of a kernel serves all groups: a piece of work is a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tunesmith.training.fast.kernels.numbers import (
    HALF,
    SINGLE,
    SOURCES,
    add_one,
    at,
    compiled,
    entry,
    exp,
    larger,
    longs,
    narrow,
    splitmix64,
    widen,
    words,
)
from tunesmith.training.fast.kernels.parallel import Dropout, launch
from tunesmith.training.fast.kernels.vectors import WIDTH, added, filled, load, summed
from tunesmith.training.fast.packing import Group

__all__ = ["PaddedHeads"]


_COLUMNS = 5
"""Of the table of sequences: the first token, how many, L, places and pairs before it."""

_LEAST = np.float32(1e-20)
"""A smaller sum of powers has lost digits."""

_STRIP = 4096
"""Pairs of tokens whose scores are computed together: they stay in the fastest cache."""


@compiled
def _copy(source, start, target, place, count):
    """Copy 64-bit words, a multiple of 4: read before written, so that each four are one move."""
    for j in range(np.uint64(0), count, np.uint64(4)):
        one, two = source[start + j], source[start + j + np.uint64(1)]
        three, four = source[start + j + np.uint64(2)], source[start + j + np.uint64(3)]
        target[place + j], target[place + j + np.uint64(1)] = one, two
        target[place + j + np.uint64(2)], target[place + j + np.uint64(3)] = three, four


@compiled
def _move(address, pads):
    """Copy rows of tokens into padded heads, or back."""
    head, numbers = words(address, 4), words(address + 32, 8)
    sequences, planes, heads, width = head[1], numbers[1], numbers[2], numbers[3]
    tokens, places = numbers[4], numbers[5]
    table = words(numbers[0], sequences * np.uint64(_COLUMNS))
    step, plane_step = planes * heads * width, places * heads * width
    source, target = words(numbers[6], tokens * step), words(numbers[7], planes * plane_step)
    while True:
        sequence = np.uint64(add_one(address))
        if sequence >= sequences:
            break
        row = sequence * np.uint64(_COLUMNS)
        start, length, longest = table[row], table[row + np.uint64(1)], table[row + np.uint64(2)]
        first = table[row + np.uint64(3)] * heads * width
        for plane in range(planes):
            for one in range(heads):
                place = plane * plane_step + first + one * longest * width
                column = start * step + (plane * heads + one) * width
                for _token in range(length):
                    if pads:
                        _copy(source, column, target, place, width)
                    else:
                        _copy(target, place, source, column, width)
                    place += width
                    column += step
                if pads:
                    for j in range((longest - length) * width):
                        target[place + j] = np.uint64(0)


@compiled
def _draw(seed, first, threshold, random, factors):
    """What dropout multiplies with, 0 or 1, from a place on; a word decides about four places."""
    lanes = random.view(np.uint16)
    for i in range(len(random)):
        random[i] = splitmix64(seed, first // 4 + i)
    for j in range(len(factors)):
        factor = np.float32(0)
        if lanes[j] >= threshold:
            factor = np.float32(1)
        factors[j] = factor


@compiled
def _largest(values):
    """The largest of some values."""
    largest = values[0]
    for j in range(len(values)):
        largest = larger(largest, values[j])
    return largest


@compiled
def _total(values):
    """The sum of some values, a multiple of 8; a plain loop over so few is not vectorized."""
    address, total = values.ctypes.data, filled(np.float32(0))
    end = len(values) - len(values) % WIDTH
    for j in range(0, end, WIDTH):
        total = added(total, load(address + 4 * j))
    rest = np.float32(0)
    for j in range(end, len(values)):
        rest += values[j]
    return summed(total) + rest


@compiled
def _by_itself(row, scores, length):
    """Compute the powers of a row with its own largest score; return one over their sum."""
    shift = widen(scores[0])
    for j in range(length):
        row[j] = widen(scores[j])
        shift = larger(shift, row[j])
    for j in range(length):
        row[j] = exp(row[j] - shift)
    return np.float32(1) / _total(row)


@compiled
def _softmax(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 8)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, seed, threshold = numbers[1], np.uint64(numbers[2]), numbers[3]
    count, most = numbers[4], max(numbers[5], _STRIP)
    scores, dropped = at(numbers[6], count, kind), at(numbers[7], count, kind)
    all_values, all_factors = np.empty(most, np.float32), np.empty(most, np.float32)
    all_random = np.empty(most // 4 + 1, np.uint64)
    while True:
        sequence = add_one(address)
        if sequence >= head[1]:
            break
        length, longest = table[sequence * _COLUMNS + 1], table[sequence * _COLUMNS + 2]
        first = table[sequence * _COLUMNS + 4] * heads
        strip = max(_STRIP // longest, 1)
        for one in range(heads):
            for top in range(0, longest, strip):
                rows = min(strip, longest - top)
                place, size = first + (one * longest + top) * longest, rows * longest
                shares, values = scores[place : place + size], all_values[:size]
                for j in range(size):
                    values[j] = widen(shares[j])
                shift = _largest(values)
                for j in range(size):
                    values[j] = exp(values[j] - shift)
                for i in range(rows):
                    row = values[i * longest : i * longest + longest]
                    share = shares[i * longest : i * longest + longest]
                    for j in range(length, longest):
                        row[j] = np.float32(0)
                    total = _total(row)
                    if top + i >= length:  # the query is padding
                        scale = np.float32(0)
                    elif total > _LEAST:
                        scale = np.float32(1) / total
                    else:  # all far below the largest of the other rows, or not a number
                        scale = _by_itself(row, share, length)
                    for j in range(0, longest, 8):
                        for t in range(8):
                            row[j + t] *= scale
                for j in range(size):
                    shares[j] = narrow(values[j], kind)
                if threshold > 0:
                    retained, factors = dropped[place : place + size], all_factors[:size]
                    _draw(seed, place, threshold, all_random[: size // 4], factors)
                    for j in range(size):
                        retained[j] = narrow(widen(shares[j]) * factors[j], kind)


@compiled
def _softmax_backward(address, kind):
    head, numbers = longs(address, 4), longs(address + 32, 9)
    table = longs(numbers[0], head[1] * _COLUMNS)
    heads, seed, threshold = numbers[1], np.uint64(numbers[2]), numbers[3]
    count, most = numbers[4], max(numbers[5], _STRIP)
    all_shares, gradient = at(numbers[6], count, kind), at(numbers[7], count, kind)
    dropped = at(numbers[8], count, kind)
    all_values, all_factors = np.empty(most, np.float32), np.ones(most, np.float32)
    all_widened = np.empty(most, np.float32)
    all_random = np.empty(most // 4 + 1, np.uint64)
    while True:
        sequence = add_one(address)
        if sequence >= head[1]:
            break
        longest = table[sequence * _COLUMNS + 2]
        first = table[sequence * _COLUMNS + 4] * heads
        strip = max(_STRIP // longest, 1)
        for one in range(heads):
            for top in range(0, longest, strip):
                rows = min(strip, longest - top)
                place, size = first + (one * longest + top) * longest, rows * longest
                shares, result = all_shares[place : place + size], gradient[place : place + size]
                values, widened = all_values[:size], all_widened[:size]
                factors = all_factors[:size]
                for j in range(size):
                    widened[j] = widen(shares[j])
                if threshold > 0:
                    retained = dropped[place : place + size]
                    _draw(seed, place, threshold, all_random[: size // 4], factors)
                    for j in range(size):
                        retained[j] = narrow(widened[j] * factors[j], kind)
                for j in range(size):
                    values[j] = widen(result[j]) * factors[j]
                for j in range(size):
                    factors[j] = values[j] * widened[j]
                for i in range(rows):
                    row = values[i * longest : i * longest + longest]
                    total = _total(factors[i * longest : i * longest + longest])
                    for j in range(0, longest, 8):
                        for t in range(8):
                            row[j + t] -= total
                for j in range(size):
                    result[j] = narrow(values[j] * widened[j], kind)
                if threshold == 0:
                    factors[:] = np.float32(1)


def _entries(
    version: int,
) -> tuple[tuple[Any, Any], dict[torch.dtype, Any], dict[torch.dtype, Any]]:
    """Both moves, softmax and its gradient by the kind of activations."""

    @entry
    def spread(address):
        if version:
            _move(np.uint64(address), True)

    @entry
    def gather(address):
        if version:
            _move(np.uint64(address), False)

    @entry
    def softmax_half(address):
        if version:
            _softmax(address, HALF)

    @entry
    def softmax_single(address):
        if version:
            _softmax(address, SINGLE)

    @entry
    def backward_half(address):
        if version:
            _softmax_backward(address, HALF)

    @entry
    def backward_single(address):
        if version:
            _softmax_backward(address, SINGLE)

    return (
        (spread, gather),
        {torch.bfloat16: softmax_half, torch.float32: softmax_single},
        {torch.bfloat16: backward_half, torch.float32: backward_single},
    )


(_SPREAD, _GATHER), _SOFTMAX, _SOFTMAX_BACKWARD = _entries(SOURCES)


class PaddedHeads:
    """How the sequences of a pack lie padded, head by head.

    Tensors of places have a row for each token of a padded head, (planes, places, D); tensors of
    pairs a number for each pair of a query and a key. Both hold one group after the other.
    """

    def __init__(self, groups: Sequence[Group], heads: int) -> None:
        """Lay the sequences of some groups, the whole of a pack, out for so many heads."""
        self._heads = heads
        self._shapes = [(group.count * heads, group.longest) for group in groups]
        lengths = np.concatenate([group.lengths for group in groups])
        longest = np.repeat([g.longest for g in groups], [g.count for g in groups])
        self._tokens, self._sequences = int(lengths.sum()), len(lengths)
        self._widest = int(longest.max())
        self._places, self._pairs = int(longest.sum()), int((longest**2).sum())
        columns = (
            np.cumsum(lengths) - lengths,
            lengths,
            longest,
            np.cumsum(longest) - longest,
            np.cumsum(longest**2) - longest**2,
        )
        self._table = np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.int64)

    def places(self, like: torch.Tensor, planes: int, width: int) -> torch.Tensor:
        """Room for padded heads of D = `width`."""
        return like.new_empty((planes, self._places * self._heads, width))

    def pairs(self, like: torch.Tensor) -> torch.Tensor:
        """Room for a number for each pair."""
        return like.new_empty(self._pairs * self._heads)

    def groups(self, places: torch.Tensor) -> list[list[torch.Tensor]]:
        """Each plane of each group of places, (sequences * heads, L, D)."""
        parts = torch.split(places, [count * longest for count, longest in self._shapes], dim=1)
        return [
            [plane.view(count, longest, -1) for plane in part]
            for part, (count, longest) in zip(parts, self._shapes, strict=True)
        ]

    def split(self, pairs: torch.Tensor) -> list[torch.Tensor]:
        """Each group of pairs, (sequences * heads, L, L)."""
        parts = torch.split(pairs, [count * longest**2 for count, longest in self._shapes])
        return [
            part.view(count, longest, longest)
            for part, (count, longest) in zip(parts, self._shapes, strict=True)
        ]

    def spread(self, rows: torch.Tensor, planes: int) -> torch.Tensor:
        """Pad rows (T, planes * heads * D) into places; padding is zero."""
        width = rows.shape[1] // (planes * self._heads)
        places = rows.new_empty((planes, self._places * self._heads, width))
        self._move(_SPREAD, rows, places)
        return places

    def gather(self, places: torch.Tensor, tokens: int) -> torch.Tensor:
        """Take rows (`tokens`, planes * heads * D) out of places; zero behind the last sequence."""
        planes, _places, width = places.shape
        rows = places.new_empty((tokens, planes * self._heads * width))
        rows[self._tokens :] = 0
        self._move(_GATHER, rows, places)
        return rows

    def softmax(self, scores: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """Turn scores into shares in place, zero for padding; return those that dropout keeps.

        These are not lifted yet. Without dropout they are the shares themselves.
        """
        retained = torch.empty_like(scores) if dropout.threshold else scores
        numbers = (scores.numel(), self._widest, scores.data_ptr(), retained.data_ptr())
        self._drop(_SOFTMAX[scores.dtype], dropout, numbers)
        return retained

    def softmax_backward(
        self, shares: torch.Tensor, gradient: torch.Tensor, dropout: Dropout
    ) -> torch.Tensor:
        """Turn the gradient of retained shares into that of scores in place; return the shares."""
        retained = torch.empty_like(shares) if dropout.threshold else shares
        numbers = (
            shares.numel(), self._widest,
            shares.data_ptr(), gradient.data_ptr(), retained.data_ptr(),
        )  # fmt: skip
        self._drop(_SOFTMAX_BACKWARD[shares.dtype], dropout, numbers)
        return retained

    def _move(self, kernel: Any, rows: torch.Tensor, places: torch.Tensor) -> None:
        planes, _places, width = places.shape
        words = width * places.element_size() // 8
        numbers = (planes, self._heads, words, len(rows), self._places)
        addresses = (rows.data_ptr(), places.data_ptr())
        launch(kernel, self._sequences, (self._table.ctypes.data, *numbers, *addresses))

    def _drop(self, kernel: Any, dropout: Dropout, numbers: tuple[int, ...]) -> None:
        drop = (self._heads, dropout.seed, dropout.threshold)
        launch(kernel, self._sequences, (self._table.ctypes.data, *drop, *numbers))
