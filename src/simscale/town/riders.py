"""Cyclists: they ride at the right edge of their lane, and move aside onto the shoulder where it is free and straight.

Whoever is aside is passed: cars do not mind them, nor they the cars. Before their zone ends cyclists look for a gap
and merge, after which they lead whoever comes from behind; without a gap they wait at the zone's end.
"""

from collections import defaultdict

import numpy as np

from simscale.geometry.polylines import stations_of
from simscale.scene import TrackKind
from simscale.town.cars import Drivers
from simscale.town.curves import curvature_of
from simscale.town.parking import Bay
from simscale.town.roads import Roads
from simscale.town.trips import Trip

Array = np.ndarray

AT_EDGE, ASIDE = -1.15, -2.4
"""Place of a cyclist in the lane and beside it, m to the left of the lane's middle."""
WINDOW = 16.0
"""Length over which a cyclist moves from one to the other, m."""
STRAIGHT_ENOUGH = 1 / 80.0
"""Aside only where the street bends less, 1/m: long vehicles need the shoulder in bends."""
AFTER_START, BEFORE_END, BEFORE_BAY, SHORTEST = 12.0, 30.0, 12.0, 34.0
"""Zones begin so far behind a crossing, end so far before the next and before bays, and are at least so long, m."""
ASK_AHEAD = 12.0
"""A cyclist looks for a gap from so far before the end of the zone, m."""
GAP_TIME, GAP_SPACE, GAP_BRAKING = 1.0, 4.0, 1.2
"""A gap leaves whoever comes from behind this time, s, and this room, m, with this braking, m/s^2."""

Zones = list[tuple[float, float]]
"""Stations of a trip between which its rider may be aside."""


def zones_of(trip: Trip, roads: Roads, bays: list[Bay]) -> Zones:
    """Where on a trip a cyclist moves aside."""
    zones = []
    for element, begin in zip(trip.elements, trip.begin, strict=True):
        if element < roads.lanes:
            zones += [(begin + first, begin + last) for first, last in _zones_on(element, roads, bays)]
    return zones


def _zones_on(lane: int, roads: Roads, bays: list[Bay]) -> Zones:
    line = roads.line[lane]
    station = stations_of(line)
    fit = (station > AFTER_START) & (station < station[-1] - BEFORE_END)
    fit &= np.abs(curvature_of(line)) < STRAIGHT_ENOUGH
    for bay in bays:
        if bay.lane == lane:
            fit &= (station < bay.begin - BEFORE_BAY) | (station > bay.end + BEFORE_BAY)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], fit, [False]]).astype(int)))
    found = [(float(station[first]), float(station[past - 1])) for first, past in edges.reshape(-1, 2)]
    return [(first, last) for first, last in found if last - first > SHORTEST]


class Riders:
    """Which cyclists are aside, as they go through time."""

    def __init__(self, drivers: Drivers, trips: list[Trip], zones: list[Zones]):
        self.trips, self.zones = trips, zones
        self.front, self.rear = drivers.front.tolist(), drivers.rear.tolist()
        self.rides = (drivers.kind == TrackKind.BICYCLE).tolist()
        self.riders = [i for i, rides in enumerate(self.rides) if rides]
        self.zone = defaultdict(int)  # rider -> which of its zones is next or now
        self.merging = defaultdict(lambda: -1)  # rider -> zone that it has left the edge of
        self.aside = [False] * len(trips)

    def minds(self, i: int, j: int) -> bool:
        """Whether `i` follows `j`, should `j` be the next ahead."""
        if self.rides[i]:
            return self.rides[j] or not self.aside[i]
        return not self.aside[j]

    def update(self, station: list[float], speed: list[float], at: list[int], on: dict) -> None:
        """Moves riders aside, and lets those merge who have a gap.

        Args:
            station: Of every rear axle on its trip.
            speed: Of everybody.
            at: Which element of its trip everybody is on.
            on: Element -> (station on it, who).
        """
        for i in self.riders:
            zones, k = self.zones[i], self.zone[i]
            while k < len(zones) and station[i] > zones[k][1]:
                k += 1
            self.zone[i] = k
            self.aside[i] = False
            if k == len(zones) or station[i] < zones[k][0] + WINDOW / 2 + self.rear[i] or self.merging[i] == k:
                continue
            self.aside[i] = True
            distance = self._line(i) - station[i] - self.front[i]
            if distance < ASK_AHEAD and self._has_gap(i, station, speed, at, on):
                self.merging[i], self.aside[i] = k, False

    def closed_line(self, i: int) -> float | None:
        """Station where a rider who is aside has to wait for a gap."""
        return self._line(i) if self.aside[i] else None

    def _line(self, i: int) -> float:
        return self.zones[i][self.zone[i]][1] - WINDOW / 2 - 0.5

    def _has_gap(self, i: int, station: list[float], speed: list[float], at: list[int], on: dict) -> bool:
        trip, k = self.trips[i], at[i]
        begin = trip.begin[k]
        for s, j in on.get(trip.elements[k], ()):
            if j == i or self.rides[j]:
                continue
            behind = station[i] - self.rear[i] - (begin + s + self.front[j])
            ahead = begin + s - self.rear[j] - (station[i] + self.front[i])
            closing = max(speed[j] - speed[i], 0.0)
            room = GAP_SPACE + GAP_TIME * speed[j] + closing**2 / (2 * GAP_BRAKING)
            if behind < room and ahead < 1.0 + 0.5 * speed[i]:
                return False
        return True
