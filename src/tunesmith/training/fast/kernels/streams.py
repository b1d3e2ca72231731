"""Memory that is passed through once: prefetched, and written around the caches."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["finish_stores", "prefetch", "store_around"]

_I8, _I32 = ir.IntType(8), ir.IntType(32)
_LINE = 64


@intrinsic
def prefetch(_context, address):
    """Ask for the cache line at an address, which need not be one of ours."""

    def generate(context, builder, _signature, arguments):
        pointer = builder.inttoptr(arguments[0], _I8.as_pointer())
        kinds = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [_I8.as_pointer()], kinds)
        to_read, to_the_nearest, of_data = (ir.Constant(_I32, number) for number in (0, 3, 1))
        builder.call(function, [pointer, to_read, to_the_nearest, of_data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def store_around(_context, address, vector):
    """Write a vector to an address, a multiple of 64, and into no cache."""

    def generate(context, builder, _signature, arguments):
        target = builder.inttoptr(arguments[0], arguments[1].type.as_pointer())
        written = builder.store(arguments[1], target, align=_LINE)
        mark = builder.module.add_metadata([ir.Constant(_I32, 1)])
        written.set_metadata("nontemporal", mark)
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


@intrinsic
def finish_stores(_context):
    """Let other threads see what this one has stored around the caches."""

    def generate(context, builder, _signature, _arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
