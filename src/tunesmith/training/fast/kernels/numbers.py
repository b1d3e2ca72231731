"""Numbers inside of kernels: bfloat16 in 16 bits, arrays at addresses, random lanes.

Tensors come as addresses. A kernel is compiled for two kinds of activations, float32 and bfloat16,
which numba does not know: its bits are uint16 here, and `widen` and `narrow` convert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.core.compiler import Compiler
from numba.extending import intrinsic, overload

__all__ = [
    "ENTRIES",
    "HALF",
    "LOOSE",
    "SINGLE",
    "SOURCES",
    "NotCompiledError",
    "add_one",
    "at",
    "compiled",
    "entry",
    "longs",
    "narrow",
    "no_compiling",
    "ordered",
    "singles",
    "splitmix64",
    "widen",
]  # fmt: skip

LOOSE = {"contract", "nsz", "arcp", "reassoc"}
"""Of fast math only what keeps infinities and NaN as they are."""

compiled = njit(nogil=True, fastmath=LOOSE, boundscheck=False, error_model="numpy")

ordered = njit(nogil=True, boundscheck=False, error_model="numpy")
"""As `compiled`, for code of explicit vectors: numba would allow all of it to be rearranged."""

ENTRIES: list[Any] = []
"""What was made of functions so far; it must stay alive."""


def entry(function: Callable[[int], None]) -> Any:
    """Make a function of an address, that of what `launch` passes, one that OpenMP can call."""
    kind = types.void(types.int64)
    made = cfunc(kind, nopython=True, cache=True, pipeline_class=_compilers[-1])(function)
    ENTRIES.append(made)
    return made


class NotCompiledError(Exception):
    """A function is not compiled, inside of `no_compiling`."""


class _NoCompiler:
    def __init__(self, *arguments: object) -> None:
        raise NotCompiledError


_compilers: list[type] = [Compiler]


@contextmanager
def no_compiling() -> Iterator[None]:
    """Inside, entries are only loaded.

    Raises:
        NotCompiledError: one is not compiled.
    """
    _compilers.append(_NoCompiler)
    try:
        yield
    finally:
        _compilers.pop()


def _digest() -> int:
    """A positive number for the sources of all kernels."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()
    return int.from_bytes(digest[:7], "big") | 1


SOURCES = _digest()
"""Numba looks for what it compiled by the file of an entry and what the entry closes over, but not
by what it calls; so entries close over this."""

HALF, SINGLE = np.uint16(0), np.float32(0)
"""Stand for the kind of activations; see `at`."""

_I16, _I32, _I64, _FLOAT = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@intrinsic
def pointer(_context, address):
    """The pointer to an address."""

    def generate(_context, builder, _signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), generate


@intrinsic
def add_one(_context, address):
    """Add one to the int64 at an address, also while other threads do, and return what it was."""

    def generate(_context, builder, _signature, arguments):
        counter = builder.inttoptr(arguments[0], _I64.as_pointer())
        return builder.atomic_rmw("add", counter, ir.Constant(_I64, 1), "monotonic")

    return types.int64(address), generate


@intrinsic
def widen(_context, value):
    """The float32 of a bfloat16; of a float32 itself."""
    if value == types.float32:
        return types.float32(types.float32), lambda _c, _b, _s, arguments: arguments[0]

    def generate(_context, builder, _signature, arguments):
        bits = builder.zext(arguments[0], _I32)
        return builder.bitcast(builder.shl(bits, ir.Constant(_I32, 16)), _FLOAT)

    return types.float32(types.uint16), generate


@intrinsic
def narrow(_context, value, like):
    """A float32 as the kind of `like`; to bfloat16 it is rounded to the nearest, ties to even."""
    if like == types.float32:
        kinds = types.float32(types.float32, types.float32)
        return kinds, lambda _c, _b, _s, arguments: arguments[0]

    def generate(_context, builder, _signature, arguments):
        bits = builder.bitcast(arguments[0], _I32)
        shifted = builder.lshr(bits, ir.Constant(_I32, 16))
        odd = builder.and_(shifted, ir.Constant(_I32, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(_I32, 0x7FFF)), odd)
        # rounding up would carry the bits of some NaN into an infinity
        is_nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        quiet = builder.or_(shifted, ir.Constant(_I32, 0x40))
        result = builder.select(is_nan, quiet, builder.lshr(rounded, ir.Constant(_I32, 16)))
        return builder.trunc(result, _I16)

    return types.uint16(types.float32, types.uint16), generate


def at(address, count, kind):
    """An array of the kind of `HALF` or `SINGLE` at an address."""
    raise NotImplementedError("only in compiled code")


@overload(at)
def _at(address, count, kind):
    if kind == types.uint16:
        return lambda address, count, kind: carray(pointer(address), (count,), np.uint16)
    return lambda address, count, kind: carray(pointer(address), (count,), np.float32)


@compiled
def singles(address, count):
    """An array of float32 at an address."""
    return carray(pointer(address), (count,), np.float32)


@compiled
def longs(address, count):
    """An array of int64 at an address."""
    return carray(pointer(address), (count,), np.int64)


@compiled
def splitmix64(seed, number):
    """Return 64 random bits: those of a number in the stream of a seed.

    The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014) over a counter: any place of the stream is computed by itself, so the
    backward pass draws again what the forward pass drew, and keeps nothing.
    """
    bits = seed + np.uint64(number) * _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
