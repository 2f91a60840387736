"""Renderer: cameras, poses and agents at one instant become images, whoever draws them.

The ray caster of the town is the first renderer, a reconstruction from photographs the second. What reads images
depends on this file alone, never on who drew.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, UInt8

from simscale.render.trust import Trust
from simscale.scene import Cameras, Tracks

Array = np.ndarray

Channel = Literal["rgb", "depth", "instance", "semantic"]
CHANNELS: tuple[Channel, ...] = ("rgb", "depth", "instance", "semantic")
"""All that a renderer can be asked for."""


class SemanticClass(IntEnum):
    """What a pixel shows."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    PAVEMENT = 3
    TERRAIN = 4
    BUILDING = 5
    VEGETATION = 6
    POLE = 7
    SIGN = 8
    TRAFFIC_LIGHT = 9
    VEHICLE = 10
    PERSON = 11
    BICYCLE = 12  # with its rider
    OBJECT = 13


@dataclass(frozen=True, kw_only=True)
class Image:
    """What one camera sees; channels that nobody asked for are None."""

    rgb: UInt8[Array, "h w 3"] | None
    depth: Float32[Array, "h w"] | None  # along the camera's z axis, m; infinite where there is sky
    instance: Int32[Array, "h w"] | None  # index of the track, -1 for all else
    semantic: UInt8[Array, "h w"] | None  # SemanticClass
    trust: Trust | None = None  # None where everything is exact


@runtime_checkable
class Renderer(Protocol):
    """Draws any instant that can be simulated, logged or not."""

    def render(
        self,
        cameras: Cameras,
        world_from_ego: Float[Array, "4 4"],
        tracks: Tracks,
        lights: Int[Array, " l"],
        *,
        channels: tuple[Channel, ...] = ("rgb",),
    ) -> tuple[Image, ...]:
        """One image a camera.

        Args:
            cameras: The rig; distortion is followed.
            world_from_ego: Pose of the ego.
            tracks: Everybody else at that instant, [a 1]; the ego itself is not drawn.
            lights: LightState of each row of `Scene.lights` at that instant.
            channels: What is wanted.
        """
        ...
