"""Lenses: from pixels to directions, with OpenCV's distortion (k1, k2, p1, p2, k3) undone."""

import numpy as np
from jaxtyping import Float

Array = np.ndarray

ROUNDS = 20
"""Of Newton's method in undoing the distortion; five are enough for lenses that are in use."""


def directions_of(
    intrinsics: Float[Array, "3 3"], distortion: Float[Array, "5"], *, width: int, height: int, side: int = 1
) -> Float[Array, "h w 3"]:
    """Unit directions in the camera's frame through the pixels of an image.

    Args:
        intrinsics: Of the camera, pixels.
        distortion: Of the camera.
        width: Of the image, pixels.
        height: Of the image, pixels.
        side: Directions along the side of each pixel, evenly spread over it; 1 is its centre.
    """
    u = (np.arange(width * side) + 0.5) / side - 0.5
    v = (np.arange(height * side) + 0.5) / side - 0.5
    xy = seen_at(np.stack(np.meshgrid(u, v), axis=-1), intrinsics, distortion)
    ray = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
    return ray / np.linalg.norm(ray, axis=-1, keepdims=True)


def seen_at(
    uv: Float[Array, "*b 2"], intrinsics: Float[Array, "3 3"], distortion: Float[Array, "5"]
) -> Float[Array, "*b 2"]:
    """The points of the plane z = 1 that are seen at places of an image, column first."""
    y = (uv[..., 1] - intrinsics[1, 2]) / intrinsics[1, 1]
    x = (uv[..., 0] - intrinsics[0, 2] - intrinsics[0, 1] * y) / intrinsics[0, 0]
    return undistorted(np.stack([x, y], axis=-1), distortion)


def distorted(xy: Float[Array, "*b 2"], distortion: Float[Array, "5"]) -> Float[Array, "*b 2"]:
    """Where a lens puts a point of the plane z = 1."""
    k1, k2, p1, p2, k3 = distortion
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def undistorted(xy: Float[Array, "*b 2"], distortion: Float[Array, "5"]) -> Float[Array, "*b 2"]:
    """The point of the plane z = 1 that a lens puts here."""
    if not np.any(distortion):
        return xy
    k1, k2, p1, p2, k3 = distortion
    found = xy.copy()
    for _ in range(ROUNDS):
        x, y = found[..., 0], found[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        xx = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
        yy = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
        xy_ = x * y * slope + 2 * p1 * x + 2 * p2 * y
        off = distorted(found, distortion) - xy
        determinant = xx * yy - xy_ * xy_
        step = np.stack(
            [(yy * off[..., 0] - xy_ * off[..., 1]), (xx * off[..., 1] - xy_ * off[..., 0])], axis=-1
        ) / determinant[..., None]  # fmt: skip
        found = found - np.clip(step, -0.3, 0.3)
    return found
