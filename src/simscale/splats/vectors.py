"""Small vectors and matrices for kernels: tuples of three lanes or float32, which compilers keep in registers."""

from typing import no_type_check

import numpy as np

from simscale.splats.kernels import part

ONE, TWO = np.float32(1), np.float32(2)


@part
@no_type_check
def row(matrix, i):
    """Row of an array [* 3]."""
    return matrix[i, 0], matrix[i, 1], matrix[i, 2]


@part
@no_type_check
def dot(a, b):
    """Inner product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@part
@no_type_check
def cross(a, b):
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@part
@no_type_check
def weighted(p, a, q, b):
    """The sum p a + q b."""
    return p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]


@part
@no_type_check
def by_parts(a, b):
    """Products of the parts."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@part
@no_type_check
def into(v, matrix):
    """The row vector v times a matrix of three rows."""
    return (
        v[0] * matrix[0][0] + v[1] * matrix[1][0] + v[2] * matrix[2][0],
        v[0] * matrix[0][1] + v[1] * matrix[1][1] + v[2] * matrix[2][1],
        v[0] * matrix[0][2] + v[1] * matrix[1][2] + v[2] * matrix[2][2],
    )


@part
@no_type_check
def rotation_of(w, x, y, z):
    """Rows of the rotation of a unit quaternion."""
    return (
        (ONE - TWO * (y * y + z * z), TWO * (x * y - w * z), TWO * (x * z + w * y)),
        (TWO * (x * y + w * z), ONE - TWO * (x * x + z * z), TWO * (y * z - w * x)),
        (TWO * (x * z - w * y), TWO * (y * z + w * x), ONE - TWO * (x * x + y * y)),
    )


@part
@no_type_check
def quat_pull(w, x, y, z, g):
    """Gradient by the quaternion of `rotation_of`, from that by the rotation's rows."""
    trace = g[0][0] + g[1][1] + g[2][2]
    turn = g[2][1] - g[1][2], g[0][2] - g[2][0], g[1][0] - g[0][1]
    xy, xz, yz = g[0][1] + g[1][0], g[0][2] + g[2][0], g[1][2] + g[2][1]
    return (
        TWO * (x * turn[0] + y * turn[1] + z * turn[2]),
        TWO * (w * turn[0] + y * xy + z * xz - TWO * x * (trace - g[0][0])),
        TWO * (w * turn[1] + x * xy + z * yz - TWO * y * (trace - g[1][1])),
        TWO * (w * turn[2] + x * xz + y * yz - TWO * z * (trace - g[2][2])),
    )
