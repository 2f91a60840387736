"""Car parks off the street: two rows of places with a lane between them, behind the pavement, and a way across it."""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.angles import wrap
from simscale.scene import RoadKind, RoadMap
from simscale.town.cars import CAR_SIZES
from simscale.town.curves import curvature_of
from simscale.town.kerbs import PAVEMENT_WIDTH, Side
from simscale.town.parking import ParkedCars
from simscale.town.roads import SHOULDER, Roads
from simscale.town.zebras import Zebra

Array = np.ndarray

CHANCE = 0.3
"""Share of the sides of streets, among those with room, that have a car park."""
PLACE_WIDTH, PLACE_DEPTH, AISLE = 2.6, 5.7, 6.2
"""Of one place and of the lane between the rows, m."""
PLACES = (7, 12)
"""In the row away from the street."""
WAY_IN = 6.0
"""Width of the way in, m; no place in the near row is in front of it."""
CLEAR_OF_CROSSING, CLEAR_OF_ZEBRA = 26.0, 14.0
"""m along the street."""
STRAIGHT_ENOUGH = 1 / 250.0
"""Curvature of the street beside a car park, 1/m."""
TAKEN = 0.6
"""Share of the places that are taken."""


@dataclass(frozen=True, kw_only=True)
class CarPark:
    """One car park; its frame has x along the street's side and y away from the road, from the kerb on."""

    side: int  # number of the street's side
    station: float  # of the way in, on the side's lane, m
    origin: Float[Array, "2"]  # on the kerb
    along: Float[Array, "2"]  # unit vector along the side
    away: Float[Array, "2"]  # unit vector away from the road
    half: float  # half of its length along the street, m

    @property
    def near(self) -> float:
        """Where it begins, beyond the pavement, m from the kerb."""
        return PAVEMENT_WIDTH + 1.0

    @property
    def far(self) -> float:
        """Where it ends, m from the kerb."""
        return self.near + 2 * PLACE_DEPTH + AISLE

    @property
    def ring(self) -> Float[Array, "8 2"]:
        """Outline with the way in, which reaches into the street's shoulder."""
        w, h = WAY_IN / 2, self.half
        corners = [(-w, -SHOULDER / 2), (w, -SHOULDER / 2), (w, self.near), (h, self.near)]
        corners += [(h, self.far), (-h, self.far), (-h, self.near), (-w, self.near)]
        return self.placed(np.array(corners))

    @property
    def dividers(self) -> list[Float[Array, "2 2"]]:
        """Lines between the places."""
        edges = np.arange(-self.half, self.half + 0.01, PLACE_WIDTH)
        far = [self.placed(np.array([(x, self.far - PLACE_DEPTH), (x, self.far - 0.2)])) for x in edges[1:-1]]
        beside_way = np.abs(edges) > WAY_IN / 2
        near = [self.placed(np.array([(x, self.near + 0.2), (x, self.near + PLACE_DEPTH)])) for x in edges[beside_way]]
        return far + near

    @property
    def places(self) -> list[tuple[float, float, float]]:
        """Middle of each place in the car park's frame, and 1 where cars point away from the road, -1 towards it."""
        middle = np.arange(-self.half + PLACE_WIDTH / 2, self.half, PLACE_WIDTH)
        far = [(float(x), self.far - PLACE_DEPTH / 2, 1.0) for x in middle]
        clear = np.abs(middle) > (WAY_IN + PLACE_WIDTH) / 2 + 0.1
        return far + [(float(x), self.near + PLACE_DEPTH / 2, -1.0) for x in middle[clear]]

    def placed(self, xy: Float[Array, "n 2"]) -> Float[Array, "n 2"]:
        """Points of the car park's frame in the town's."""
        return self.origin + xy[:, :1] * self.along + xy[:, 1:] * self.away


def car_parks_of(
    rng: np.random.Generator, roads: Roads, road: RoadMap, sides: list[Side], zebras: list[Zebra]
) -> list[CarPark]:
    """Draws car parks where a street is straight and nothing else is near."""
    kinds = (RoadKind.DRIVABLE, RoadKind.INTERSECTION, RoadKind.CAR_PARK)
    taken = shapely.union_all([shapely.Polygon(road.ring(int(e))) for e in road.of_kind(*kinds)])
    found = []
    for number, side in enumerate(sides):
        wanted, shift, places = rng.random() < CHANCE, rng.random(), int(rng.integers(*PLACES, endpoint=True))
        half = places * PLACE_WIDTH / 2
        fit = _fit(roads, side, zebras, half)
        if not wanted or not len(fit):
            continue
        at = fit[int(shift * len(fit))]
        yaw = side.heading(np.array([at]))
        along, away = (np.array([np.cos(a), np.sin(a)]) for a in (float(yaw[0]), float(yaw[0]) - np.pi / 2))
        origin = side.at(np.array([at]), 0.0)[0]
        park = CarPark(side=number, station=float(at), origin=origin, along=along, away=away, half=half)
        lot = shapely.Polygon(park.ring[2:])
        if lot.distance(taken) > PAVEMENT_WIDTH + 0.4:
            found.append(park)
            taken = shapely.union_all([taken, lot])
    return found


def _fit(roads: Roads, side: Side, zebras: list[Zebra], half: float) -> Array:
    """Stations where a side is straight, without bays, and away from its ends and from zebras."""
    station = side.station
    bent = np.abs(curvature_of(roads.line[side.lane])) > STRAIGHT_ENOUGH
    unfit = np.concatenate([station[bent | side.bay], [0.0, side.length]])
    clear = np.abs(station[:, None] - unfit).min(1) > half
    clear &= (station > CLEAR_OF_CROSSING) & (station < side.length - CLEAR_OF_CROSSING)
    for at in (at for zebra in zebras for lane, at in zebra.lanes if lane == side.lane):
        clear &= np.abs(station - at) > CLEAR_OF_ZEBRA
    return station[clear]


def cars_in(rng: np.random.Generator, parks: list[CarPark]) -> ParkedCars:
    """Fills the car parks; some cars stand backwards in their places."""
    xy, yaw, size = [], [], []
    for park in parks:
        for x, y, ahead in park.places:
            taken, which, shift, tilt, backwards = rng.random(), rng.integers(len(CAR_SIZES)), *rng.random(3)
            if taken > TAKEN:
                continue
            dims = CAR_SIZES[which]
            spare = max(PLACE_DEPTH - dims[0], 0.0)
            xy.append(park.placed(np.array([(x, y + (shift - 0.5) * spare)]))[0])
            heading = np.arctan2(*(ahead * park.away)[::-1]) + (np.pi if backwards < 0.35 else 0.0)
            yaw.append(float(wrap(np.float64(heading + (tilt - 0.5) * np.deg2rad(4.0)))))
            size.append(dims)
    return ParkedCars(
        xy=np.array(xy).reshape(-1, 2), yaw=np.array(yaw, dtype=float), size=np.array(size).reshape(-1, 3)
    )
