"""Sixteen float32 at once, as values of compiled code.

LLVM vectorizes a loop only if it can prove, or check cheaply, that its arrays do not overlap, and
if the loop is long. Code that works on vectors itself needs neither; each processor gets the widest
instructions it has.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, overload

__all__ = [
    "WIDTH", "added", "divided", "exp", "filled", "first", "larger", "largest", "load", "load_half",
    "multiplied", "read", "retained", "root", "size_of", "store", "store_half", "subtracted",
    "summed", "write",
]  # fmt: skip

WIDTH = 16
"""Numbers of a vector."""

_SINGLES = ir.VectorType(ir.FloatType(), WIDTH)
_WORDS = ir.VectorType(ir.IntType(32), WIDTH)
_HALVES = ir.VectorType(ir.IntType(16), WIDTH)
_LONGS = ir.VectorType(ir.IntType(64), WIDTH // 4)
_LOOSE = ("contract", "nsz", "arcp")


class _Vector(types.Type):
    """The type of sixteen float32 in compiled code."""

    def __init__(self) -> None:
        super().__init__(name="vector16")


_VECTOR = _Vector()


@register_default(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _SINGLES)


def _words(value: int) -> ir.Constant:
    return ir.Constant(_WORDS, [value] * WIDTH)


def _singles(value: float) -> ir.Constant:
    return ir.Constant(_SINGLES, [value] * WIDTH)


def _longs(values) -> ir.Constant:
    return ir.Constant(_LONGS, values)


def _at(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _spread(builder, value, kind):
    """A vector of one number; LLVM makes one instruction of it."""
    vector = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _index(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(vector, ir.Constant(kind, ir.Undefined), zeros)


def _index(number: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), number)


@intrinsic
def filled(_context, value):
    """A vector of one number."""

    def generate(_context, builder, _signature, arguments):
        return _spread(builder, arguments[0], _SINGLES)

    return _VECTOR(types.float32), generate


@intrinsic
def load(_context, address):
    """Sixteen float32 from an address."""

    def generate(_context, builder, _signature, arguments):
        return builder.load(_at(builder, arguments[0], _SINGLES), align=4)

    return _VECTOR(types.int64), generate


@intrinsic
def store(_context, address, vector):
    """Write sixteen float32 to an address."""

    def generate(context, builder, _signature, arguments):
        builder.store(arguments[1], _at(builder, arguments[0], _SINGLES), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, _VECTOR), generate


@intrinsic
def load_half(_context, address):
    """Sixteen bfloat16 from an address, widened."""

    def generate(_context, builder, _signature, arguments):
        halves = builder.load(_at(builder, arguments[0], _HALVES), align=2)
        bits = builder.shl(builder.zext(halves, _WORDS), _words(16))
        return builder.bitcast(bits, _SINGLES)

    return _VECTOR(types.int64), generate


@intrinsic
def store_half(_context, address, vector):
    """Write sixteen float32 as bfloat16, rounded to the nearest, ties to even."""

    def generate(context, builder, _signature, arguments):
        bits = builder.bitcast(arguments[1], _WORDS)
        shifted = builder.lshr(bits, _words(16))
        odd = builder.and_(shifted, _words(1))
        rounded = builder.lshr(builder.add(builder.add(bits, _words(0x7FFF)), odd), _words(16))
        is_nan = builder.fcmp_unordered("uno", arguments[1], arguments[1])
        result = builder.select(is_nan, builder.or_(shifted, _words(0x40)), rounded)
        target = _at(builder, arguments[0], _HALVES)
        builder.store(builder.trunc(result, _HALVES), target, align=2)
        return context.get_dummy_value()

    return types.void(types.int64, _VECTOR), generate


def read(address, kind):
    """Sixteen numbers from an address, of the kind of `HALF` or `SINGLE`."""
    raise NotImplementedError("only in compiled code")


@overload(read, inline="always")
def _read(address, kind):
    if kind == types.uint16:
        return lambda address, kind: load_half(address)
    return lambda address, kind: load(address)


def write(address, vector, kind):
    """Write sixteen numbers to an address, of the kind of `HALF` or `SINGLE`."""
    raise NotImplementedError("only in compiled code")


@overload(write, inline="always")
def _write(address, vector, kind):
    if kind == types.uint16:
        return lambda address, vector, kind: store_half(address, vector)
    return lambda address, vector, kind: store(address, vector)


def size_of(kind):
    """The bytes of a number of the kind of `HALF` or `SINGLE`."""
    raise NotImplementedError("only in compiled code")


@overload(size_of, inline="always")
def _size_of(kind):
    if kind == types.uint16:
        return lambda kind: 2
    return lambda kind: 4


def _operation(name: str, text: str):
    def operate(_context, one, other):
        def generate(_context, builder, _signature, arguments):
            return getattr(builder, name)(*arguments, flags=_LOOSE)

        return _VECTOR(_VECTOR, _VECTOR), generate

    operate.__doc__ = text
    return intrinsic(operate)


added = _operation("fadd", "The sum of two vectors.")
subtracted = _operation("fsub", "One vector minus another.")
multiplied = _operation("fmul", "The product of two vectors.")
divided = _operation("fdiv", "One vector divided by another.")


def _reduced(builder, vector, operate):
    """What an operation makes of the numbers of a vector, always in the same order."""
    numbers = [builder.extract_element(vector, _index(i)) for i in range(WIDTH)]
    while len(numbers) > 1:
        half = len(numbers) // 2
        numbers = [operate(numbers[i], numbers[i + half]) for i in range(half)]
    return numbers[0]


@intrinsic
def summed(_context, vector):
    """The sum of the numbers of a vector, always in the same order."""

    def generate(_context, builder, _signature, arguments):
        return _reduced(builder, arguments[0], builder.fadd)

    return types.float32(_VECTOR), generate


def _larger(builder, one, other):
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


@intrinsic
def larger(_context, one, other):
    """The larger of each pair; the other where one is NaN."""

    def generate(_context, builder, _signature, arguments):
        return _larger(builder, *arguments)

    return _VECTOR(_VECTOR, _VECTOR), generate


@intrinsic
def largest(_context, vector):
    """The largest number of a vector, or NaN, if there are any."""

    def generate(_context, builder, _signature, arguments):
        return _reduced(builder, arguments[0], lambda a, b: _larger(builder, a, b))

    return types.float32(_VECTOR), generate


@intrinsic
def first(_context, vector, count, rest):
    """The first numbers of a vector, and another number in the places behind them."""

    def generate(_context, builder, _signature, arguments):
        vector, count, rest = arguments
        places = ir.Constant(_WORDS, list(range(WIDTH)))
        limit = _spread(builder, builder.trunc(count, ir.IntType(32)), _WORDS)
        is_before = builder.icmp_signed("<", places, limit)
        return builder.select(is_before, vector, _spread(builder, rest, _SINGLES))

    return _VECTOR(_VECTOR, types.int64, types.float32), generate


@intrinsic
def exp(_context, vector):
    """Compute e to the powers of numbers of at most 0, to about 1e-7 relative; NaN stays.

    Range reduction by powers of 2 and a polynomial of degree 6, with the coefficients of Cephes
    (Moshier, expf).
    """

    def generate(_context, builder, _signature, arguments):
        def times_plus(one, other, more):
            product = builder.fmul(one, other, flags=("contract",))
            return builder.fadd(product, more, flags=("contract",))

        low = _singles(-87.0)
        value = builder.select(builder.fcmp_ordered("<", arguments[0], low), low, arguments[0])
        # adding 1.5 * 2**23 rounds to a whole number, whose bits are the lowest of the sum
        shifted = times_plus(value, _singles(1.44269504), _singles(12582912.0))
        power = builder.fsub(shifted, _singles(12582912.0))
        rest = times_plus(power, _singles(-0.693359375), value)
        rest = times_plus(power, _singles(2.12194440e-4), rest)
        total = _singles(1.9875691500e-4)
        for coefficient in (
            1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
        ):  # fmt: skip
            total = times_plus(total, rest, _singles(coefficient))
        total = times_plus(total, builder.fmul(rest, rest), rest)
        total = builder.fadd(total, _singles(1.0))
        bits = builder.add(builder.bitcast(shifted, _WORDS), _words(127 - 0x4B400000))
        return builder.fmul(total, builder.bitcast(builder.shl(bits, _words(23)), _SINGLES))

    return _VECTOR(_VECTOR), generate


@intrinsic
def retained(_context, vector, seed, number, threshold):
    """What dropout keeps of a vector, the others zero: lanes below a threshold are dropped.

    The lanes are four words of the stream of a seed, as `splitmix64` computes them, from `4 *
    number` on.
    """

    def generate(_context, builder, _signature, arguments):
        vector, seed, number, threshold = arguments
        golden = 0x9E3779B97F4A7C15
        start = builder.mul(number, ir.Constant(ir.IntType(64), 4 * golden % 2**64))
        start = _spread(builder, builder.add(seed, start), _LONGS)
        bits = builder.add(start, _longs([i * golden % 2**64 for i in range(4)]))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits = builder.xor(bits, builder.lshr(bits, _longs([shift] * 4)))
            bits = builder.mul(bits, _longs([factor] * 4))
        bits = builder.xor(bits, builder.lshr(bits, _longs([31] * 4)))
        limit = _spread(builder, builder.trunc(threshold, ir.IntType(16)), _HALVES)
        is_kept = builder.icmp_unsigned(">=", builder.bitcast(bits, _HALVES), limit)
        return builder.select(is_kept, vector, _singles(0.0))

    return _VECTOR(_VECTOR, types.uint64, types.int64, types.int64), generate


@intrinsic
def root(_context, vector):
    """The square roots."""

    def generate(_context, builder, _signature, arguments):
        kind = ir.FunctionType(_SINGLES, [_SINGLES])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.sqrt.v16f32")
        return builder.call(function, arguments)

    return _VECTOR(_VECTOR), generate
