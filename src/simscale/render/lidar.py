"""LiDAR: beams from one place in all directions, and the points that they bring back.

A sweep is taken at one instant; a car that moves while the mirror turns is not smeared (ours).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from simscale.scene import Tracks

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Lidar:
    """A spinning LiDAR."""

    ego_from_lidar: Float[Array, "4 4"]
    elevation: Float[Array, " b"]  # of each beam above the horizontal, rad
    columns: int  # directions in one turn
    reach: float  # m


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Points of one turn, beam by beam; beams that met nothing are left out."""

    xyz: Float32[Array, "n 3"]  # in the ego frame, m
    beam: Int32[Array, " n"]
    instance: Int32[Array, " n"]  # index of the track, -1 for all else
    semantic: UInt8[Array, " n"]  # SemanticClass


@runtime_checkable
class Ranger(Protocol):
    """What a renderer must offer for sweeps."""

    def ranges(
        self, origin: Float[Array, "3"], direction: Float[Array, "n 3"], tracks: Tracks, *, limit: float
    ) -> tuple[Float[Array, " n"], Int32[Array, " n"], UInt8[Array, " n"]]:
        """Distance (infinite for nothing), track and class along rays of the world frame."""
        ...


def roof_lidar(*, beams: int = 32, columns: int = 900, reach: float = 80.0) -> Lidar:
    """A LiDAR on the roof of a Pacifica, from 25 degrees below to 10 degrees above the horizontal."""
    pose = np.eye(4)
    pose[:3, 3] = (1.2, 0.0, 2.0)
    elevation = np.deg2rad(np.linspace(-25.0, 10.0, beams))
    return Lidar(ego_from_lidar=pose, elevation=elevation, columns=columns, reach=reach)


def sweep(ranger: Ranger, lidar: Lidar, world_from_ego: Float[Array, "4 4"], tracks: Tracks) -> Sweep:
    """Takes one sweep; the first column looks ahead, and columns go counter-clockwise."""
    azimuth = np.arange(lidar.columns) * (2 * np.pi / lidar.columns)
    up, around = np.meshgrid(lidar.elevation, azimuth, indexing="ij")
    own = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=-1).reshape(-1, 3)
    pose = world_from_ego @ lidar.ego_from_lidar
    distance, instance, semantic = ranger.ranges(pose[:3, 3], own @ pose[:3, :3].T, tracks, limit=lidar.reach)
    met = np.flatnonzero(np.isfinite(distance))
    point = distance[met, None] * own[met]
    return Sweep(
        xyz=(point @ lidar.ego_from_lidar[:3, :3].T + lidar.ego_from_lidar[:3, 3]).astype(np.float32),
        beam=(met // lidar.columns).astype(np.int32),
        instance=instance[met],
        semantic=semantic[met],
    )
