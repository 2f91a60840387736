"""Angles and directions in the plane. Yaw is counter-clockwise from the x axis, in radians."""

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def wrap(angle: Float[Array, "*b"] | float) -> Float[Array, "*b"]:
    """The same angle in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def direction(yaw: Float[Array, "*b"] | float) -> Float[Array, "*b 2"]:
    """Unit vectors that point along `yaw`."""
    return np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)


def unwrap_along(yaw: Float[Array, "*b t"]) -> Float[Array, "*b t"]:
    """Adds whole turns along the last axis until no step is larger than half a turn."""
    return np.unwrap(yaw, axis=-1)
