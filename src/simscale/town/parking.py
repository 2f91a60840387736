"""Parked cars: bays along a street's kerb where it is straight enough, most of their places taken."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.geometry.angles import wrap
from simscale.geometry.polylines import at_station, stations_of, yaw_at_station
from simscale.town.cars import CAR_SIZES
from simscale.town.curves import beside, curvature_of, headings_of
from simscale.town.roads import LANE_WIDTH, SHOULDER, Roads
from simscale.town.zebras import Zebra

Array = np.ndarray

BAY_DEPTH = 2.6
"""From the edge of the lane to the kerb of a bay, m."""
CLEAR_OF_CROSSING = 16.0
"""No bay this near to the end of a street, m."""
CLEAR_OF_ZEBRA = 9.0
"""Nor this near to the middle of a zebra, m: people must be seen."""
STRAIGHT_ENOUGH = 1 / 90.0
"""Curvature up to which cars park, 1/m: in a bend a driver's straight line ahead would point at them."""
STRAIGHT_BEFORE = 14.0
"""Nor does the street bend within this distance before a bay, m."""
PITCH = 6.6
"""Length of a parking place, m."""
TAKEN = 0.65
"""Share of the places that are taken."""
SHORTEST_BAY = 3
"""Places."""
KERB_GAP = (0.1, 0.3)
"""Between a parked car and the kerb, m."""


@dataclass(frozen=True, kw_only=True)
class Bay:
    """A row of parking places beside a lane."""

    lane: int
    begin: float  # station on the lane, m
    end: float
    ring: Float[Array, "n 2"]


@dataclass(frozen=True, kw_only=True)
class ParkedCars:
    """Cars that stand in bays."""

    xy: Float[Array, "a 2"]  # box centre, m
    yaw: Float[Array, " a"]
    size: Float[Array, "a 3"]  # length, width, height, m


def bays_of(roads: Roads, zebras: list[Zebra]) -> list[Bay]:
    """Bays beside all lanes whose street allows parking there."""
    bays = []
    for lane in range(roads.lanes):
        if not roads.layout.parking[roads.street[lane], roads.backward[lane]]:
            continue
        line = roads.line[lane]
        station = stations_of(line)
        bent = station[np.abs(curvature_of(line)) >= STRAIGHT_ENOUGH]
        last_bend = np.concatenate([[-np.inf], bent])[np.searchsorted(bent, station, side="right")]
        fit = (station - last_bend > STRAIGHT_BEFORE) & (station > CLEAR_OF_CROSSING)
        fit &= station < station[-1] - CLEAR_OF_CROSSING
        for at in (at for zebra in zebras for crossed, at in zebra.lanes if crossed == lane):
            fit &= np.abs(station - at) > CLEAR_OF_ZEBRA
        edges = np.flatnonzero(np.diff(np.concatenate([[False], fit, [False]]).astype(int)))
        for first, past in edges.reshape(-1, 2):
            begin, end = station[first], station[past - 1]
            if end - begin >= SHORTEST_BAY * PITCH:
                ring = _kerb_strip(line[first:past])
                bays.append(Bay(lane=lane, begin=float(begin), end=float(end), ring=ring))
    return bays


def _kerb_strip(line: Array) -> Array:
    """From the middle of the shoulder, which it overlaps, to the kerb."""
    yaw = headings_of(line)
    near, far = LANE_WIDTH / 2 + SHOULDER / 2, LANE_WIDTH / 2 + BAY_DEPTH
    return np.concatenate([beside(line, yaw, -far), beside(line, yaw, -near)[::-1]])


def parked_cars(rng: np.random.Generator, roads: Roads, bays: list[Bay]) -> ParkedCars:
    """Fills the bays."""
    xy, yaw, size = [], [], []
    for bay in bays:
        line = roads.line[bay.lane]
        for place in np.arange(bay.begin + PITCH / 2, bay.end - PITCH / 2 + 1e-9, PITCH):
            taken, which, gap, shift, tilt = rng.random(), rng.integers(len(CAR_SIZES)), *rng.random(3)
            if taken > TAKEN:
                continue
            dims = CAR_SIZES[which]
            inward = LANE_WIDTH / 2 + BAY_DEPTH - KERB_GAP[0] - gap * np.ptp(KERB_GAP) - dims[1] / 2
            station = np.array([place + (shift - 0.5) * 0.5 * (PITCH - dims[0])])
            heading = yaw_at_station(line, station)
            xy.append(beside(at_station(line, station), heading, -inward)[0])
            yaw.append(wrap(heading + (tilt - 0.5) * np.deg2rad(2.0))[0])
            size.append(dims)
    return ParkedCars(
        xy=np.array(xy).reshape(-1, 2), yaw=np.array(yaw, dtype=float), size=np.array(size).reshape(-1, 3)
    )


def all_parked(*some: ParkedCars) -> ParkedCars:
    """Cars of several places together."""
    return ParkedCars(
        **{name: np.concatenate([getattr(cars, name) for cars in some]) for name in ("xy", "yaw", "size")}
    )
