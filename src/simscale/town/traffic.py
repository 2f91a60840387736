"""Traffic of a town: every car follows the one ahead, keeps to its lights, and enters a crossing only by right.

Cars move along their trips, so the state of one is two numbers: station (of its rear axle) and speed. A crossing is
shared by admission (`crossings.py`): without it a car sees a wall at its stop line. The rest is the intelligent driver
model (Treiber, Hennecke, Helbing 2000) with two bounds, both ours: nobody brakes much harder than physics asks, and
nobody changes acceleration faster than passengers like.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.town.cars import Drivers
from simscale.town.conflicts import Conflicts
from simscale.town.crossings import Crossings
from simscale.town.curves import SPACING
from simscale.town.lights import Signals
from simscale.town.riders import Riders, Zones
from simscale.town.roads import Roads
from simscale.town.trips import Trip
from simscale.town.walking import Walking
from simscale.town.zebras import Yielding

Array = np.ndarray

SIGHT = 90.0
"""How far ahead a driver looks for the next car, m."""
PREVIEW = 0.4
"""The speed wanted is that of the place where the car will be in this time, s."""
SLOWING = 1.5
"""Deceleration for each m/s above the speed wanted, 1/s."""
EASY_SLOWING = 2.2
"""No harder for speed alone, m/s^2."""
HARDER_THAN_NEEDED, SLACK = 1.3, 0.3
"""A driver brakes at most this factor, plus this much (m/s^2), harder than what just avoids contact."""
LEADER_BRAKING = 2.5
"""Deceleration that a driver expects of the car ahead at worst, m/s^2."""
JERK_UP, JERK_DOWN = 2.0, 3.0
"""How fast acceleration grows and falls, m/s^3."""
EMERGENCY = 3.5
"""When more than this is needed, m/s^2, the bounds on jerk and braking are off."""
HARDEST = 7.0
"""What brakes can do, m/s^2."""
LINE_GAP = 0.6
"""Where drivers stop before a stop line, m."""
MOOD, MOOD_RATE = 0.03, 0.15
"""The speed wanted swings by this share, at this rate, rad/s."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What the traffic did: `a` cars and `w` people over `t` instants, `p` approaches."""

    station: Float[Array, "a t"]  # of the rear axle on the car's trip, m
    speed: Float[Array, "a t"]  # along the trip, m/s
    lights: Int[Array, "p t"]  # LightState by approach
    walked: Float[Array, "w t"]  # station of each person on his or her walk, m
    stepped: Float[Array, "w t"]  # to the right of it, m
    on_road: Bool[Array, "w t"]  # who is on a pedestrian crossing


def flow_of(
    roads: Roads,
    conflicts: Conflicts,
    drivers: Drivers,
    trips: list[Trip],
    zones: list[Zones],
    signals: Signals,
    walking: Walking,
    *,
    start: Float[Array, " a"],
    steps: int,
    dt: float,
) -> Flow:
    """Lets the cars drive for `steps` instants of `dt` from standstill at stations `start`."""
    cars = _Cars(roads, conflicts, drivers, trips, Riders(drivers, trips, zones), walking.yielding, start)
    station, speed = np.empty((len(trips), steps)), np.empty((len(trips), steps))
    lights = np.empty((4 * len(roads.layout.xy), steps), dtype=np.int64)
    walked, stepped, on_road = (np.empty((len(walking.station), steps), dtype=kind) for kind in (float, float, bool))
    for t in range(steps):
        station[:, t], speed[:, t] = cars.station, cars.speed
        cars.crossings.locate(cars.station)
        cars.riders.update(cars.station, cars.speed, cars.crossings.at, cars.crossings.on)
        walked[:, t], stepped[:, t], on_road[:, t] = walking.station, walking.aside, walking.on_road
        walking.announce()
        walking.yielding.update(cars.station, cars.speed)
        demand = cars.crossings.demand(cars.station, cars.speed)
        lights[:, t] = signals.step(*demand, on_foot=walking.waiting, across=walking.crossing)
        cars.crossings.admit(cars.station, cars.speed, lights[:, t])
        cars.move(dt, t * dt)
        walking.move(signals.walk)
    return Flow(station=station, speed=speed, lights=lights, walked=walked, stepped=stepped, on_road=on_road)


class _Cars:
    """Station, speed and acceleration of all cars, as they go through time."""

    def __init__(
        self,
        roads: Roads,
        conflicts: Conflicts,
        drivers: Drivers,
        trips: list[Trip],
        riders: Riders,
        yielding: Yielding,
        start: Array,
    ):
        self.drivers, self.trips, self.riders, self.yielding = drivers, trips, riders, yielding
        self.station = [float(s) for s in start]
        self.speed = [0.0] * len(trips)
        self.acceleration = [0.0] * len(trips)
        self.crossings = Crossings(roads, conflicts, drivers, trips, riders)
        self.front, self.rear = drivers.front.tolist(), drivers.rear.tolist()
        self.habits = np.stack(
            [drivers.acceleration, drivers.braking, drivers.headway, drivers.standing_gap, drivers.weave_phase], axis=1
        ).tolist()
        self.fast = [trip.fast.tolist() for trip in trips]

    def move(self, dt: float, time: float) -> None:
        """One step for everybody, from what all see now."""
        wanted = [self._wanted(i, time) for i in range(len(self.trips))]
        for i, (acceleration, needed) in enumerate(wanted):
            before = self.acceleration[i]
            if needed > EMERGENCY:
                now = max(acceleration, -HARDEST)
            else:
                now = min(max(acceleration, before - JERK_DOWN * dt, -HARDEST), before + JERK_UP * dt)
            speed = self.speed[i] + now * dt
            if speed < 0.02 and now <= 0.0:
                speed, now = 0.0, 0.0
            self.station[i] += (self.speed[i] + speed) / 2 * dt
            self.speed[i], self.acceleration[i] = speed, now

    def _wanted(self, i: int, time: float) -> tuple[float, float]:
        """Acceleration that a driver wants, and the deceleration that is needed to touch nothing."""
        wanted, needed = self._free(i, time), 0.0
        for gap, lead_speed, standing_gap in self._obstacles(i):
            a, n = self._following(i, gap, lead_speed, standing_gap)
            wanted, needed = min(wanted, a), max(needed, n)
        return wanted, needed

    def _free(self, i: int, time: float) -> float:
        speed, (most, _, _, _, phase) = self.speed[i], self.habits[i]
        place = min(int((self.station[i] + PREVIEW * speed) / SPACING), len(self.fast[i]) - 1)
        target = self.fast[i][place] * (1.0 + MOOD * math.sin(MOOD_RATE * time + phase))
        if speed <= target:
            return most * (1.0 - (speed / target) ** 4)
        return max(-SLOWING * (speed - target), -EASY_SLOWING)

    def _obstacles(self, i: int) -> list[tuple[float, float, float]]:
        """Gap, speed and wanted standing gap of what is ahead: the next cars, and a stop line that is closed."""
        bumper = self.station[i] + self.front[i]
        found = [
            (at - self.rear[j] - bumper, self.speed[j], self.habits[i][3])
            for j, at in self.crossings.cars_ahead(i, self.station[i], SIGHT)
        ]
        lines = (self.crossings.closed_line(i), self.riders.closed_line(i), self.yielding.closed_line(i))
        return found + [(line - bumper, 0.0, LINE_GAP) for line in lines if line is not None]

    def _following(self, i: int, gap: float, lead_speed: float, standing_gap: float) -> tuple[float, float]:
        """The intelligent driver model's acceleration, and the deceleration that physics asks for."""
        speed, (most, comfortable, headway, _, _) = self.speed[i], self.habits[i]
        gap = max(gap, 0.05)
        closing = speed * (speed - lead_speed) / (2.0 * math.sqrt(most * comfortable))
        desired = standing_gap + max(speed * headway + closing, 0.0)
        room = max(gap - 0.6 * standing_gap, 0.05) + lead_speed**2 / (2 * LEADER_BRAKING)
        needed = speed**2 / (2 * room)
        model = most * (1.0 - (desired / gap) ** 2)
        return max(model, -(HARDER_THAN_NEEDED * needed + SLACK)), needed
