"""Sixteen floats at once: a Numba type whose values are LLVM vectors, one lane a pixel.

LLVM makes one AVX-512 register of it where there is one, two AVX or four SSE registers elsewhere; the code is the
same. Compared with loops that a compiler may or may not vectorise, the branchy inner loops of blending stay four
times faster, and no library of vector mathematics is needed.

    sum = load(x, i) + 2 * load(y, i)          # + - * / with lanes or a float32 on either side
    store(z, i, where(sum <= limit, sum, zero))  # comparisons give flags, which combine with &

Indices count elements of a flat, C-contiguous float32 array, and nothing checks that sixteen of them exist.
"""

import operator
from typing import ClassVar, no_type_check

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.registry import cpu_target
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from simscale.splats.kernels import part

LANES = 16
FLOAT, WORD, BIT = ir.FloatType(), ir.IntType(32), ir.IntType(1)
VECTOR, WORDS, BITS = (ir.VectorType(kind, LANES) for kind in (FLOAT, WORD, BIT))
FEATURES: str = cpu_target.target_context.codegen().magic_tuple()[2]  # pyright: ignore[reportAttributeAccessIssue]
"""Of the processor that Numba compiles for."""
FLAGS = BITS if "+avx512f" in FEATURES else WORDS
"""What flags are made of. Without registers of masks, LLVM would pack bits that outlive a branch and unpack them again;
there a flag is a word, and stands if its highest bit does."""


class LaneType(types.Type):
    """The Numba type of sixteen floats, or of sixteen truth values."""


float32x16 = LaneType("float32x16")
bool16 = LaneType("bool16")


@register_model(LaneType)
class _LaneModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR if kind == float32x16 else FLAGS)


def _spread(builder, kind, value):
    """A scalar in every lane; lanes as they are."""
    if kind == float32x16:
        return value
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, WORD(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(WORD, LANES), [0] * LANES))


def _flags(builder, bits):
    """Flags of the bits of a comparison."""
    return bits if FLAGS == BITS else builder.sext(bits, WORDS)


def _bits(builder, flags):
    """The bits of flags."""
    return flags if FLAGS == BITS else builder.icmp_signed("<", flags, WORDS(None))


def _packed(builder, flags):
    """Flags as the bits of an integer, the first lane's lowest."""
    return builder.bitcast(_bits(builder, flags), ir.IntType(LANES))


def _operator(function, result, instruction: str, *head, **options) -> None:
    """Gives `function` (of the module `operator`) a meaning for lanes with lanes or a float32."""
    pairs = [(float32x16, float32x16), (float32x16, types.float32), (types.float32, float32x16)]

    @infer_global(function)  # pyright: ignore[reportOptionalCall]
    class _Typing(ConcreteTemplate):
        cases: ClassVar = [signature(result, *pair) for pair in pairs]

    for pair in pairs:

        @lower_builtin(function, *pair)
        def _code(context, builder, sig, args):
            left, right = (_spread(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
            made = getattr(builder, instruction)(*head, left, right, **options)
            return _flags(builder, made) if result == bool16 else made


FUSED = ("contract",)
"""A product and the sum that takes it may become one instruction, which rounds once."""

_operator(operator.add, float32x16, "fadd", flags=FUSED)
_operator(operator.sub, float32x16, "fsub", flags=FUSED)
_operator(operator.mul, float32x16, "fmul", flags=FUSED)
_operator(operator.truediv, float32x16, "fdiv")
_operator(operator.lt, bool16, "fcmp_ordered", "<")
_operator(operator.le, bool16, "fcmp_ordered", "<=")
_operator(operator.gt, bool16, "fcmp_ordered", ">")
_operator(operator.ge, bool16, "fcmp_ordered", ">=")


@infer_global(operator.and_)  # pyright: ignore[reportOptionalCall]
class _And(ConcreteTemplate):
    cases: ClassVar = [signature(bool16, bool16, bool16)]


@lower_builtin(operator.and_, bool16, bool16)
def _and(context, builder, sig, args):
    return builder.and_(*args)


@infer_global(operator.invert)  # pyright: ignore[reportOptionalCall]
class _Invert(ConcreteTemplate):
    cases: ClassVar = [signature(bool16, bool16)]


@lower_builtin(operator.invert, bool16)
def _invert(context, builder, sig, args):
    return builder.not_(args[0])


def _pointer(context, builder, array_type, array, index, kind: ir.Type = VECTOR):
    first = builder.gep(context.make_array(array_type)(context, builder, array).data, [index])
    return builder.bitcast(first, kind.as_pointer())


def _llvm(builder, name: str, kind, args):
    function_type = ir.FunctionType(kind, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), args)


@part
@no_type_check
def scratch(size):
    """Room for some float32 numbers, anything in it; vectors at multiples of LANES lie in one cache line each."""
    block = np.empty(size + LANES, np.float32)
    first = -(block.ctypes.data // 4) % LANES
    return block[first : first + size]


@intrinsic
@no_type_check
def load(typing, array, index):
    """Sixteen elements from `index` on."""

    def codegen(context, builder, sig, args):
        lanes = builder.load(_pointer(context, builder, sig.args[0], *args))
        lanes.align = 4
        return lanes

    return float32x16(array, types.intp), codegen


@intrinsic
@no_type_check
def store(typing, array, index, lanes):
    """Writes sixteen elements from `index` on."""

    def codegen(context, builder, sig, args):
        done = builder.store(args[2], _pointer(context, builder, sig.args[0], *args[:2]))
        done.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), codegen


@intrinsic
@no_type_check
def lanes_of(typing, value):
    """One float32 in all lanes."""
    return float32x16(types.float32), lambda context, builder, sig, args: _spread(builder, types.float32, args[0])


@intrinsic
@no_type_check
def counting(typing):
    """The lanes 0, 1, ... 15."""
    return float32x16(), lambda context, builder, sig, args: ir.Constant(VECTOR, [float(i) for i in range(LANES)])


@intrinsic
@no_type_check
def multiply_add(typing, a, b, c):
    """`a * b + c`, rounded once; each of the three lanes or a float32."""

    def codegen(context, builder, sig, args):
        spread = [_spread(builder, kind, value) for kind, value in zip(sig.args, args, strict=True)]
        return _llvm(builder, "llvm.fma.v16f32", VECTOR, spread)

    return float32x16(*(kind if kind == float32x16 else types.float32 for kind in (a, b, c))), codegen


def _chosen(comparison: str):
    """An intrinsic that takes from each pair of lanes the one that compares so with the other."""

    @intrinsic
    @no_type_check
    def chosen(typing, a, b):
        def codegen(context, builder, sig, args):
            a, b = (_spread(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
            return builder.select(builder.fcmp_ordered(comparison, a, b), a, b)

        return float32x16(a, b if b == float32x16 else types.float32), codegen

    return chosen


smaller = _chosen("<")
"""The smaller of lanes and of lanes or a float32; the latter where the former is NaN."""
larger = _chosen(">")
"""The larger of the two; the latter where the former is NaN."""


def _function(name: str, words: str):
    """An intrinsic for one of LLVM's functions of one number."""

    @intrinsic
    @no_type_check
    def function(typing, a):
        return float32x16(float32x16), lambda context, builder, sig, args: _llvm(builder, name, VECTOR, args)

    function.__doc__ = words
    return function


magnitude = _function("llvm.fabs.v16f32", "Absolute values.")
root_of = _function("llvm.sqrt.v16f32", "Square roots.")
floor_of = _function("llvm.floor.v16f32", "The next whole numbers below.")


@intrinsic
@no_type_check
def negative(typing, lanes):
    """Flags of the lanes whose sign is set."""

    def codegen(context, builder, sig, args):
        words = builder.bitcast(args[0], WORDS)
        return words if FLAGS == WORDS else builder.icmp_signed("<", words, WORDS(None))

    return bool16(float32x16), codegen


@intrinsic
@no_type_check
def where(typing, flags, a, b):
    """`a` in the lanes that are flagged, `b` in the others."""

    def codegen(context, builder, sig, args):
        return builder.select(_bits(builder, args[0]), *args[1:])

    return float32x16(bool16, float32x16, float32x16), codegen


@intrinsic
@no_type_check
def any_of(typing, flags):
    """Whether any lane is flagged."""

    def codegen(context, builder, sig, args):
        return builder.icmp_unsigned("!=", _packed(builder, args[0]), ir.IntType(LANES)(0))

    return types.boolean(bool16), codegen


@intrinsic
@no_type_check
def all_of(typing, flags):
    """Whether all lanes are flagged."""

    def codegen(context, builder, sig, args):
        return builder.icmp_unsigned("==", _packed(builder, args[0]), ir.IntType(LANES)(-1))

    return types.boolean(bool16), codegen


@intrinsic
@no_type_check
def bits_of(typing, flags):
    """Flags as the bits of an integer, the first lane's lowest."""

    def codegen(context, builder, sig, args):
        return builder.zext(_packed(builder, args[0]), ir.IntType(64))

    return types.int64(bool16), codegen


@intrinsic
@no_type_check
def load_where(typing, array, index, flags):
    """Elements from `index` on in the lanes that are flagged, 0 in the others, whose elements need not exist."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], *args[:2])
        rest = ir.Constant(VECTOR, [0.0] * LANES)
        return _llvm(builder, "llvm.masked.load.v16f32.p0", VECTOR, [pointer, WORD(4), _bits(builder, args[2]), rest])

    return float32x16(array, types.intp, bool16), codegen


@intrinsic
@no_type_check
def store_where(typing, array, index, lanes, flags):
    """Writes the lanes that are flagged to the elements from `index` on."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], *args[:2])
        bits = _bits(builder, args[3])
        _llvm(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), [args[2], pointer, WORD(4), bits])
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16, bool16), codegen


@intrinsic
@no_type_check
def prefetch(typing, array, index):
    """Asks for the cache line of an element that will be read soon."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], *args, kind=ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, WORD, WORD, WORD])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, WORD(0), WORD(3), WORD(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
@no_type_check
def take_ticket(typing, counter):
    """Adds 1 to the first element of an int64 array and returns what stood there, whoever else does so."""

    def codegen(context, builder, sig, args):
        first = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", first, ir.IntType(64)(1), "monotonic")

    return types.int64(counter), codegen
