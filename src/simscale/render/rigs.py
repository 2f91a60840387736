"""Rigs: the cameras of a car, and smaller cameras that see exactly a part of what they see.

A pixel (u, v) is a square of side 1 with its centre at whole numbers, so cropping moves the principal point, and
scaling by s takes u to (u + 0.5) s - 0.5. Cropped and scaled cameras look along the very rays of their original.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from simscale.render.renderer import Image
from simscale.scene import Cameras

Array = np.ndarray

NAVSIM_FOCAL = 1545.0
"""Focal length of nuPlan's cameras, pixels at 1920 x 1080; 63.7 degrees from side to side."""
NAVSIM_CENTRE = (960.0, 560.0)
NAVSIM_SIZE = (1920, 1080)
NAVSIM_DISTORTION = (-0.356123, 0.172545, -0.00213, 0.000464, -0.05231)
"""Of nuPlan's cameras; the preset leaves it out unless asked, so that crops are plain pinholes (ours)."""
NAVSIM_MOUNTS = {
    "CAM_F0": (0.0, 1.65, 0.0),
    "CAM_L0": (55.0, 1.55, 0.45),
    "CAM_L1": (110.0, 1.0, 0.5),
    "CAM_L2": (148.0, 0.6, 0.45),
    "CAM_R0": (-55.0, 1.55, -0.45),
    "CAM_R1": (-110.0, 1.0, -0.5),
    "CAM_R2": (-148.0, 0.6, -0.45),
    "CAM_B0": (180.0, 0.5, 0.0),
}
"""Yaw in degrees, then x and y from the rear axle in m, on the roof of a Pacifica."""
NAVSIM_HEIGHT = 1.8
"""Of all eight above the ground, m."""
PLANNER_ROWS = 28
"""Rows that planners cut off above and below (planners.md 1.1)."""
PLANNER_COLUMNS = 416
"""Columns that they cut off at both sides of the left and the right camera."""


def looking(yaw: float, x: float, y: float, z: float) -> Float[Array, "4 4"]:
    """`ego_from_camera` of a level camera that looks in direction `yaw`, rad."""
    c, s = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:3, 0] = (s, -c, 0.0)  # camera x: right
    pose[:3, 1] = (0.0, 0.0, -1.0)  # camera y: down
    pose[:3, 2] = (c, s, 0.0)  # camera z: forward
    pose[:3, 3] = (x, y, z)
    return pose


def navsim_rig(scale: float = 1.0, *, distorted: bool = False) -> Cameras:
    """The 8 cameras of NAVSIM's cars, at a share of their 1920 x 1080 pixels."""
    count = len(NAVSIM_MOUNTS)
    intrinsics = np.zeros((count, 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = NAVSIM_FOCAL
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = *NAVSIM_CENTRE, 1.0
    mounts = NAVSIM_MOUNTS.values()
    rig = Cameras(
        name=tuple(NAVSIM_MOUNTS),
        intrinsics=intrinsics,
        distortion=np.tile(np.array(NAVSIM_DISTORTION if distorted else (0.0,) * 5), (count, 1)),
        ego_from_camera=np.stack([looking(np.deg2rad(yaw), x, y, NAVSIM_HEIGHT) for yaw, x, y in mounts]),
        size_px=np.tile(np.array(NAVSIM_SIZE, dtype=np.int64), (count, 1)),
    )
    size = (round(NAVSIM_SIZE[0] * scale), round(NAVSIM_SIZE[1] * scale))
    return scaled(rig, size=size)


def chosen(cameras: Cameras, *names: str) -> Cameras:
    """Some cameras of a rig by name, in the given order."""
    index = np.array([cameras.name.index(name) for name in names], dtype=np.int64)
    return Cameras(
        name=names,
        intrinsics=cameras.intrinsics[index],
        distortion=cameras.distortion[index],
        ego_from_camera=cameras.ego_from_camera[index],
        size_px=cameras.size_px[index],
    )


def cropped(cameras: Cameras, *, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> Cameras:
    """Cameras that lack these columns and rows of the originals' pixels at their edges."""
    intrinsics = cameras.intrinsics.copy()
    intrinsics[:, 0, 2] -= left
    intrinsics[:, 1, 2] -= top
    size = cameras.size_px - np.array([left + right, top + bottom])
    assert (size > 0).all(), "nothing is left"
    return replace(cameras, intrinsics=intrinsics, size_px=size)


def scaled(cameras: Cameras, *, size: tuple[int, int]) -> Cameras:
    """Cameras with the same field of view and another number of pixels (width, height)."""
    share = np.array(size) / cameras.size_px  # [c 2]
    intrinsics = cameras.intrinsics.copy()
    intrinsics[:, 0, 0] *= share[:, 0]
    intrinsics[:, 1, 1] *= share[:, 1]
    intrinsics[:, :2, 2] = (cameras.intrinsics[:, :2, 2] + 0.5) * share - 0.5
    return replace(cameras, intrinsics=intrinsics, size_px=np.tile(np.array(size, dtype=np.int64), (len(share), 1)))


def joined(*rigs: Cameras) -> Cameras:
    """One rig of several."""
    return Cameras(
        name=tuple(name for rig in rigs for name in rig.name),
        intrinsics=np.concatenate([rig.intrinsics for rig in rigs]),
        distortion=np.concatenate([rig.distortion for rig in rigs]),
        ego_from_camera=np.concatenate([rig.ego_from_camera for rig in rigs]),
        size_px=np.concatenate([rig.size_px for rig in rigs]),
    )


def planner_view(cameras: Cameras, size: tuple[int, int] = (64, 256)) -> Cameras:
    """The left, front and right crop that planners see, as three small cameras.

    Their images side by side (`stitched`) are the planner's input of `size` = (height, width): L0[28:-28, 416:-416],
    F0[28:-28], R0[28:-28, 416:-416], 4096 x 1024 pixels of a rig of 1920 x 1080, scaled down (planners.md 1.1).

    Args:
        cameras: A rig with CAM_L0, CAM_F0 and CAM_R0, of any resolution.
        size: Height and width of the whole input.

    Raises:
        ValueError: The rig lacks one of the three.
    """
    height, width = size
    lacking = [name for name in ("CAM_L0", "CAM_F0", "CAM_R0") if name not in cameras.name]
    if lacking:
        raise ValueError(f"the rig has no {', '.join(lacking)}, only {', '.join(cameras.name) or 'no camera'}")
    full = scaled(chosen(cameras, "CAM_L0", "CAM_F0", "CAM_R0"), size=NAVSIM_SIZE)
    rows = {"top": PLANNER_ROWS, "bottom": PLANNER_ROWS}
    columns = {"left": PLANNER_COLUMNS, "right": PLANNER_COLUMNS}
    parts = [
        cropped(chosen(full, "CAM_L0"), **rows, **columns),
        cropped(chosen(full, "CAM_F0"), **rows),
        cropped(chosen(full, "CAM_R0"), **rows, **columns),
    ]
    side = round(width * parts[0].size_px[0, 0] / sum(int(part.size_px[0, 0]) for part in parts))
    widths = (side, width - 2 * side, side)
    return joined(*(scaled(part, size=(w, height)) for part, w in zip(parts, widths, strict=True)))


def stitched(images: tuple[Image, ...]) -> UInt8[Array, "h w 3"]:
    """Colour images side by side."""
    return np.concatenate([image.rgb for image in images if image.rgb is not None], axis=1)
