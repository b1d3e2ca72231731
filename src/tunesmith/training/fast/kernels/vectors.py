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
from numba.extending import intrinsic

__all__ = [
    "WIDTH", "added", "divided", "filled", "load", "load_half", "multiplied", "root", "store",
    "store_half", "subtracted", "summed",
]  # fmt: skip

WIDTH = 16
"""Numbers of a vector."""

_SINGLES = ir.VectorType(ir.FloatType(), WIDTH)
_WORDS = ir.VectorType(ir.IntType(32), WIDTH)
_HALVES = ir.VectorType(ir.IntType(16), WIDTH)
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


def _at(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def filled(_context, value):
    """A vector of one number."""

    def generate(_context, builder, _signature, arguments):
        vector = ir.Constant(_SINGLES, ir.Undefined)
        for i in range(WIDTH):
            vector = builder.insert_element(vector, arguments[0], ir.Constant(ir.IntType(32), i))
        return vector

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


@intrinsic
def summed(_context, vector):
    """The sum of the numbers of a vector, always in the same order."""

    def generate(_context, builder, _signature, arguments):
        places = [ir.Constant(ir.IntType(32), i) for i in range(WIDTH)]
        numbers = [builder.extract_element(arguments[0], place) for place in places]
        while len(numbers) > 1:
            half = len(numbers) // 2
            numbers = [builder.fadd(numbers[i], numbers[i + half]) for i in range(half)]
        return numbers[0]

    return types.float32(_VECTOR), generate


@intrinsic
def root(_context, vector):
    """The square roots."""

    def generate(_context, builder, _signature, arguments):
        kind = ir.FunctionType(_SINGLES, [_SINGLES])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.sqrt.v16f32")
        return builder.call(function, arguments)

    return _VECTOR(_VECTOR), generate
