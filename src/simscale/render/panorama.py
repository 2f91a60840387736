"""The planner's view through any rig: where each pixel of NAVSIM's three stitched crops lies in another car's images.

Published planners know the world as NAVSIM's front, left and right camera show it. A rig that has these three gives
them as they are: cropped, stitched, scaled (`stitched_crops`). For any other rig the three cameras are put where they
would be on that car, and each of their pixels is looked up in the image whose camera sees the same point most nearly
along its axis (`panorama_of`). The point lies `FAR` metres away, since images do not tell how far things are: what is
nearer than that shows a little to the side. The lenses of both rigs are taken into account.

Axes: `h w` rows and columns of the planner's image, each of which looks at two rows and two columns of the stitched
crops (resize.py); `c` cameras.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int8, Int32, UInt8

from simscale.render.lenses import distorted, seen_at
from simscale.render.resize import mixed, resized, taps
from simscale.render.rigs import NAVSIM_SIZE, PLANNER_COLUMNS, PLANNER_ROWS, chosen, navsim_rig
from simscale.scene import Cameras

Array = np.ndarray

PLANNER_CAMERAS = ("CAM_L0", "CAM_F0", "CAM_R0")
"""From left to right."""
FAR = 30.0
"""How far away what is looked up is thought to be, m (ours)."""
LEAST_COVERED = 0.95
"""A rig that shows less than this share of the view does not cover the front (ours)."""


@dataclass(frozen=True, kw_only=True)
class Panorama:
    """Where a rig sees the planner's view."""

    cameras: tuple[str, ...]  # of the rig
    size_px: Int[Array, "c 2"]  # width and height of its images
    shows: dict[str, tuple[str, ...]]  # which of them show what each of the planner's cameras would see
    covered: float  # share of the view that they show at all; the rest is black
    camera: Int8[Array, "h 2 w 2"]  # index into `cameras`, -1 for none
    uv: Float32[Array, "h 2 w 2 2"]  # column and row in its image
    row_weight: Int32[Array, "h 2"]
    column_weight: Int32[Array, "w 2"]


def stitched_crops(images: Sequence[UInt8[Array, "r c 3"]], size: tuple[int, int]) -> UInt8[Array, "h w 3"]:
    """The planner's image from the left, front and right image of NAVSIM's cameras (planners.md 1.1).

    Args:
        images: Of `PLANNER_CAMERAS`, 1920 x 1080 pixels each.
        size: Rows and columns of the result.

    Raises:
        ValueError: An image is missing, or of another size.
    """
    if len(images) != len(PLANNER_CAMERAS):
        raise ValueError(f"{len(images)} images for {', '.join(PLANNER_CAMERAS)}")
    for name, image in zip(PLANNER_CAMERAS, images, strict=True):
        if image.shape[:2] != NAVSIM_SIZE[::-1]:
            raise ValueError(f"{name} is {image.shape[1]} x {image.shape[0]} pixels, not 1920 x 1080")
    left, front, right = (image[PLANNER_ROWS:-PLANNER_ROWS] for image in images)
    columns = slice(PLANNER_COLUMNS, -PLANNER_COLUMNS)
    return resized(np.concatenate([left[:, columns], front, right[:, columns]], axis=1), size)


def panorama_of(rig: Cameras, size: tuple[int, int], *, seen_by: Cameras | None = None) -> Panorama:
    """Looks the planner's view up in a rig.

    Args:
        rig: Any cameras of 1 to 127; names do not matter.
        size: Rows and columns of the planner's image.
        seen_by: The rig whose `PLANNER_CAMERAS` the planner knows; NAVSIM's without distortion where not said.

    Raises:
        ValueError: The rig does not cover the front.
    """
    target = chosen(seen_by or navsim_rig(), *PLANNER_CAMERAS)
    height, widths = NAVSIM_SIZE[1] - 2 * PLANNER_ROWS, _part_widths()
    rows, row_weight = taps(height, size[0])
    columns, column_weight = taps(sum(widths), size[1])
    row = rows.ravel() + PLANNER_ROWS
    camera = np.full((row.size, columns.size), -1, dtype=np.int8)
    uv = np.zeros((row.size, columns.size, 2), dtype=np.float32)
    shows, begin = {}, 0
    for part, name in enumerate(PLANNER_CAMERAS):
        here = np.flatnonzero((columns.ravel() >= begin) & (columns.ravel() < begin + widths[part]))
        column = columns.ravel()[here] - begin + (0 if name == "CAM_F0" else PLANNER_COLUMNS)
        point = _points(target, part, row, column)
        camera[:, here], uv[:, here] = _looked_up(rig, point, axis=target.ego_from_camera[part, :3, 2])
        seen = [rig.name[c] for c in np.unique(camera[:, here]) if c >= 0]
        shows[name], begin = tuple(seen), begin + widths[part]
    covered = float((camera >= 0).mean())
    if covered < LEAST_COVERED:
        seen = ", ".join(rig.name) or "no camera"
        raise ValueError(f"{seen} show {covered:.0%} of the planner's view, not the {LEAST_COVERED:.0%} that it needs")
    h, w = size
    return Panorama(
        cameras=rig.name,
        size_px=rig.size_px,
        shows=shows,
        covered=covered,
        camera=camera.reshape(h, 2, w, 2),
        uv=uv.reshape(h, 2, w, 2, 2),
        row_weight=row_weight,
        column_weight=column_weight,
    )


def seen_through(panorama: Panorama, images: Sequence[UInt8[Array, "_ _ 3"]]) -> UInt8[Array, "h w 3"]:
    """The planner's image from a rig's images, in the order of its cameras."""
    assert len(images) == len(panorama.cameras)
    tapped = np.zeros((*panorama.camera.shape, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        here = panorama.camera == number
        if here.any():
            tapped[here] = _interpolated(image, panorama.uv[here])
    return mixed(tapped, panorama.row_weight, panorama.column_weight)


def _part_widths() -> tuple[int, int, int]:
    side = NAVSIM_SIZE[0] - 2 * PLANNER_COLUMNS
    return side, NAVSIM_SIZE[0], side


def _points(target: Cameras, part: int, row: Array, column: Array) -> Float[Array, "r c 3"]:
    """What a camera of the target sees at some rows and columns of its full image, in the ego frame."""
    share = np.array(NAVSIM_SIZE) / target.size_px[part]
    uv = np.stack(np.meshgrid(column, row), axis=-1)
    xy = seen_at((uv + 0.5) / share - 0.5, target.intrinsics[part], target.distortion[part])
    ray = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
    pose = target.ego_from_camera[part]
    return FAR * ray / np.linalg.norm(ray, axis=-1, keepdims=True) @ pose[:3, :3].T + pose[:3, 3]


def _looked_up(
    rig: Cameras, point: Float[Array, "r c 3"], *, axis: Float[Array, "3"]
) -> tuple[Int8[Array, "r c"], Float32[Array, "r c 2"]]:
    """The camera that sees each point, of several the one that looks most nearly along an axis, and where."""
    camera = np.full(point.shape[:2], -1, dtype=np.int8)
    place = np.zeros((*point.shape[:2], 2), dtype=np.float32)
    for number in np.argsort(-(rig.ego_from_camera[:, :3, 2] @ axis), kind="stable"):
        uv, seen = _projected(rig, int(number), point)
        new = seen & (camera < 0)
        camera[new], place[new] = number, uv[new]
    return camera, place


def _projected(
    rig: Cameras, number: int, point: Float[Array, "r c 3"]
) -> tuple[Float[Array, "r c 2"], Bool[Array, "r c"]]:
    """Where a camera sees points, and whether it sees them at all."""
    pose, intrinsics = rig.ego_from_camera[number], rig.intrinsics[number]
    own = (point - pose[:3, 3]) @ pose[:3, :3]
    ahead = own[..., 2] > 1e-6
    xy = own[..., :2] / np.where(ahead, own[..., 2], 1.0)[..., None]
    bent = distorted(xy, rig.distortion[number])
    u = intrinsics[0, 0] * bent[..., 0] + intrinsics[0, 1] * bent[..., 1] + intrinsics[0, 2]
    v = intrinsics[1, 1] * bent[..., 1] + intrinsics[1, 2]
    width, height = rig.size_px[number]
    inside = (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)
    # beyond its edge a lens's polynomial may fold back into the image
    inside &= np.hypot(xy[..., 0], xy[..., 1]) <= _reach(rig, number)
    return np.stack([u, v], axis=-1), ahead & inside


def _reach(rig: Cameras, number: int) -> float:
    """Greatest distance from the axis, on the plane z = 1, that an image shows: at one of its corners."""
    width, height = rig.size_px[number]
    corner = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    xy = seen_at(corner, rig.intrinsics[number], rig.distortion[number])
    return float(np.hypot(*xy.T).max()) * (1 + 1e-9)


def _interpolated(image: UInt8[Array, "r c 3"], uv: Float32[Array, "n 2"]) -> UInt8[Array, "n 3"]:
    """Colours between pixels."""
    last = np.array([image.shape[1] - 1, image.shape[0] - 1], dtype=np.float32)
    uv = np.clip(uv, 0, last)
    first = np.minimum(np.floor(uv), np.maximum(last - 1, 0)).astype(np.int64)
    share = (uv - first)[..., None]
    (u, v), (right, down) = first.T, np.minimum(first + 1, last.astype(np.int64)).T
    upper = image[v, u] * (1 - share[:, 0]) + image[v, right] * share[:, 0]
    lower = image[down, u] * (1 - share[:, 0]) + image[down, right] * share[:, 0]
    return np.rint(upper * (1 - share[:, 1]) + lower * share[:, 1]).astype(np.uint8)
