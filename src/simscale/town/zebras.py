"""Zebras: pedestrian crossings in the middle of a street, where vehicles give way to whoever wants to cross.

A zebra is closed as soon as somebody stands at its kerb. Whoever can still stop then waits at its line; nobody steps
onto it before those have passed who could not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.geometry.angles import direction
from simscale.geometry.polylines import project, stations_of
from simscale.town.cars import Drivers
from simscale.town.curves import curvature_of, headings_of
from simscale.town.roads import Roads, half_width
from simscale.town.trips import Trip

Array = np.ndarray

CHANCE = 0.6
"""Share of the streets with one lane a direction, and long enough, that have a zebra."""
CLEAR_OF_CROSSING = 34.0
"""No zebra this near to the end of a street, m."""
STRAIGHT_ENOUGH = 1 / 60.0
"""Curvature up to which a street may have one, 1/m."""
DEPTH = 3.0
"""Along the street, m."""
LINE = 2.2
"""Vehicles stop so far before it, m."""
YIELD_BRAKING, YIELD_REACTION, YIELD_SPACE = 1.6, 0.4, 0.6
"""Who would need more than this to stop, m/s^2, after this time, s, so far before the line, m, goes on."""


@dataclass(frozen=True, kw_only=True)
class Zebra:
    """A pedestrian crossing between two crossings of streets."""

    street: int
    station: float  # of its middle on the street's middle line, m
    xy: Float[Array, "2"]  # its middle
    yaw: float  # of the street there, rad
    lanes: tuple[tuple[int, float], ...]  # lanes that it crosses, and its station on each

    @property
    def ring(self) -> Float[Array, "4 2"]:
        """Near right, far right, far left, near left of those who drive along the street."""
        ahead, left = direction(np.float64(self.yaw)), direction(np.float64(self.yaw + np.pi / 2))
        wide = half_width(1)
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return np.array([self.xy + a * DEPTH / 2 * ahead + b * wide * left for a, b in corners])


def zebras_of(rng: np.random.Generator, roads: Roads) -> list[Zebra]:
    """Draws the zebras of a town."""
    zebras = []
    for street, middle in enumerate(roads.middle):
        wanted, shift = rng.random() < CHANCE, rng.uniform(-0.1, 0.1)
        station = stations_of(middle)
        at = station[-1] * (0.5 + shift)
        k = int(np.searchsorted(station, at))
        straight = np.abs(curvature_of(middle)[max(k - 20, 0) : k + 20]).max() < STRAIGHT_ENOUGH
        if (
            not wanted
            or roads.layout.lanes[street] > 1
            or min(at, station[-1] - at) < CLEAR_OF_CROSSING
            or not straight
        ):
            continue
        lanes = np.flatnonzero(roads.street[: roads.lanes] == street)
        own = tuple((int(lane), float(project(roads.line[lane], middle[k])[0])) for lane in lanes)
        yaw = float(headings_of(middle)[k])
        zebras.append(Zebra(street=street, station=float(station[k]), xy=middle[k], yaw=yaw, lanes=own))
    return zebras


class Yielding:
    """Which zebras are closed to vehicles, and who goes on regardless because it is too late to stop."""

    def __init__(self, zebras: list[Zebra], drivers: Drivers, trips: list[Trip]):
        on_lane = {lane: (number, at) for number, zebra in enumerate(zebras) for lane, at in zebra.lanes}
        self.closed = [False] * len(zebras)
        self.was_closed = [False] * len(zebras)
        self.passing: list[set[int]] = [set() for _ in zebras]
        self.front, self.rear = drivers.front.tolist(), drivers.rear.tolist()
        self.ahead = [
            [
                (begin + on_lane[element][1], on_lane[element][0])
                for element, begin in zip(trip.elements, trip.begin, strict=True)
                if element in on_lane
            ]
            for trip in trips
        ]
        self.next = [0] * len(trips)

    def update(self, station: list[float], speed: list[float]) -> None:
        """Notes who has passed a zebra, and who can no longer stop before one that is open."""
        for i, ahead in enumerate(self.ahead):
            k = self.next[i]
            while k < len(ahead) and station[i] - self.rear[i] > ahead[k][0] + DEPTH / 2 + 0.3:
                self.passing[ahead[k][1]].discard(i)
                k += 1
            self.next[i] = k
            if k == len(ahead):
                continue
            at, number = ahead[k]
            distance = at - DEPTH / 2 - LINE - station[i] - self.front[i]
            stopping = speed[i] ** 2 / (2 * YIELD_BRAKING) + YIELD_REACTION * speed[i]
            if speed[i] > 0.2:
                stopping += YIELD_SPACE
            if not self.was_closed[number] and (distance < 0.0 or stopping > distance):
                self.passing[number].add(i)
        self.was_closed = list(self.closed)

    def closed_line(self, i: int) -> float | None:
        """Station of the line at which a vehicle has to wait for those who cross."""
        k = self.next[i]
        if k == len(self.ahead[i]):
            return None
        at, number = self.ahead[i][k]
        return at - DEPTH / 2 - LINE if self.closed[number] and i not in self.passing[number] else None
