"""exp, log and the logistic function of lanes, without a library: off by less than 2e-7 of the value."""

from typing import no_type_check

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from simscale.splats.kernels import part
from simscale.splats.lanes import (
    LANES,
    VECTOR,
    WORD,
    float32x16,
    floor_of,
    larger,
    multiply_add,
    smaller,
    where,
)

f32 = np.float32
WORDS = ir.VectorType(WORD, LANES)
ONE, TWO, HALF = f32(1), f32(2), f32(0.5)
PER_LN2, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
FACTORIALS = tuple(f32(1 / k) for k in (5040, 720, 120, 24, 6, 2))


@intrinsic
@no_type_check
def _times_power(typing, lanes, power):
    """Lanes times 2 to a whole power from -126 to 127."""

    def codegen(context, builder, sig, args):
        whole = builder.fptosi(args[1], WORDS)
        biased = builder.add(whole, ir.Constant(WORDS, [127] * LANES))
        scale = builder.bitcast(builder.shl(biased, ir.Constant(WORDS, [23] * LANES)), VECTOR)
        return builder.fmul(args[0], scale)

    return float32x16(float32x16, float32x16), codegen


@intrinsic
@no_type_check
def _power_of(typing, lanes):
    """The whole power of 2 in positive lanes."""

    def codegen(context, builder, sig, args):
        bits = builder.lshr(builder.bitcast(args[0], WORDS), ir.Constant(WORDS, [23] * LANES))
        return builder.sitofp(builder.sub(bits, ir.Constant(WORDS, [127] * LANES)), VECTOR)

    return float32x16(float32x16), codegen


@part
@no_type_check
def exp_of(x):
    """exp(x), for x from -87 to 87; beyond, as at those ends."""
    x = larger(smaller(x, f32(87)), f32(-87))
    power = floor_of(multiply_add(x, PER_LN2, HALF))
    r = multiply_add(power, -LN2_LOW, multiply_add(power, -LN2_HIGH, x))
    p = multiply_add(r, FACTORIALS[0], FACTORIALS[1])
    for factor in FACTORIALS[2:]:
        p = multiply_add(p, r, factor)
    return _times_power(multiply_add(r * r, p, r + ONE), power)


@part
@no_type_check
def log_of(x):
    """ln(x) of positive numbers."""
    power = _power_of(x)
    m = _times_power(x, power * f32(-1))  # 1 to 2
    upper = m > f32(1.41421356)
    m = where(upper, m * HALF, m)
    power = where(upper, power + ONE, power)
    t = (m - ONE) / (m + ONE)
    tt = t * t
    series = multiply_add(tt, f32(1 / 9), f32(1 / 7))
    series = multiply_add(tt, series, f32(1 / 5))
    series = multiply_add(tt, series, f32(1 / 3))
    return multiply_add(power, LN2_HIGH, multiply_add(power, LN2_LOW, TWO * multiply_add(t * tt, series, t)))


@part
@no_type_check
def sigmoid_of(x):
    """1 / (1 + exp(-x))."""
    return ONE / (ONE + exp_of(x * f32(-1)))
