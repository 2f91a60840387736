"""A town and some minutes of its life, from a seed.

Everything random comes from Philox streams keyed by seed and purpose, so that another number of drives changes neither
the streets nor the parked cars.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.scene import DT, BadInput, RoadMap
from simscale.scene.seeds import generator_of
from simscale.town.cars import Drivers, drivers_of
from simscale.town.conflicts import conflicts_of
from simscale.town.layout import layout_of
from simscale.town.lights import Signals
from simscale.town.map import road_map_of
from simscale.town.parking import Bay, ParkedCars, bays_of, parked_cars
from simscale.town.paths import offset_along, poses_along
from simscale.town.roads import Roads, roads_of
from simscale.town.traffic import Flow, flow_of
from simscale.town.trips import Trip, random_trip

Array = np.ndarray

WARM_UP = 15.0
"""Traffic drives this long before anything is recorded, s: it starts from standstill."""
ROUTE_BEYOND = 200.0
"""A driver's way is known this far beyond the end of a drive, m."""
SPARE_DRIVES = 2.5
"""Egos and windows to choose from, for each drive that is asked for."""
FASTEST = 17.0
"""No car drives farther in a second, m."""
SLOT = 15.0
"""Distance between two places where a car may start, m."""


@dataclass(frozen=True, kw_only=True)
class TownSettings:
    """Size of a town, and how much of its life is recorded."""

    size: float = 400.0
    """Side of the square, m; at least 240."""
    drives: int = 10
    """Scenes to write."""
    duration: float = 20.0
    """Length of a drive, s."""
    cars_per_km: float = 20.0
    """Moving cars for each km of street, both directions together."""

    def checked(self) -> "TownSettings":
        """These settings, if they are possible; else `BadInput`."""
        for name, least in (("size", 240.0), ("drives", 1), ("duration", 1.0), ("cars_per_km", 1.0)):
            found = getattr(self, name)
            if not (np.isfinite(found) and found >= least):
                raise BadInput("town", name, found, f"at least {least:g}")
        if self.cars_per_km > 40.0:
            raise BadInput("town", "cars_per_km", self.cars_per_km, "at most 40")
        return self


SMALL_TOWN = TownSettings(size=270.0, drives=4)
"""Enough for a first look."""


@dataclass(frozen=True, kw_only=True)
class Town:
    """Streets, parked cars, and what `a` moving cars did over `t` instants."""

    seed: int
    location: str  # names its streets; towns with another number of drives are at the same location
    roads: Roads
    road: RoadMap
    bays: list[Bay]
    parked: ParkedCars
    drivers: Drivers
    trips: list[Trip]
    flow: Flow  # without the warm-up
    rear_axle_xy: Float[Array, "a t 2"]  # m
    yaw: Float[Array, "a t"]
    velocity: Float[Array, "a t 2"]  # m/s


def town_of(seed: int, *, settings: TownSettings) -> Town:
    """Builds a town and lets it live long enough for the drives that are asked for.

    Raises:
        BadInput: Settings that make no town.
    """
    settings = settings.checked()
    roads = roads_of(layout_of(generator_of(seed, "town", "roads"), size=settings.size))
    bays = bays_of(roads)
    kilometres = sum(roads.length[: roads.lanes][roads.index[: roads.lanes] == 0]) / 2000.0
    rng = generator_of(seed, "town", "drivers")
    drivers = drivers_of(rng, max(round(settings.cars_per_km * kilometres), 2))
    steps = _steps(settings, int(drivers.can_be_ego.sum()))
    trips, start = _trips(rng, roads, drivers, length=steps * DT * FASTEST + ROUTE_BEYOND)
    signals = Signals(roads.layout, generator_of(seed, "town", "lights"), dt=DT)
    flow = flow_of(roads, conflicts_of(roads), drivers, trips, signals, start=start, steps=steps, dt=DT)
    flow = _after(flow, round(WARM_UP / DT))
    poses = [
        poses_along(trip, offset_along(trip, drivers, i, bays), flow.station[i], flow.speed[i])
        for i, trip in enumerate(trips)
    ]
    rear_axle_xy, yaw, velocity = (np.stack(part) for part in zip(*poses, strict=True))
    return Town(
        seed=seed,
        location=f"town-{seed}-{settings.size:g}m",
        roads=roads,
        road=road_map_of(roads, bays),
        bays=bays,
        parked=parked_cars(generator_of(seed, "town", "parking"), roads, bays),
        drivers=drivers,
        trips=trips,
        flow=flow,
        rear_axle_xy=rear_axle_xy,
        yaw=yaw,
        velocity=velocity,
    )


def instants(settings: TownSettings) -> int:
    """Number of grid instants of a drive; both ends count."""
    return round(settings.duration / DT) + 1


def _steps(settings: TownSettings, egos: int) -> int:
    windows = max(int(np.ceil(SPARE_DRIVES * settings.drives / egos)), 2)
    return round(WARM_UP / DT) + windows * instants(settings)


def _trips(rng: np.random.Generator, roads: Roads, drivers: Drivers, *, length: float) -> tuple[list[Trip], Array]:
    """A trip for each driver, from its own place on a lane."""
    slots = [(lane, at) for lane in range(roads.lanes) for at in np.arange(SLOT, roads.length[lane] - 25.0, SLOT)]
    chosen = rng.permutation(len(slots))[: len(drivers.size)]
    assert len(chosen) == len(drivers.size), "fewer places than cars"
    trips = [
        random_trip(
            rng,
            roads,
            first=slots[slot][0],
            length=length,
            side_acceleration=float(drivers.side_acceleration[i]),
            speed_share=float(drivers.speed_share[i]),
        )
        for i, slot in enumerate(chosen)
    ]
    return trips, np.array([slots[slot][1] for slot in chosen])


def _after(flow: Flow, first: int) -> Flow:
    return Flow(station=flow.station[:, first:], speed=flow.speed[:, first:], lights=flow.lights[:, first:])
