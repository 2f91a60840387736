"""Our planners behind other projects' doors: NAVSIM's agent, and the batch of requests of AlpaSim's drivers.

Both are thin: they take images, command, velocity and acceleration out of what they are handed, and give back poses.
Neither project is imported; whatever has the same fields will do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from simscale.dataset.features import camera_feature, lidar_feature
from simscale.planners.planning import Observations, image_size, kind_of, plan, reads_lidar, stacked
from simscale.render.panorama import PLANNER_CAMERAS, Panorama
from simscale.scene import BadInput

Array = np.ndarray

MIX = 0x9E3779B97F4A7C15
"""Times an index and one, keeps the random streams of AlpaSim's requests apart, as its drivers do."""
HISTORY = 4
"""Frames that NAVSIM hands to an agent; the last is the present."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """When the poses of a trajectory are due (`TrajectorySampling` of nuPlan)."""

    num_poses: int
    time_horizon: float  # s
    interval_length: float  # s


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Poses in the ego frame (`Trajectory` of NAVSIM)."""

    poses: Float32[Array, "t 3"]  # x, y, heading
    trajectory_sampling: Sampling


@dataclass(frozen=True, kw_only=True)
class SensorsWanted:
    """Which sensors an agent asks for (`SensorConfig` of NAVSIM): those that it reads, of the present alone."""

    names: tuple[str, ...]

    def get_sensors_at_iteration(self, iteration: int) -> list[str]:
        """Names of the sensors wanted of a frame of the history."""
        return list(self.names) if iteration == HISTORY - 1 else []


class NavsimAgent:
    """A planner as NAVSIM's evaluation asks it (`AbstractAgent`)."""

    requires_scene = False

    def __init__(
        self,
        model: nn.Module,
        *,
        seed: int = 0,
        trajectory: Callable[[Array, Sampling], Any] = lambda poses, sampling: Trajectory(
            poses=poses, trajectory_sampling=sampling
        ),
    ):
        """Wraps a planner.

        Args:
            model: The planner.
            seed: Of its noise, where it draws some.
            trajectory: Makes the trajectory that NAVSIM is given, from poses and sampling; ours has its fields.
        """
        self._model, self._seed, self._trajectory = model, seed, trajectory

    def name(self) -> str:
        """What tables call it."""
        return type(self._model).__name__

    def initialize(self) -> None:
        """There is nothing to do: the planner has its weights."""

    def get_sensor_config(self) -> SensorsWanted:
        """Three cameras, and the LiDAR where the planner reads it."""
        lidar = ("lidar_pc",) if reads_lidar(self._model) else ()
        return SensorsWanted(names=(*(name.lower() for name in PLANNER_CAMERAS), *lidar))

    def compute_trajectory(self, agent_input: Any) -> Any:
        """The plan from `ego_statuses`, `cameras` and, where it is read, `lidars`, the last of each.

        Raises:
            BadInput: A camera or the LiDAR is missing, or an image has another size.
        """
        cameras, ego = agent_input.cameras[-1], agent_input.ego_statuses[-1]
        held = {name: getattr(cameras, name.lower()).image for name in PLANNER_CAMERAS}
        points = None
        if reads_lidar(self._model):
            cloud = agent_input.lidars[-1].lidar_pc if agent_input.lidars else None
            points = None if cloud is None else np.asarray(cloud, dtype=np.float64)[:3].T
        observation = observed(
            self._model,
            {name: image for name, image in held.items() if image is not None},
            (ego.driving_command, ego.ego_velocity, ego.ego_acceleration),
            points=points,
        )
        found = plan(self._model, observation, seed=self._seed)
        poses = np.column_stack([found.xy[0], found.yaw[0]]).astype(np.float32)
        sampling = Sampling(
            num_poses=len(poses), time_horizon=round(len(poses) * found.dt, 6), interval_length=found.dt
        )
        return self._trajectory(poses, sampling)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What AlpaSim's drivers give back."""

    trajectory: Float32[Array, "t 3"]  # x, y, heading in the rig's frame, the rear axle


class AlpasimPolicy:
    """A planner as AlpaSim's batch worker asks it (`BatchPolicy`)."""

    def __init__(self, model: nn.Module, *, seed: int = 0, batch: int = 32, panorama: Panorama | None = None):
        """Wraps a planner.

        Args:
            model: The planner.
            seed: Of its noise, for requests that do not say their own.
            batch: Requests at once.
            panorama: Of the rig, where it is not NAVSIM's (`rig_mapping`).
        """
        self._model, self._seed, self._batch, self._panorama = model, seed, batch, panorama

    def predict_batch(self, requests: Sequence[Any]) -> list[Prediction]:
        """Plans for requests with `images`, `command_one_hot`, `velocity_xy` and `acceleration_xy`.

        Raises:
            BadInput: A camera is missing, or an image or a vector has another size.
        """
        if not requests:
            return []
        parts = [
            observed(
                self._model,
                request.images,
                (request.command_one_hot, request.velocity_xy, request.acceleration_xy),
                panorama=self._panorama,
                noise=self._noise(request),
                where=f"request {number}",
            )
            for number, request in enumerate(requests)
        ]
        found = plan(self._model, stacked(parts), seed=self._seed, batch=self._batch)
        poses = np.concatenate([found.xy, found.yaw[..., None]], axis=-1).astype(np.float32)
        return [Prediction(trajectory=each) for each in poses]

    def _noise(self, request: Any) -> Float32[Array, "1 m t 2"] | None:
        """A request's own noise, or that of our seed; by CPU, as the drivers draw it there."""
        if not kind_of(self._model).seeded:
            return None
        said, index = getattr(request, "noise_seed", None), getattr(request, "noise_index", None)
        seed = self._seed if said is None else (int(said) + MIX * (int(index or 0) + 1)) % (1 << 64)
        shape = self._model.state_dict()[kind_of(self._model).vocabulary].shape
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()[None]


def observed(
    model: nn.Module,
    images: Any,
    told: tuple[Any, Any, Any],
    *,
    points: Array | None = None,
    panorama: Panorama | None = None,
    noise: Float32[Array, "1 m t 2"] | None = None,
    where: str = "observation",
) -> Observations:
    """One car's observation for a planner, from raw images.

    Args:
        model: Who will read it.
        images: By the camera's name, see `camera_feature`.
        told: Command (4), velocity (2) and acceleration (2).
        points: LiDAR points [n 3] in the ego frame, m.
        panorama: Of a rig that is not NAVSIM's.
        noise: Of the sample, for planners that draw some.
        where: What an error names.

    Raises:
        BadInput: As `camera_feature`, or a vector of another length.
    """
    status = []
    for name, values, length in zip(("command", "velocity", "acceleration"), told, (4, 2, 2), strict=True):
        vector = np.asarray(values, dtype=np.float32)
        if vector.shape != (length,):
            raise BadInput(where, name, f"of shape {vector.shape}", f"{(length,)}")
        status.append(vector)
    rgb: UInt8[Array, "3 h w"] = camera_feature(images, image_size(model), panorama=panorama, where=where)
    lidar = None if points is None else lidar_feature(points)[None]
    return Observations(rgb=rgb[None], status=np.concatenate(status)[None], lidar=lidar, noise=noise)
