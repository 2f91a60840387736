"""Scene: an excerpt of one driving log, all of it where the log is short.

Everything is on one grid of instants, `dt` apart (10 Hz), in a local world frame: right-handed, metres, z up, with
its origin near the first ego pose. `origin` is the one place that knows where that frame lies in the source's map.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.scene.car import CarState, EgoVehicle
from simscale.scene.road import Lights, RoadMap
from simscale.scene.sensors import Cameras, Ground, Recordings
from simscale.scene.tracks import Tracks

Array = np.ndarray

DT = 0.1
"""Step of every scene's grid, s."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One log, or a piece of it."""

    id: str  # unique within a dataset; letters, digits, '-', '_' and '.'
    source: str  # kind of log: argoverse2, scenarionet, commonroad, town, own
    location: str  # which map, as the source names it
    origin: Float[Array, "3"]  # position of the world frame's origin in the source's map, m
    timestamp_us: Int[Array, " t"]  # one a grid instant, `dt` apart
    vehicle: EgoVehicle
    ego: CarState  # [t]
    ego_z: Float[Array, " t"]  # ground height under the rear axle, m; 0 where the source has none
    tracks: Tracks  # [a t]
    road: RoadMap  # no elements where the source has no map
    lights: Lights  # no rows where the source has none
    route: Int[Array, " r"]  # lanes and connectors in driving order
    cameras: Cameras
    images: Recordings
    sweeps: Recordings
    sensor_root: str  # folder that the recordings' paths start from; empty where there are none
    ground: Ground | None
    missing: tuple[str, ...]  # what the source cannot give, a short phrase each ("traffic lights")

    def __len__(self) -> int:
        """Number of grid instants."""
        return len(self.timestamp_us)

    @property
    def dt(self) -> float:
        """Step of the grid, s."""
        return DT
