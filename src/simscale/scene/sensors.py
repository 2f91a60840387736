"""Sensors: the camera rig, and what the sensors recorded, by reference."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """A rig of `c` pinhole cameras with OpenCV's distortion; camera frame: z forward, x right, y down."""

    name: tuple[str, ...]
    intrinsics: Float[Array, "c 3 3"]  # pixels
    distortion: Float[Array, "c 5"]  # k1, k2, p1, p2, k3
    ego_from_camera: Float[Array, "c 4 4"]
    size_px: Int[Array, "c 2"]  # width, height


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Images or LiDAR sweeps where the source keeps them, each with its own time and its sensor's pose then."""

    sensor: tuple[str, ...]  # name of the sensor, one an item
    path: tuple[str, ...]  # relative to the scene's `sensor_root`
    timestamp_us: Int[Array, " i"]
    world_from_sensor: Float[Array, "i 4 4"]


NO_CAMERAS = Cameras(
    name=(),
    intrinsics=np.zeros((0, 3, 3)),
    distortion=np.zeros((0, 5)),
    ego_from_camera=np.zeros((0, 4, 4)),
    size_px=np.zeros((0, 2), dtype=np.int64),
)
"""The rig of a source without cameras."""

NO_RECORDINGS = Recordings(
    sensor=(), path=(), timestamp_us=np.zeros(0, dtype=np.int64), world_from_sensor=np.zeros((0, 4, 4))
)
"""What a source without images, or without sweeps, recorded."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Height of the ground on a raster; `z[row, column]` is the centre of a cell, row 0 lowest in y."""

    z: Float[Array, "h w"]  # m, in the world frame of the scene
    valid: Bool[Array, "h w"]
    origin_xy: Float[Array, "2"]  # centre of cell (0, 0), m
    resolution: float  # side of a cell, m
