"""Where Gaussians start: coloured points of the street, and of each agent in its own box.

With LiDAR: its points, coloured from the photographs that train (MTGS 3.2, preprocessing). Without: the points of
structure from motion where the source brings some; else points triangulated by sweeping planes through the photographs
(`capture_stereo`). Then a voxel filter, so that what was passed slowly does not weigh more, and a statistical outlier
filter.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, UInt8
from scipy.spatial import KDTree

from simscale.geometry.se3 import inverse
from simscale.splats.capture import Capture
from simscale.splats.capture_points import coloured, owners
from simscale.splats.capture_stereo import StereoSettings, triangulated

Array = np.ndarray

Method = Literal["lidar", "structure from motion", "triangulated"]


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """How points are chosen."""

    voxel: float = 0.15
    """Side of the street's voxels, m (MTGS)."""
    near: float = 20.0
    """Up to this distance from the nearest camera voxels have that side, m; they double with every doubling of the
    distance (ours: a voxel then covers as many pixels far away as near by). 0: the same everywhere, as MTGS."""
    most: int = 0
    """Street points are thinned by larger voxels until they are at most so many; 0: no limit (ours)."""
    agent_voxel: float = 0.05
    """Side of an agent's, m (ours: a car has few points, and its shape matters)."""
    neighbours: int = 20
    """Whose mean distance is compared (MTGS)."""
    outlier_deviations: float = 2.0
    """A point farther from its neighbours than the mean by so many deviations is dropped. MTGS: 0.5 before the voxel
    filter; after it (ours) that would drop the far end of the street, where beams lie apart."""
    colour_width: int = 960
    """Width of the photographs that tell colours, pixels (ours)."""
    stereo: StereoSettings = field(default_factory=StereoSettings)
    """Where there is neither LiDAR nor structure from motion."""


@dataclass(frozen=True, kw_only=True)
class StartPoints:
    """Coloured points; those of an agent in its box's frame."""

    xyz: Float32[Array, "p 3"]
    rgb: UInt8[Array, "p 3"]
    owner: Int32[Array, " p"]  # index of the agent, -1 for the street
    method: Method

    def __len__(self) -> int:
        """How many."""
        return len(self.xyz)

    def of(self, owner: int) -> "StartPoints":
        """Points of one owner; -1 is the street."""
        own = self.owner == owner
        return StartPoints(xyz=self.xyz[own], rgb=self.rgb[own], owner=self.owner[own], method=self.method)


def start_points(capture: Capture, settings: StartSettings | None = None) -> StartPoints:
    """Points of a capture, filtered; held-out photographs are not looked at.

    Raises:
        BadInput: A photograph is missing or damaged.
    """
    chosen = settings or StartSettings()
    if len(capture.sweeps.xyz):
        return _from_lidar(capture, chosen)
    if len(capture.points.xyz):
        xyz, rgb, method = capture.points.xyz, capture.points.rgb, "structure from motion"
    else:
        xyz, rgb = triangulated(capture, chosen.stereo)
        method = "triangulated"
    if capture.metric:
        xyz, rgb = _street(capture, xyz, rgb, chosen)
    else:
        kept = usual(xyz, neighbours=chosen.neighbours, deviations=chosen.outlier_deviations)
        xyz, rgb = xyz[kept], rgb[kept]
    return StartPoints(xyz=xyz, rgb=rgb, owner=np.full(len(xyz), -1, dtype=np.int32), method=method)


def _street(capture: Capture, xyz: Array, rgb: Array, settings: StartSettings) -> tuple[Array, Array]:
    """Points of the street, thinned and without outliers."""
    camera = capture.frames.world_from_camera[:, :3, 3]
    side = settings.voxel
    while True:
        points, colours = graded_voxels(xyz, rgb, camera, side=side, near=settings.near)
        kept = usual(points, neighbours=settings.neighbours, deviations=settings.outlier_deviations)
        if not 0 < settings.most < kept.sum():
            return points[kept], colours[kept]
        side *= GROWTH


GROWTH = 1.15
"""Of the voxels' side from one try to the next, where there are too many points (ours)."""


def _from_lidar(capture: Capture, settings: StartSettings) -> StartPoints:
    owner = owners(capture)
    rgb, known = coloured(capture, width=settings.colour_width, owner=owner)
    xyz = _in_own_frames(capture, owner)
    street = known & (owner < 0)
    parts = [(*_street(capture, xyz[street], rgb[street], settings), -1)]
    for agent in np.unique(owner[known & (owner >= 0)]):
        own = known & (owner == agent)
        parts.append((*voxels(xyz[own], rgb[own], side=settings.agent_voxel), int(agent)))
    return StartPoints(
        xyz=np.concatenate([part[0] for part in parts]),
        rgb=np.concatenate([part[1] for part in parts]),
        owner=np.concatenate([np.full(len(part[0]), part[2], dtype=np.int32) for part in parts]),
        method="lidar",
    )


def _in_own_frames(capture: Capture, owner: Int32[Array, " p"]) -> Float32[Array, "p 3"]:
    """All LiDAR points, those of agents in their boxes' frames."""
    xyz = capture.sweeps.xyz.copy()
    for sweep, when in enumerate(capture.sweeps.timestamp_us):
        span = capture.sweeps.of(sweep)
        whose = owner[span]
        if not (whose >= 0).any():
            continue
        pose, _ = capture.agents.at(int(when))
        for agent in np.unique(whose[whose >= 0]):
            own = np.flatnonzero(whose == agent) + span.start
            motion = inverse(pose[agent])
            xyz[own] = (xyz[own] @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32)
    return xyz


def graded_voxels(
    xyz: Float[Array, "p 3"], rgb: UInt8[Array, "p 3"], camera: Float[Array, "c 3"], *, side: float, near: float
) -> tuple[Float32[Array, "v 3"], UInt8[Array, "v 3"]]:
    """One point a voxel, whose side doubles with every doubling of the distance from the nearest camera beyond `near`.

    The distance is that of the middle of a voxel four times as wide as the first, so that a voxel has one side.
    """
    if near <= 0 or not len(xyz):
        return voxels(xyz, rgb, side=side)
    block = 4 * side
    middle = (np.floor(np.asarray(xyz, dtype=np.float64) / block) + 0.5) * block
    distance, _ = KDTree(np.unique(np.round(camera, 2), axis=0)).query(middle)
    level = np.ceil(np.log2(np.maximum(distance / near, 1.0))).astype(int)
    parts = [voxels(xyz[level == i], rgb[level == i], side=side * 2.0**i) for i in np.unique(level)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def voxels(
    xyz: Float[Array, "p 3"], rgb: UInt8[Array, "p 3"], *, side: float
) -> tuple[Float32[Array, "v 3"], UInt8[Array, "v 3"]]:
    """One point a voxel: the mean of those in it, place and colour; sorted by voxel."""
    if not len(xyz):
        return np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.uint8)
    cell = np.floor(np.asarray(xyz, dtype=np.float64) / side).astype(np.int64)
    cell -= cell.min(axis=0)
    span = cell.max(axis=0) + 1
    assert np.prod(span.astype(float)) < 2**62, "voxels too small for a scene of this size"
    key = (cell[:, 0] * span[1] + cell[:, 1]) * span[2] + cell[:, 2]
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=column) / count for column in (*np.asarray(xyz).T, *rgb.T)]
    made = np.stack(sums, axis=-1)
    return made[:, :3].astype(np.float32), np.round(made[:, 3:]).astype(np.uint8)


def usual(xyz: Float[Array, "p 3"], *, neighbours: int, deviations: float) -> Bool[Array, " p"]:
    """Points that are as near to their neighbours as most others are."""
    if len(xyz) <= neighbours:
        return np.ones(len(xyz), dtype=bool)
    distance, _ = KDTree(xyz).query(xyz, k=neighbours + 1)
    mean = distance[:, 1:].mean(axis=1)
    return mean <= mean.mean() + deviations * mean.std()
