"""Poses in the plane: position and yaw, as arrays of any batch shape.

A pose `parent_from_child` is kept as `xy [*b 2]` and `yaw [*b]`: where the child stands in its parent.
"""

import numpy as np
from jaxtyping import Float

from simscale.geometry.angles import wrap

Array = np.ndarray


def rotate(xy: Float[Array, "*b 2"], yaw: Float[Array, "*b"]) -> Float[Array, "*b 2"]:
    """Vectors turned counter-clockwise by `yaw`."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([cos * xy[..., 0] - sin * xy[..., 1], sin * xy[..., 0] + cos * xy[..., 1]], axis=-1)


def to_parent(
    xy: Float[Array, "*n 2"], yaw: Float[Array, "*n"], *, frame_xy: Float[Array, "2"], frame_yaw: float
) -> tuple[Float[Array, "*n 2"], Float[Array, "*n"]]:
    """Poses given in a frame, seen from the frame's parent."""
    turn = np.broadcast_to(np.float64(frame_yaw), xy.shape[:-1])
    return frame_xy + rotate(xy, turn), wrap(yaw + frame_yaw)


def to_child(
    xy: Float[Array, "*n 2"], yaw: Float[Array, "*n"], *, frame_xy: Float[Array, "2"], frame_yaw: float
) -> tuple[Float[Array, "*n 2"], Float[Array, "*n"]]:
    """Poses given in the parent, seen from a frame inside it; undoes `to_parent`."""
    turn = np.broadcast_to(np.float64(-frame_yaw), xy.shape[:-1])
    return rotate(xy - frame_xy, turn), wrap(yaw - frame_yaw)
