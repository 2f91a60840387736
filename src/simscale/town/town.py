"""A town and some minutes of its life, from a seed.

Everything random comes from Philox streams keyed by seed and purpose, so that another number of drives changes neither
the streets nor the parked cars.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from simscale.scene import DT, BadInput, RoadMap, TrackKind
from simscale.scene.seeds import generator_of
from simscale.town.car_parks import CarPark, car_parks_of, cars_in
from simscale.town.cars import LONG, Drivers, drivers_of
from simscale.town.conflicts import conflicts_of
from simscale.town.kerbs import sides_of
from simscale.town.layout import layout_of
from simscale.town.lights import Signals
from simscale.town.map import road_map_of, with_car_parks
from simscale.town.parking import Bay, ParkedCars, all_parked, bays_of, parked_cars
from simscale.town.paths import offset_along, poses_along
from simscale.town.pavements import pavements_of
from simscale.town.riders import zones_of
from simscale.town.roads import Roads, roads_of
from simscale.town.traffic import Flow, flow_of
from simscale.town.trips import Trip, open_elements, random_trip
from simscale.town.walkers import Walkers, people_of
from simscale.town.walking import Walking, walkers_of
from simscale.town.zebras import Yielding, Zebra, zebras_of

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
    cars_per_km: float = 17.0
    """Moving cars, vans, trucks and buses for each km of street, both directions together."""
    cyclists_per_km: float = 3.5
    """Cyclists likewise."""
    people_per_km: float = 24.0
    """People on foot likewise."""

    def checked(self) -> "TownSettings":
        """These settings, if they are possible; else `BadInput`."""
        least = {"size": 240.0, "drives": 1, "duration": 1.0, "cars_per_km": 1.0}
        most = {"size": 3000.0, "cars_per_km": 40.0, "cyclists_per_km": 10.0, "people_per_km": 60.0}
        for name in (field.name for field in fields(self)):
            found, low, high = getattr(self, name), least.get(name, 0.0), most.get(name, np.inf)
            if not (np.isfinite(found) and low <= found <= high):
                expected = f"{low:g} or more" if found < high else f"at most {high:g}"
                raise BadInput("town", name, found, expected)
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
    zebras: list[Zebra]
    bays: list[Bay]
    car_parks: list[CarPark]
    parked: ParkedCars
    drivers: Drivers
    trips: list[Trip]
    flow: Flow  # without the warm-up
    rear_axle_xy: Float[Array, "a t 2"]  # m
    yaw: Float[Array, "a t"]
    velocity: Float[Array, "a t 2"]  # m/s
    walkers: Walkers


def town_of(seed: int, *, settings: TownSettings) -> Town:
    """Builds a town and lets it live long enough for the drives that are asked for.

    Raises:
        BadInput: Settings that make no town.
    """
    settings = settings.checked()
    roads = roads_of(layout_of(generator_of(seed, "town", "roads"), size=settings.size))
    zebras = zebras_of(generator_of(seed, "town", "zebras"), roads)
    bays = bays_of(roads, zebras)
    sides = sides_of(roads, bays)
    road = road_map_of(roads, bays, zebras)
    car_parks = car_parks_of(generator_of(seed, "town", "car parks"), roads, road, sides, zebras)
    road = with_car_parks(road, [park.ring for park in car_parks])
    kilometres = sum(roads.length[: roads.lanes][roads.index[: roads.lanes] == 0]) / 2000.0
    rng = generator_of(seed, "town", "drivers")
    cyclists = max(round(settings.cyclists_per_km * kilometres), 1)
    drivers = drivers_of(rng, max(round(settings.cars_per_km * kilometres), 2), cyclists)
    steps = _steps(settings, int(drivers.can_be_ego.sum()))
    trips, start = _trips(rng, roads, drivers, length=steps * DT * FASTEST + ROUTE_BEYOND)
    signals = Signals(roads.layout, generator_of(seed, "town", "lights"), dt=DT)
    zones = [
        zones_of(trip, roads, bays) if kind == TrackKind.BICYCLE else []
        for trip, kind in zip(trips, drivers.kind, strict=True)
    ]
    pavements = pavements_of(roads, road, sides, zebras)
    people = people_of(
        generator_of(seed, "town", "people"),
        pavements,
        count=max(round(settings.people_per_km * kilometres), 1),
        duration=steps * DT,
    )
    walking = Walking(people, pavements, Yielding(zebras, drivers, trips), len(roads.layout.xy), DT)
    flow = flow_of(roads, conflicts_of(roads), drivers, trips, zones, signals, walking, start=start, steps=steps, dt=DT)
    flow = _after(flow, round(WARM_UP / DT))
    poses = [
        poses_along(trip, offset_along(trip, drivers, i, bays, zones[i]), flow.station[i], flow.speed[i])
        for i, trip in enumerate(trips)
    ]
    rear_axle_xy, yaw, velocity = (np.stack(part) for part in zip(*poses, strict=True))
    return Town(
        seed=seed,
        location=f"town-{seed}-{settings.size:g}m",
        roads=roads,
        road=road,
        zebras=zebras,
        bays=bays,
        car_parks=car_parks,
        parked=all_parked(
            parked_cars(generator_of(seed, "town", "parking"), roads, bays),
            cars_in(generator_of(seed, "town", "parking off the street"), car_parks),
        ),
        drivers=drivers,
        trips=trips,
        flow=flow,
        rear_axle_xy=rear_axle_xy,
        yaw=yaw,
        velocity=velocity,
        walkers=walkers_of(people, flow.walked, flow.stepped, flow.on_road, dt=DT),
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
    left = [slots[k] for k in rng.permutation(len(slots))]
    free = [_free_elements(roads, drivers, i) for i in range(len(drivers.size))]
    first: dict[int, tuple[int, float]] = {}
    for i in sorted(range(len(free)), key=lambda i: int(free[i].sum())):  # who has the least choice chooses first
        slot = next((slot for slot in left if free[i][slot[0]]), None)
        assert slot is not None, "fewer places than cars"
        left.remove(slot)
        first[i] = slot
    trips = [
        random_trip(
            rng,
            roads,
            first=first[i][0],
            length=length,
            free=free[i],
            side_acceleration=float(drivers.side_acceleration[i]),
            speed_share=float(drivers.speed_share[i]),
            top_speed=float(drivers.top_speed[i]),
        )
        for i in range(len(free))
    ]
    return trips, np.array([first[i][1] for i in range(len(free))])


def _free_elements(roads: Roads, drivers: Drivers, driver: int) -> Array:
    """Long vehicles do not turn right nor go round, cyclists keep to the outermost lanes."""
    fit = np.ones(len(roads.line), dtype=bool)
    if drivers.size[driver, 0] > LONG:
        fit &= (roads.turn >= 0) & ~((roads.before >= 0) & (roads.layout.roundabout[roads.crossing] > 0))
    if drivers.kind[driver] == TrackKind.BICYCLE:
        lane = np.arange(len(fit)) < roads.lanes
        fit &= ~lane | (roads.index == roads.layout.lanes[roads.street] - 1)
    return open_elements(roads, fit)


def _after(flow: Flow, first: int) -> Flow:
    return Flow(**{name: column[:, first:] for name, column in vars(flow).items()})
