"""Small vectors and matrices of scalars for kernels: tuples of three floats, which compilers keep in registers."""

from typing import no_type_check

from numba import njit


@njit(cache=True)
@no_type_check
def row(matrix, i):
    """Row of an array [* 3] as three float64."""
    return float(matrix[i, 0]), float(matrix[i, 1]), float(matrix[i, 2])


@njit(cache=True)
@no_type_check
def dot(a, b):
    """Inner product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True)
@no_type_check
def cross(a, b):
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True)
@no_type_check
def weighted(p, a, q, b):
    """The sum p a + q b."""
    return p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]


@njit(cache=True)
@no_type_check
def by_parts(a, b):
    """Products of the parts."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@njit(cache=True)
@no_type_check
def into(v, matrix):
    """The row vector v times a matrix of three rows."""
    return (
        v[0] * matrix[0][0] + v[1] * matrix[1][0] + v[2] * matrix[2][0],
        v[0] * matrix[0][1] + v[1] * matrix[1][1] + v[2] * matrix[2][1],
        v[0] * matrix[0][2] + v[1] * matrix[1][2] + v[2] * matrix[2][2],
    )


@njit(cache=True)
@no_type_check
def rotation_of(w, x, y, z):
    """Rows of the rotation of a unit quaternion."""
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
