"""Rigid motions in space as 4x4 matrices `parent_from_child`."""

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def matrix_of(quat_wxyz: Float[Array, "*b 4"], translation: Float[Array, "*b 3"]) -> Float[Array, "*b 4 4"]:
    """4x4 motions from quaternions (of any length but zero) and translations."""
    w, x, y, z = np.moveaxis(quat_wxyz / np.linalg.norm(quat_wxyz, axis=-1, keepdims=True), -1, 0)
    motion = np.zeros((*w.shape, 4, 4))
    motion[..., 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1)
    motion[..., 1, :3] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1)
    motion[..., 2, :3] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1)
    motion[..., :3, 3] = translation
    motion[..., 3, 3] = 1.0
    return motion


def yaw_of(motion: Float[Array, "*b 4 4"]) -> Float[Array, "*b"]:
    """Heading of the child's x axis in the parent's xy plane."""
    return np.asarray(np.arctan2(motion[..., 1, 0], motion[..., 0, 0]))


def inverse(motion: Float[Array, "*b 4 4"]) -> Float[Array, "*b 4 4"]:
    """`child_from_parent`."""
    back = np.swapaxes(motion[..., :3, :3], -1, -2)
    undone = np.zeros_like(motion)
    undone[..., :3, :3] = back
    undone[..., :3, 3] = -np.einsum("...ij,...j->...i", back, motion[..., :3, 3])
    undone[..., 3, 3] = 1.0
    return undone
