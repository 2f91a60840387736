"""The ego car: its dimensions, and its state as the eleven numbers of the reference scorer.

The state sits at the middle of the rear axle, on the ground.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.geometry.angles import direction

Array = np.ndarray

PACKED = ("x", "y", "yaw", "vx", "vy", "ax", "ay", "steer", "steer_rate", "yaw_rate", "yaw_accel")
"""Order of the eleven numbers (`StateIndex` in the reference's pdm_enums.py)."""
X, Y, YAW, VX, VY, AX, AY, STEER, STEER_RATE, YAW_RATE, YAW_ACCEL = range(11)


@dataclass(frozen=True, kw_only=True)
class EgoVehicle:
    """Dimensions of the ego car, m."""

    name: str
    length: float
    width: float
    height: float
    wheel_base: float
    rear_axle_to_centre: float


PACIFICA = EgoVehicle(
    name="pacifica", length=5.176, width=2.297, height=1.777, wheel_base=3.089, rear_axle_to_centre=1.461
)
"""Chrysler Pacifica of NAVSIM and nuPlan (`get_pacifica_parameters`)."""

FORD_FUSION = EgoVehicle(
    name="ford_fusion", length=4.87, width=1.85, height=1.48, wheel_base=2.85, rear_axle_to_centre=1.365
)
"""Car of Argoverse 2; rear overhang 1.07 m."""

RENAULT_ZOE = EgoVehicle(
    name="renault_zoe", length=4.084, width=1.73, height=1.562, wheel_base=2.588, rear_axle_to_centre=1.385
)
"""Car of nuScenes; rear overhang 0.657 m."""


@dataclass(frozen=True, kw_only=True)
class CarState:
    """A car at one instant, or along a path when the last batch axis is time."""

    xy: Float[Array, "*b 2"]  # rear axle in the world frame, m
    yaw: Float[Array, "*b"]  # rad
    velocity: Float[Array, "*b 2"]  # in the ego frame (forward, left), m/s
    acceleration: Float[Array, "*b 2"]  # in the ego frame, m/s^2
    steer: Float[Array, "*b"]  # front wheel angle, rad, left is positive
    steer_rate: Float[Array, "*b"]  # rad/s
    yaw_rate: Float[Array, "*b"]  # rad/s
    yaw_accel: Float[Array, "*b"]  # rad/s^2

    @property
    def speed(self) -> Float[Array, "*b"]:
        """Magnitude of the velocity, m/s."""
        return np.asarray(np.hypot(self.velocity[..., 0], self.velocity[..., 1]))

    def packed(self) -> Float[Array, "*b 11"]:
        """The eleven numbers in the order of `PACKED`, for kernels and files."""
        rest = [self.steer, self.steer_rate, self.yaw_rate, self.yaw_accel]
        columns = [self.xy, self.yaw[..., None], self.velocity, self.acceleration, *(r[..., None] for r in rest)]
        return np.concatenate(columns, axis=-1)

    @staticmethod
    def unpacked(states: Float[Array, "*b 11"]) -> "CarState":
        """Undoes `packed`; the fields are views."""
        return CarState(
            xy=states[..., X : Y + 1],
            yaw=states[..., YAW],
            velocity=states[..., VX : VY + 1],
            acceleration=states[..., AX : AY + 1],
            steer=states[..., STEER],
            steer_rate=states[..., STEER_RATE],
            yaw_rate=states[..., YAW_RATE],
            yaw_accel=states[..., YAW_ACCEL],
        )

    def __getitem__(self, index: object) -> "CarState":
        """Indexes the batch axes, for instance `ego[t0]`, `rollouts[:, -1]` or `rollouts[..., -1]`."""
        yaw = self.yaw[index]  # type: ignore[index]
        dots = isinstance(index, tuple) and any(part is Ellipsis for part in index)
        pairs = (*index, slice(None)) if dots else index  # type: ignore[misc]
        packed = np.empty((*np.shape(yaw), 11))
        packed[..., X : Y + 1] = self.xy[pairs]  # type: ignore[index]
        packed[..., YAW] = yaw
        packed[..., VX : VY + 1] = self.velocity[pairs]  # type: ignore[index]
        packed[..., AX : AY + 1] = self.acceleration[pairs]  # type: ignore[index]
        rest = (self.steer, self.steer_rate, self.yaw_rate, self.yaw_accel)
        for column, values in zip((STEER, STEER_RATE, YAW_RATE, YAW_ACCEL), rest, strict=True):
            packed[..., column] = values[index]  # type: ignore[index]
        return CarState.unpacked(packed)

    def centre_xy(self, vehicle: EgoVehicle) -> Float[Array, "*b 2"]:
        """Centre of the car's box in the world frame."""
        return self.xy + vehicle.rear_axle_to_centre * direction(self.yaw)
