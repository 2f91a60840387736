"""Tracks: everything around the ego that was detected, as arrays over agents and instants."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray


class TrackKind(IntEnum):
    """The reference's object types, in its order."""

    VEHICLE = 0
    PEDESTRIAN = 1
    BICYCLE = 2
    TRAFFIC_CONE = 3
    BARRIER = 4
    CZONE_SIGN = 5
    GENERIC_OBJECT = 6


AGENT_KINDS = (TrackKind.VEHICLE, TrackKind.PEDESTRIAN, TrackKind.BICYCLE)
"""Kinds that move by themselves; all others are static (`AGENT_TYPES` in the reference)."""


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Boxes of `a` agents over `t` instants; what is not `valid` is arbitrary."""

    xy: Float[Array, "*b a t 2"]  # box centre in the world frame, m
    z: Float[Array, "*b a t"]  # box centre, m
    yaw: Float[Array, "*b a t"]  # rad
    velocity: Float[Array, "*b a t 2"]  # in the world frame, m/s
    size: Float[Array, "*b a 3"]  # length, width, height, m
    kind: Int[Array, "*b a"]  # TrackKind
    valid: Bool[Array, "*b a t"]
    id: tuple[str, ...]  # one name an agent, unique within a scene

    @property
    def speed(self) -> Float[Array, "*b a t"]:
        """Magnitude of the velocity, m/s."""
        return np.asarray(np.hypot(self.velocity[..., 0], self.velocity[..., 1]))

    def at(self, first: int, last: int) -> "Tracks":
        """The instants `first` to `last - 1`."""
        span = slice(first, last)
        return Tracks(
            xy=self.xy[..., span, :],
            z=self.z[..., span],
            yaw=self.yaw[..., span],
            velocity=self.velocity[..., span, :],
            size=self.size,
            kind=self.kind,
            valid=self.valid[..., span],
            id=self.id,
        )

    def of_agents(self, index: Int[Array, " n"]) -> "Tracks":
        """Only the given agents, in the given order. Needs tracks without further batch axes."""
        return Tracks(
            xy=self.xy[index],
            z=self.z[index],
            yaw=self.yaw[index],
            velocity=self.velocity[index],
            size=self.size[index],
            kind=self.kind[index],
            valid=self.valid[index],
            id=tuple(self.id[int(i)] for i in index),
        )
