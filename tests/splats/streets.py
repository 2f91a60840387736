"""A small street of known Gaussians: a grey wall ahead, a blue sky, and a red car in its box's frame.

The ego stands at the origin and looks along x; the wall stands at x = 20 m and is 6 m high.
"""

import dataclasses
import math

import numpy as np
import torch

from simscale.render.rigs import looking
from simscale.scene import Cameras, TrackKind, Tracks
from simscale.splats.capture import Agents
from simscale.splats.gaussians import Gaussians
from simscale.splats.harmonics import CONSTANT
from simscale.splats.street import AgentClouds, Drive, Exposures, Street

WALL = 20.0
CAR = np.array([4.0, 1.8, 1.5])
SIZE = (96, 64)
LENS = np.array([[80.0, 0.0, 47.5], [0.0, 80.0, 31.5], [0.0, 0.0, 1.0]])
NO_LIGHTS = np.zeros(0, dtype=np.int64)
GREY, BLUE, RED = (0.5, 0.5, 0.5), (0.2, 0.4, 0.9), (0.9, 0.1, 0.1)


def blobs(means: np.ndarray, colour: tuple[float, float, float], scale: float) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=torch.from_numpy(np.asarray(means, dtype=np.float32)),
        log_scales=torch.full((count, 3), math.log(scale)),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        logit_opacity=torch.full((count,), 5.0),
        sh_dc=(torch.tensor(colour).repeat(count, 1) - 0.5) / float(CONSTANT),
        sh_rest=torch.zeros(count, 0, 3),
    )


def plane(at: float, half_wide: float, low: float, high: float, step: float) -> np.ndarray:
    y, z = np.meshgrid(np.arange(-half_wide, half_wide + step, step), np.arange(low, high + step / 2, step))
    return np.stack([np.full(y.size, at), y.ravel(), z.ravel()], axis=-1)


def car_side() -> np.ndarray:
    """The half of a box's surface with y > 0; the other one is its mirror image."""
    axes = [np.linspace(-0.5, 0.5, count) * extent for count, extent in zip((41, 19, 16), CAR - 0.2, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    outside = (np.abs(grid) > 0.499 * (CAR - 0.2)).any(axis=1)
    return grid[outside & (grid[:, 1] >= 0)]


def small_street(name: str = "street", *, ego_z: float = 0.0, pitch: float = 0.0, **changes) -> Street:
    """The street; the car is agent 0, a parked box without a node agent 1."""
    boxes = np.tile(np.eye(4), (2, 3, 1, 1))
    boxes[0, :, :3, 3] = [(8.0, 0.0, 0.75 + ego_z), (10.0, 0.0, 0.75 + ego_z), (12.0, 0.0, 0.75 + ego_z)]
    boxes[1, :, :3, 3] = (15.0, -6.0, 0.75)
    ego = np.tile(np.eye(4), (3, 1, 1))
    ego[:, 0, 3], ego[:, 2, 3] = (0.0, 1.0, 2.0), ego_z
    ego[:, [0, 0, 2, 2], [0, 2, 0, 2]] = (math.cos(pitch), math.sin(pitch), -math.sin(pitch), math.cos(pitch))
    car = blobs(car_side(), RED, 0.06)
    side = np.linspace(-1, 1, 41) * 1200.0
    heights = np.linspace(0.0, 1.0, 15) * 900.0 + 200.0
    sky = np.stack([np.full(615, 1000.0), *(a.ravel() for a in np.meshgrid(side, heights))], axis=-1)
    street = Street(
        name=name,
        world=blobs(plane(WALL, 30.0, -8.0, 6.0, 0.4), GREY, 0.3),
        sky=blobs(sky, BLUE, 45.0),
        clouds=AgentClouds(
            gaussians=car,
            agent=torch.zeros(len(car), dtype=torch.int64),
            mirrored=np.array([True, False]),
        ),
        agents=Agents(
            id=("car", "parked"),
            kind=np.array([TrackKind.VEHICLE, TrackKind.VEHICLE], dtype=np.int64),
            size=np.stack([CAR, CAR]),
            timestamp_us=np.arange(3, dtype=np.int64) * 100_000,
            world_from_box=boxes,
            valid=np.ones((2, 3), dtype=bool),
        ),
        exposures=Exposures.neutral(("CAM_F0",), 1),
        drive=Drive(
            camera=np.zeros(3, dtype=np.int64),
            traversal=np.zeros(3, dtype=np.int64),
            timestamp_us=np.arange(3, dtype=np.int64) * 100_000,
            world_from_camera=ego @ looking(0.0, 0.0, 0.0, 1.5),
            ego_us=np.arange(3, dtype=np.int64) * 100_000,
            world_from_ego=ego,
        ),
    )
    return dataclasses.replace(street, **changes)


def rig(*, distortion: tuple[float, ...] = (0.0,) * 5) -> Cameras:
    return Cameras(
        name=("CAM_F0",),
        intrinsics=LENS[None],
        distortion=np.array([distortion]),
        ego_from_camera=looking(0.0, 0.0, 0.0, 1.5)[None],
        size_px=np.array([SIZE], dtype=np.int64),
    )


def others(*rows: tuple[str, float, float, float], kind: TrackKind = TrackKind.VEHICLE, size=CAR) -> Tracks:
    """Agents at one instant, each (id, x, y, yaw)."""
    count = len(rows)
    place = np.array([row[1:] for row in rows], dtype=np.float64).reshape(count, 1, 3)
    return Tracks(
        xy=place[..., :2],
        z=np.full((count, 1), size[2] / 2),
        yaw=place[..., 2],
        velocity=np.zeros((count, 1, 2)),
        size=np.tile(size, (count, 1)),
        kind=np.full(count, int(kind), dtype=np.int64),
        valid=np.ones((count, 1), dtype=bool),
        id=tuple(row[0] for row in rows),
    )
