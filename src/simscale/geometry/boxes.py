"""Oriented boxes seen from above: corners and overlap. Touching counts as overlap, as in the reference scorer."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.geometry.se2 import rotate

Array = np.ndarray

CORNER_SIGNS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
"""Front left, rear left, rear right, front right: the reference's order."""


def corners_of(
    centre_xy: Float[Array, "*b 2"],
    yaw: Float[Array, "*b"],
    length: Float[Array, "*b"],
    width: Float[Array, "*b"],
) -> Float[Array, "*b 4 2"]:
    """Corners in the order front left, rear left, rear right, front right."""
    half = np.stack([length, width], axis=-1)[..., None, :] / 2 * CORNER_SIGNS
    return centre_xy[..., None, :] + rotate(half, np.broadcast_to(yaw[..., None], half.shape[:-1]))


@njit(cache=True)
@no_type_check
def boxes_overlap(
    ax: float, ay: float, ayaw: float, al: float, aw: float, bx: float, by: float, byaw: float, bl: float, bw: float
) -> bool:
    """Whether two boxes (centre, yaw, length, width) share a point: separating axes."""
    dx, dy = bx - ax, by - ay
    reach = 0.5 * (np.hypot(al, aw) + np.hypot(bl, bw))
    if dx * dx + dy * dy > reach * reach:
        return False
    ca, sa, cb, sb = np.cos(ayaw), np.sin(ayaw), np.cos(byaw), np.sin(byaw)
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    if abs(dx * ca + dy * sa) > 0.5 * (al + bl * c + bw * s):
        return False
    if abs(-dx * sa + dy * ca) > 0.5 * (aw + bl * s + bw * c):
        return False
    if abs(dx * cb + dy * sb) > 0.5 * (bl + al * c + aw * s):
        return False
    return not abs(-dx * sb + dy * cb) > 0.5 * (bw + al * s + aw * c)
