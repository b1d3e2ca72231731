"""Products of small matrices of float32, where the left one may be transposed.

    target = left @ right    or    target += left @ right

A block of rows and columns is summed in registers while both operands stay in the fastest cache.
Libraries for matrix products need longer to be called than such products take. `pad` and others
copy rows of larger matrices, of either kind, to where they are multiplied, and back.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tunesmith.training.fast.kernels.numbers import at, ordered, singles, widen
from tunesmith.training.fast.kernels.vectors import (
    WIDTH,
    filled,
    load,
    read,
    size_of,
    store,
    write,
)

__all__ = ["ROWS", "add_product", "clear", "pad", "pad_across", "unpad", "write_product"]

ROWS = 8
"""Rows of a block; matrices have a multiple of it."""

_LINE = 4 * WIDTH
"""Bytes of a vector."""

_I64, _FLOAT = ir.IntType(64), ir.FloatType()
_SINGLES = ir.VectorType(_FLOAT, WIDTH)
_FUSED = ("contract",)


def _block(vectors: int, *, adds: bool):
    """Code for a block of `ROWS` rows and some vectors of columns."""

    @intrinsic
    def block(_context, left, row, column, right, right_row, target, target_row, count):
        def generate(context, builder, _signature, arguments):
            left, row, column, right, right_row, target, target_row, count = arguments

            def at(base, offset, kind):
                return builder.inttoptr(builder.add(base, offset), kind.as_pointer())

            def constant(number):
                return ir.Constant(_I64, number)

            places = [(r, v) for r in range(ROWS) for v in range(vectors)]
            sums = {place: cgutils.alloca_once(builder, _SINGLES) for place in places}

            def target_at(r, v):
                offset = builder.add(builder.mul(target_row, constant(r)), constant(v * _LINE))
                return at(target, offset, _SINGLES)

            for place, total in sums.items():
                zero = ir.Constant(_SINGLES, [0.0] * WIDTH)
                builder.store(builder.load(target_at(*place), align=4) if adds else zero, total)
            undefined = ir.Constant(_SINGLES, ir.Undefined)
            first = ir.Constant(ir.IntType(32), 0)
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
            with cgutils.for_range(builder, count) as loop:
                line, start = builder.mul(loop.index, right_row), builder.mul(loop.index, column)
                others = [
                    builder.load(
                        at(right, builder.add(line, constant(v * _LINE)), _SINGLES), align=4
                    )
                    for v in range(vectors)
                ]
                for r in range(ROWS):
                    offset = builder.add(start, builder.mul(row, constant(r)))
                    number = builder.load(at(left, offset, _FLOAT), align=4)
                    single = builder.insert_element(undefined, number, first)
                    same = builder.shuffle_vector(single, undefined, zeros)
                    for v in range(vectors):
                        product = builder.fmul(same, others[v], flags=_FUSED)
                        total = builder.load(sums[r, v])
                        builder.store(builder.fadd(total, product, flags=_FUSED), sums[r, v])
            for place, total in sums.items():
                builder.store(builder.load(total), target_at(*place), align=4)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), generate

    return block


_WRITE_ONE, _WRITE_TWO = _block(1, adds=False), _block(2, adds=False)
_ADD_ONE, _ADD_TWO = _block(1, adds=True), _block(2, adds=True)


@ordered
def write_product(left, row, column, right, target, rows, columns, count):
    """Write a product.

    Args:
        left: address of the left matrix.
        row: bytes from one of its rows to the next.
        column: bytes from one of its columns to the next.
        right: address of the right matrix (count, columns), its rows one after the other.
        target: address of the product (rows, columns), the same.
        rows: a multiple of `ROWS`.
        columns: a multiple of `WIDTH`.
        count: columns of the left matrix.
    """
    line = 4 * columns
    for j in range(0, columns, 2 * WIDTH):
        for i in range(0, rows, ROWS):
            above, here, there = left + i * row, right + 4 * j, target + i * line + 4 * j
            if j + WIDTH < columns:
                _WRITE_TWO(above, row, column, here, line, there, line, count)
            else:
                _WRITE_ONE(above, row, column, here, line, there, line, count)


@ordered
def add_product(left, row, column, right, target, rows, columns, count):
    """Add a product to the target; see `write_product`."""
    line = 4 * columns
    for j in range(0, columns, 2 * WIDTH):
        for i in range(0, rows, ROWS):
            above, here, there = left + i * row, right + 4 * j, target + i * line + 4 * j
            if j + WIDTH < columns:
                _ADD_TWO(above, row, column, here, line, there, line, count)
            else:
                _ADD_ONE(above, row, column, here, line, there, line, count)


@ordered
def pad(source, step, target, length, rows, width, kind):
    """Copy rows, a step of bytes apart, as float32 one behind the other; padding is zero."""
    for i in range(length):
        for j in range(0, width, WIDTH):
            numbers = read(source + i * step + j * size_of(kind), kind)
            store(target + 4 * (i * width + j), numbers)
    for j in range(length * width, rows * width, WIDTH):
        store(target + 4 * j, filled(np.float32(0)))


@ordered
def pad_across(source, step, target, length, columns, width, kind):
    """Copy rows as `pad` does, each as a column."""
    turned = singles(target, width * columns)
    for i in range(length):
        row = at(source + i * step, width, kind)
        for j in range(width):
            turned[j * columns + i] = widen(row[j])
    for j in range(width):
        for i in range(length, columns):
            turned[j * columns + i] = np.float32(0)


@ordered
def clear(target, count):
    """Set numbers to zero, a multiple of `WIDTH`."""
    for j in range(0, count, WIDTH):
        store(target + 4 * j, filled(np.float32(0)))


@ordered
def unpad(source, target, step, length, width, kind):
    """Copy rows of float32 to where they belong, a step of bytes apart."""
    for i in range(length):
        for j in range(0, width, WIDTH):
            numbers = load(source + 4 * (i * width + j))
            write(target + i * step + j * size_of(kind), numbers, kind)
