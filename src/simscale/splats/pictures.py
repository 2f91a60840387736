"""Pictures: what training compares with, in memory: photographs in the size that is trained on, and LiDAR depths.

An agent that moves and has no node would be painted on the street, so the pixels of its box do not count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, UInt8
from torch import Tensor

from simscale.geometry.se3 import inverse
from simscale.splats.capture import Agents, Capture
from simscale.splats.capture_images import photograph
from simscale.splats.capture_points import nearest_sweep, seen_points

Array = np.ndarray

MASK_MARGIN = 4
"""Pixels around a masked box that do not count either (ours)."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One photograph, and what a LiDAR measured on it."""

    rgb: UInt8[Tensor, "h w 3"]
    valid: Bool[Tensor, "h w"] | None  # what counts; None is everything
    lens: Float[Array, "3 3"]  # the first pixel's centre at (0.5, 0.5), as in `View`
    pixel: Float32[Tensor, "m 2"]  # u, v of LiDAR points, in `lens`'s pixels
    depth: Float32[Tensor, " m"]  # along the camera's axis, m

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def target(self) -> Float32[Tensor, "1 h w 3"]:
        """Colours from 0 to 1."""
        return self.rgb[None].float() / 255

    def to(self, device: torch.device) -> "Picture":
        """The same on a device."""
        valid = None if self.valid is None else self.valid.to(device)
        parts = {"rgb": self.rgb.to(device), "pixel": self.pixel.to(device), "depth": self.depth.to(device)}
        return replace(self, valid=valid, **parts)

    def reduced(self, times: int) -> "Picture":
        """A smaller one: each pixel the mean of a square; what does not fill a square is cut off."""
        if times == 1:
            return self
        height, width = (extent // times for extent in self.rgb.shape[:2])
        cut = self.rgb[: height * times, : width * times].reshape(height, times, width, times, 3)
        valid = self.valid
        if valid is not None:
            valid = valid[: height * times, : width * times].reshape(height, times, width, times).all(3).all(1)
        lens = self.lens.copy()
        lens[:2] /= times
        pixel = self.pixel / times
        kept = (pixel[:, 0] < width) & (pixel[:, 1] < height)
        rgb = cut.float().mean(dim=(1, 3)).round().to(torch.uint8)
        return replace(self, rgb=rgb, valid=valid, lens=lens, pixel=pixel[kept], depth=self.depth[kept])


def pictures_of(
    capture: Capture,
    frames: Sequence[int],
    *,
    width: int,
    owner: Int32[Array, " p"],
    masked: Bool[Array, " a"],
    on_each: Callable[[], None] = lambda: None,
) -> list[Picture]:
    """Reads photographs.

    Args:
        capture: Where they are.
        frames: Which ones.
        width: Of the pictures, pixels.
        owner: Whose box each LiDAR point lies in (`capture_points.owners`).
        masked: Agents whose pixels do not count.
        on_each: Told after each.

    Raises:
        BadInput: One is missing or damaged.
    """
    made = []
    for frame in frames:
        taken = photograph(capture.frames, frame, width=width)
        valid = taken.valid & ~_covered(capture.agents, capture, frame, taken.intrinsics, taken.valid.shape, masked)
        sweep = nearest_sweep(capture, frame)
        pixel, depth = np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=np.float32)
        if sweep is not None:
            seen = seen_points(capture, sweep, frame, width=width, owner=owner[capture.sweeps.of(sweep)])
            at = np.round(seen.pixel).astype(np.int64)
            counts = valid[at[:, 1], at[:, 0]]
            pixel, depth = seen.pixel[counts] + np.float32(0.5), seen.depth[counts]
        made.append(
            Picture(
                rgb=torch.from_numpy(np.require(taken.rgb, requirements="W")),
                valid=None if valid.all() else torch.from_numpy(valid),
                lens=taken.render_intrinsics,
                pixel=torch.from_numpy(pixel),
                depth=torch.from_numpy(depth),
            )
        )
        on_each()
    return made


def _covered(
    agents: Agents, capture: Capture, frame: int, lens: Array, shape: tuple[int, ...], masked: Bool[Array, " a"]
) -> Bool[Array, "h w"]:
    """Pixels in the upright rectangles around the boxes of some agents."""
    covered = np.zeros(shape, dtype=bool)
    pose, known = agents.at(int(capture.frames.timestamp_us[frame]))
    camera_from_world = inverse(capture.frames.world_from_camera[frame])
    for agent in np.flatnonzero(known & masked):
        corner = camera_from_world @ pose[agent] @ corners_of(agents.size[agent])
        ahead = corner[2] > 0.1
        if not ahead.any():
            continue
        u, v = (lens @ corner[:3, ahead])[:2] / corner[2, ahead]
        low = np.floor([u.min(), v.min()]).astype(int) - MASK_MARGIN
        high = np.ceil([u.max(), v.max()]).astype(int) + MASK_MARGIN + 1
        covered[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)] = True
    return covered


def corners_of(size: Float[Array, "3"]) -> Float[Array, "4 8"]:
    """Corners of a box in its own frame, as columns with a 1 below."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    return np.vstack([(signs * size / 2).T, np.ones(8)])


def seen_agents(
    agents: Agents,
    pose: Float[Array, "a 4 4"],
    camera_from_world: Float[Array, "4 4"],
    lens: Array,
    size: tuple[int, int],
) -> Bool[Array, " a"]:
    """Whose box's sphere reaches into a camera's pyramid."""
    centre = pose[:, :3, 3] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    reach = np.linalg.norm(agents.size, axis=1) / 2 + 0.5
    inside = centre[:, 2] > -reach
    for axis in (0, 1):
        focal, middle = lens[axis, axis], lens[axis, 2]
        for side, edge in ((-1, middle), (1, size[axis] - middle)):  # planes through the camera and an image border
            normal = np.array([side * focal, -edge]) / np.hypot(focal, edge)
            inside &= centre[:, axis] * normal[0] + centre[:, 2] * normal[1] < reach
    return inside
