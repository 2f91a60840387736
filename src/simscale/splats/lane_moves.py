"""Lanes change places: sums over lanes, transposition, and rows of three or of many numbers spread over lanes."""

from typing import no_type_check

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simscale.splats.lanes import LANES, VECTOR, WORD, float32x16

SIXTEEN = types.UniTuple(float32x16, LANES)


def _shuffled(builder, a, b, indices):
    """Lanes of `a` (0 to 15) and of `b` (16 to 31)."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(WORD, LANES), indices))


def _given(builder, args, count: int):
    """The vectors that a call gave, and zeros up to sixteen."""
    vectors = [builder.extract_value(args[0], i) for i in range(count)]
    return vectors + [ir.Constant(VECTOR, [0.0] * LANES)] * (LANES - count)


@intrinsic
@no_type_check
def lane_sums(typing, *vectors):
    """Lane i becomes the sum over the lanes of the i-th vector; lanes without a vector become 0.

    A tree of halves: each step packs two vectors into one, so that sixteen sums cost little more than one.
    """
    count = len(vectors)

    def codegen(context, builder, sig, args):
        parts = _given(builder, args, count)
        width = LANES  # lanes that still belong to one vector
        while width > 1:
            half = width // 2
            low = [LANES * side + start + i for start in range(0, LANES, width) for side in (0, 1) for i in range(half)]
            high = [index + half for index in low]
            pairs = zip(parts[: len(parts) // 2], parts[len(parts) // 2 :], strict=True)
            parts = [builder.fadd(_shuffled(builder, a, b, low), _shuffled(builder, a, b, high)) for a, b in pairs]
            width = half
        return parts[0]

    return float32x16(types.StarArgTuple(vectors)), codegen


@intrinsic
@no_type_check
def transposed(typing, *vectors):
    """Sixteen vectors of which the i-th holds all i-th lanes; vectors that are not given count as zeros."""
    count = len(vectors)

    def codegen(context, builder, sig, args):
        parts = _given(builder, args, count)
        for step in (8, 4, 2, 1):
            keep = [i if not i & step else LANES + i - step for i in range(LANES)]
            swap = [i + step if not i & step else LANES + i for i in range(LANES)]
            for i in range(LANES):
                if not i & step:
                    a, b = parts[i], parts[i + step]
                    parts[i], parts[i + step] = _shuffled(builder, a, b, keep), _shuffled(builder, a, b, swap)
        return cgutils.pack_array(builder, parts)

    return SIXTEEN(types.StarArgTuple(vectors)), codegen


def arrangement(indices: list[int]):
    """An intrinsic that makes lane i of lane `indices[i]`."""

    @intrinsic
    @no_type_check
    def arranged(typing, lanes):
        return float32x16(float32x16), lambda context, builder, sig, args: _shuffled(builder, args[0], args[0], indices)

    return arranged


@intrinsic
@no_type_check
def triples(typing, first, second, third):
    """The first, second and third numbers of sixteen triples that lie one after another in three vectors."""

    def codegen(context, builder, sig, args):
        a, b, c = args
        result = []
        for part in range(3):
            places = [3 * i + part for i in range(LANES)]
            early = _shuffled(builder, a, b, [place if place < 2 * LANES else 0 for place in places])
            late = [i if place < 2 * LANES else place - LANES for i, place in enumerate(places)]
            result.append(_shuffled(builder, early, c, late))
        return cgutils.pack_array(builder, result)

    return types.UniTuple(float32x16, 3)(float32x16, float32x16, float32x16), codegen
