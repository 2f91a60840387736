"""Lens warp: Gaussians are drawn through a pinhole, and the lens is put back by looking up each pixel's direction.

The pinhole has the lens's own focal length, hence its sharpness in the middle, and is as large as the lens sees.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import grid_sample

from simscale.render.lenses import directions_of

Array = np.ndarray

LARGEST = 3.0
"""Sides of the pinhole's image over the lens's; beyond it the corners of very wide lenses stay empty (ours)."""


@dataclass(frozen=True, kw_only=True)
class LensWarp:
    """How one camera's images are drawn: through which pinhole, and where each pixel finds its colour there."""

    intrinsics: Float[Array, "3 3"]  # of the pinhole; the first pixel's centre at (0.5, 0.5)
    width: int
    height: int
    grid: Float32[Tensor, "1 h w 2"] | None  # places in the pinhole's image, -1 to 1; None where it is the image
    side: int  # pixels drawn along the side of each pixel of the image

    def seen(self, planes: Float32[Tensor, "h w c"], *, nearest: bool = False) -> Float32[Tensor, "h2 w2 c"]:
        """What the lens makes of what the pinhole saw; several drawn pixels become their mean.

        Args:
            planes: Of the pinhole.
            nearest: Whether values must not be mixed.
        """
        if self.grid is not None:
            mode = "nearest" if nearest else "bilinear"
            stack = planes.permute(2, 0, 1)[None]
            planes = grid_sample(stack, self.grid, mode=mode, align_corners=False)[0].permute(1, 2, 0)
        if self.side == 1:
            return planes
        height, width = planes.shape[0] // self.side, planes.shape[1] // self.side
        return planes.reshape(height, self.side, width, self.side, -1).mean(dim=(1, 3))


def lens_warp(
    intrinsics: Float[Array, "3 3"], distortion: Float[Array, "5"], *, width: int, height: int, side: int
) -> LensWarp:
    """The pinhole and the warp of a camera.

    Args:
        intrinsics: Of the camera, pixels whose centres are at whole numbers.
        distortion: Of the camera, OpenCV's.
        width: Of its image, pixels.
        height: Of its image, pixels.
        side: Drawn along the side of each pixel.
    """
    if not np.any(distortion) and intrinsics[0, 1] == 0:
        lens = intrinsics.copy()
        lens[:2, 2] += 0.5
        lens[:2] *= side
        return LensWarp(intrinsics=lens, width=width * side, height=height * side, grid=None, side=side)
    ray = directions_of(intrinsics, distortion, width=width, height=height, side=side)
    at = ray[..., :2] / np.maximum(ray[..., 2:], 1e-6)
    focal = np.array([intrinsics[0, 0], intrinsics[1, 1]]) * side
    most = LARGEST * np.array([width, height]) * side / focal
    low, high = at.min(axis=(0, 1)), at.max(axis=(0, 1))
    middle = np.clip(0.0, low, high)
    low, high = np.maximum(low, middle - most / 2), np.minimum(high, middle + most / 2)
    size = np.ceil((high - low) * focal + 1.0).astype(int)
    corner = -low * focal + 0.5
    lens = np.array([[focal[0], 0.0, corner[0]], [0.0, focal[1], corner[1]], [0.0, 0.0, 1.0]])
    grid = 2 * (at * focal + corner) / size - 1
    return LensWarp(
        intrinsics=lens,
        width=int(size[0]),
        height=int(size[1]),
        grid=torch.from_numpy(grid.astype(np.float32))[None],
        side=side,
    )
