"""Real spherical harmonics up to degree 3, in the order and with the signs of the INRIA files, and their slopes."""

from typing import no_type_check

import numpy as np

from simscale.splats.kernels import part

f32 = np.float32
CONSTANT = f32(0.28209479177387814)
"""The harmonic of degree 0."""
DEGREE_1 = f32(0.4886025119029199)
DEGREE_2 = tuple(f32(c) for c in (1.0925484305920792, 0.31539156525252005, 0.5462742152960396))
DEGREE_3 = tuple(
    f32(c) for c in (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)
)
NONE, TWO, THREE, FOUR, SIX, EIGHT = f32(0), f32(2), f32(3), f32(4), f32(6), f32(8)


@part
@no_type_check
def _constants(degree):
    """Those of the degrees 1, 2 and 3, or zeros for degrees that are not wanted."""
    one = DEGREE_1 if degree >= 1 else NONE
    two = DEGREE_2 if degree >= 2 else (NONE, NONE, NONE)
    three = DEGREE_3 if degree >= 3 else (NONE, NONE, NONE, NONE, NONE)
    return one, two, three


@part
@no_type_check
def harmonics(degree, v):
    """The fifteen beyond the constant one at a unit vector; those beyond `degree` are 0."""
    one, two, three = _constants(degree)
    x, y, z = v
    xx, yy, zz = x * x, y * y, z * z
    ring = FOUR * zz - xx - yy
    return (
        y * -one,
        z * one,
        x * -one,
        x * y * two[0],
        y * z * -two[0],
        (TWO * zz - xx - yy) * two[1],
        x * z * -two[0],
        (xx - yy) * two[2],
        y * (THREE * xx - yy) * -three[0],
        x * y * z * three[1],
        y * ring * -three[2],
        z * (TWO * zz - THREE * (xx + yy)) * three[3],
        x * ring * -three[2],
        z * (xx - yy) * three[4],
        x * (xx - THREE * yy) * -three[0],
    )


@part
@no_type_check
def harmonics_slope(degree, v, g):
    """Gradient by the vector of the sum of the harmonics, each times its `g`."""
    one, two, three = _constants(degree)
    x, y, z = v
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    by_x = g[2] * -one + (y * g[3] - z * g[6]) * two[0] + TWO * x * (g[7] * two[2] - g[5] * two[1])
    by_y = g[0] * -one + (x * g[3] - z * g[4]) * two[0] - TWO * y * (g[7] * two[2] + g[5] * two[1])
    by_z = g[1] * one - (y * g[4] + x * g[6]) * two[0] + FOUR * z * g[5] * two[1]
    by_x = by_x - (SIX * xy * g[8] + THREE * (xx - yy) * g[14]) * three[0] + yz * g[9] * three[1]
    by_x = by_x + (TWO * xy * g[10] - (FOUR * zz - THREE * xx - yy) * g[12]) * three[2]
    by_x = by_x - SIX * xz * g[11] * three[3] + TWO * xz * g[13] * three[4]
    by_y = by_y + (SIX * xy * g[14] - THREE * (xx - yy) * g[8]) * three[0] + xz * g[9] * three[1]
    by_y = by_y + (TWO * xy * g[12] - (FOUR * zz - xx - THREE * yy) * g[10]) * three[2]
    by_y = by_y - SIX * yz * g[11] * three[3] - TWO * yz * g[13] * three[4]
    by_z = by_z + xy * g[9] * three[1] - EIGHT * z * (y * g[10] + x * g[12]) * three[2]
    by_z = by_z + THREE * (TWO * zz - xx - yy) * g[11] * three[3] + (xx - yy) * g[13] * three[4]
    return by_x, by_y, by_z
