"""Real spherical harmonics up to degree 3 in the order and with the signs of the INRIA files, and their slopes."""

from typing import no_type_check

from numba import njit

CONSTANT = 0.28209479177387814
"""The harmonic of degree 0."""
_1 = 0.4886025119029199
_2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


@njit(cache=True)
@no_type_check
def harmonics(degree, x, y, z, out):
    """Writes the harmonics beyond the constant one at a unit vector into `out` [15]."""
    if degree < 1:
        return
    out[0], out[1], out[2] = -_1 * y, _1 * z, -_1 * x
    if degree < 2:
        return
    xx, yy, zz = x * x, y * y, z * z
    out[3] = _2[0] * x * y
    out[4] = -_2[0] * y * z
    out[5] = _2[1] * (2 * zz - xx - yy)
    out[6] = -_2[0] * x * z
    out[7] = _2[2] * (xx - yy)
    if degree < 3:
        return
    out[8] = -_3[0] * y * (3 * xx - yy)
    out[9] = _3[1] * x * y * z
    out[10] = -_3[2] * y * (4 * zz - xx - yy)
    out[11] = _3[3] * z * (2 * zz - 3 * xx - 3 * yy)
    out[12] = -_3[2] * x * (4 * zz - xx - yy)
    out[13] = _3[4] * z * (xx - yy)
    out[14] = -_3[0] * x * (xx - 3 * yy)


@njit(cache=True)
@no_type_check
def harmonics_slope(degree, x, y, z, g):
    """Gradient by (x, y, z) of the sum of the harmonics, each times `g` [15]."""
    if degree < 1:
        return 0.0, 0.0, 0.0
    vx, vy, vz = -_1 * g[2], -_1 * g[0], _1 * g[1]
    if degree < 2:
        return vx, vy, vz
    vx += _2[0] * (y * g[3] - z * g[6]) - 2 * _2[1] * x * g[5] + 2 * _2[2] * x * g[7]
    vy += _2[0] * (x * g[3] - z * g[4]) - 2 * _2[1] * y * g[5] - 2 * _2[2] * y * g[7]
    vz += _2[0] * (-y * g[4] - x * g[6]) + 4 * _2[1] * z * g[5]
    if degree < 3:
        return vx, vy, vz
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    vx += -6 * _3[0] * xy * g[8] + _3[1] * yz * g[9] + 2 * _3[2] * xy * g[10] - 6 * _3[3] * xz * g[11]
    vx += -_3[2] * (4 * zz - 3 * xx - yy) * g[12] + 2 * _3[4] * xz * g[13] - 3 * _3[0] * (xx - yy) * g[14]
    vy += -3 * _3[0] * (xx - yy) * g[8] + _3[1] * xz * g[9] - _3[2] * (4 * zz - xx - 3 * yy) * g[10]
    vy += -6 * _3[3] * yz * g[11] + 2 * _3[2] * xy * g[12] - 2 * _3[4] * yz * g[13] + 6 * _3[0] * xy * g[14]
    vz += _3[1] * xy * g[9] - 8 * _3[2] * yz * g[10] + 3 * _3[3] * (2 * zz - xx - yy) * g[11]
    vz += -8 * _3[2] * xz * g[12] + _3[4] * (xx - yy) * g[13]
    return vx, vy, vz
