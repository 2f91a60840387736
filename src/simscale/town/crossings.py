"""Who may enter a crossing: admission by light, by free way, by priority, and by room behind it.

A car is admitted to its connector when its light is green, no admitted car is still where the two ways meet, no car
with priority would have to brake for it, and the lane behind has room. It keeps its admission until its rear has left;
a light that turns yellow takes it back from those who can still stop. Two cars are therefore never in one place.
"""

from collections import defaultdict

import numpy as np
from jaxtyping import Bool, Int

from simscale.scene import DT, LightState
from simscale.town.cars import Drivers
from simscale.town.conflicts import BOX_FRONT, BOX_REAR, Conflicts
from simscale.town.riders import Riders
from simscale.town.roads import Roads
from simscale.town.roundabout import Rings, ring_angles
from simscale.town.trips import Trip

Array = np.ndarray

ASK_BRAKING, ASK_TIME, ASK_SPACE = 1.2, 0.9, 6.0
"""A driver asks for admission where braking this gently, m/s^2, and this late, s, would stop the car so far off, m."""
STOPS_FOR_YELLOW = 2.4
"""A driver who needs more than this to stop, m/s^2, goes on through yellow."""
REACTION = 0.5
"""Time in which a driver who sees yellow still rolls, s."""
CLEAR_BY = 4.2
"""A car has left a crossing when its rear is so far beyond it, m: behind the pedestrian crossing."""
CAR_SPACE = 3.2
"""Room that a queue needs for a car beyond its length, m."""
FLOWING = 2.5
"""Behind a car at this speed, m/s, there will be room."""
WAITING_WITHIN, COMING_WITHIN = 40.0, 2.2
"""A car is waiting within so many metres of its stop line, and coming within so many seconds."""
NEXT_IN_QUEUE = 10.0
"""Or within so many metres: the second of a queue that sets off."""
COURTESY = 12.0
"""A driver who has stood at a line for so long, s, is let in by those who have priority and can stop."""
WATCH = 70.0
"""A car with priority counts within this distance of the crossing, m."""
SLOWEST_ARRIVAL = 3.0
"""A car with priority is expected to come at least this fast, m/s."""


class Crossings:
    """Where every car is, and who has been admitted where, as it goes through time."""

    def __init__(self, roads: Roads, conflicts: Conflicts, drivers: Drivers, trips: list[Trip], riders: Riders):
        self.roads, self.conflicts, self.trips, self.riders = roads, conflicts, trips, riders
        self.front, self.rear = drivers.front.tolist(), drivers.rear.tolist()
        self.more_front = np.maximum(drivers.front - BOX_FRONT, 0.0).tolist()  # than the box of `conflicts`
        self.more_rear = np.maximum(drivers.rear - BOX_REAR, 0.0).tolist()
        self.size, self.patience = drivers.size[:, 0].tolist(), drivers.patience.tolist()
        self.waited = [0] * len(trips)  # instants for which a car has stood where it asks for admission
        self.usual_speed = np.minimum(0.9 * drivers.top_speed, 5.0).tolist()
        self.at = [0] * len(trips)  # which element of its trip a car's rear axle is on
        self.admitted = [-1] * len(trips)  # which element of its trip a car has been let into, -1 none
        self.on: dict[int, list[tuple[float, int]]] = {}  # element -> (station on it, car), the hindmost first
        self.holders: dict[int, set[int]] = defaultdict(set)  # connector -> admitted cars
        self.length, self.hold = roads.length.tolist(), roads.hold.tolist()
        self.crossing, self.approach = roads.crossing.tolist(), roads.approach.tolist()
        self.before, self.after, self.rank = roads.before.tolist(), roads.after.tolist(), roads.rank.tolist()
        self.lit = roads.layout.lights.astype(bool).tolist()
        self.rings = _rings_of(roads)
        self.siblings = {
            c: [other for other in meets if self.before[other] == self.before[c]] for c, meets in conflicts.items()
        }

    def locate(self, station: list[float]) -> None:
        """Puts every car on its element, and takes back the admission of those who have left their crossing."""
        self.on = defaultdict(list)
        self.station = station
        for i, trip in enumerate(self.trips):
            while self.at[i] + 1 < len(trip.begin) and station[i] >= trip.begin[self.at[i] + 1]:
                self.at[i] += 1
            held = self.admitted[i]
            if held >= 0 and station[i] > trip.begin[held + 1] + self.rear[i] + CLEAR_BY:
                self._dismiss(i)
            self.on[trip.elements[self.at[i]]].append((station[i] - trip.begin[self.at[i]], i))
        for cars in self.on.values():
            cars.sort()

    def demand(self, station: list[float], speed: list[float]) -> tuple[Bool[Array, " p"], ...]:
        """What the lights see: approaches where somebody waits, comes, and is inside (as `Signals.step`)."""
        waiting, coming, inside = (np.zeros(4 * len(self.lit), dtype=bool) for _ in range(3))
        for i in range(len(self.trips)):
            if self.admitted[i] >= 0:
                inside[self._approach(self.trips[i].elements[self.admitted[i]])] = True
            if self._on_lane(i):
                distance = self._line(i) - station[i] - self.front[i]
                approach = self._approach(self.trips[i].elements[self.at[i]])
                waiting[approach] |= distance < WAITING_WITHIN and not self._is_let_in(i)
                coming[approach] |= -1.0 < distance < COMING_WITHIN * speed[i] + NEXT_IN_QUEUE
        return waiting, coming, inside

    def admit(self, station: list[float], speed: list[float], lights: Int[Array, " p"]) -> None:
        """Takes admissions back from those who can stop for yellow, and lets in who may enter."""
        self._choose_favoured(speed)
        for i in range(len(self.trips)):
            if not self._on_lane(i) or self.at[i] + 1 >= len(self.trips[i].elements):
                continue
            connector = self.trips[i].elements[self.at[i] + 1]
            distance = self._line(i) - station[i] - self.front[i]
            light = lights[self._approach(connector)]
            if self._is_let_in(i):
                stopping = speed[i] ** 2 / (2 * max(distance - REACTION * speed[i], 0.01))
                if light != LightState.GREEN and distance > 0.0 and stopping < STOPS_FOR_YELLOW:
                    self._dismiss(i)
                continue
            if distance > speed[i] ** 2 / (2 * ASK_BRAKING) + ASK_TIME * speed[i] + ASK_SPACE:
                continue
            self.waited[i] = self.waited[i] + 1 if speed[i] < 0.5 else 0
            left_the_last = self.admitted[i] < 0
            if left_the_last and light == LightState.GREEN and self._may_enter(i, connector, station, speed):
                self.admitted[i] = self.at[i] + 1
                self.holders[connector].add(i)

    def _choose_favoured(self, speed: list[float]) -> None:
        """For each crossing without lights: who has stood there too long, and could leave it."""
        self.favoured = {}
        for i in sorted(range(len(self.trips)), key=lambda i: -self.waited[i]):
            if self.waited[i] * DT < COURTESY:
                break
            if not self._on_lane(i) or self._is_let_in(i):
                continue
            connector = self.trips[i].elements[self.at[i] + 1]
            crossing = self.crossing[connector]
            if (
                not self.lit[crossing]
                and crossing not in self.favoured
                and self._has_room(i, self.after[connector], speed)
            ):
                self.favoured[crossing] = (i, connector)

    def closed_line(self, i: int) -> float | None:
        """Station of the stop line ahead of a car that has not been let in."""
        closed = self._on_lane(i) and not self._is_let_in(i)
        return self._line(i) if closed else None

    def cars_ahead(self, i: int, station: float, sight: float) -> list[tuple[int, float]]:
        """The next car on the way, and those that leave the same lane for another and are still in the way.

        Returns:
            Car, and station of its rear axle on the trip of car `i`.
        """
        trip, found = self.trips[i], []
        for k in range(self.at[i], len(trip.elements)):
            begin = trip.begin[k]
            if begin > station + sight:
                break
            ahead = [
                (begin + s, j)
                for s, j in self.on.get(trip.elements[k], ())
                if begin + s > station and j != i and self.riders.minds(i, j)
            ]
            if ahead:
                at, j = min(ahead)
                found.append((j, at))
                break
        return found + self._leaving(i, station)

    def _leaving(self, i: int, station: float) -> list[tuple[int, float]]:
        trip = self.trips[i]
        k = self.at[i] + self._on_lane(i)
        if k >= len(trip.elements):
            return []
        mine, begin = trip.elements[k], trip.begin[k]
        if mine in self.rings.pairs:
            if self._on_lane(i) and not self._is_let_in(i):
                return []
            return [(j, begin + s) for s, j in self.rings.ahead(mine, station - begin, self._places(mine)) if j != i]
        return [
            (j, begin + s)
            for other in self.siblings[mine]
            for s, j in self.on.get(other, ())
            if begin + s > station and s < self.conflicts[other][mine][1] + self.more_rear[j]
        ]

    def _may_enter(self, i: int, connector: int, station: list[float], speed: list[float]) -> bool:
        lane = self.trips[i].elements[self.at[i]]
        mine = station[i] - self.trips[i].begin[self.at[i]]
        ahead = [j for s, j in self.on[lane] if s > mine and j != i and self.riders.minds(i, j)]
        if any(not self._is_let_in(j) for j in ahead):
            return False
        favoured, theirs = self.favoured.get(self.crossing[connector], (-1, -1))
        if favoured not in (-1, i) and self.before[theirs] != lane and theirs in self.conflicts[connector]:
            return False
        if connector in self.rings.pairs:
            at = station[i] - self.trips[i].begin[self.at[i] + 1]
            others = {
                j: (self.front[j], self.rear[j], speed[j])
                for other, _ in self.rings.pairs[connector]
                for j in self.holders[other]
            }
            free = self.rings.has_gap(connector, at, self.front[i], self.rear[i], self._places(connector), others)
            return free and self._has_room(i, self.after[connector], speed)
        for other, (_, leaves) in self.conflicts[connector].items():
            if self.before[other] == lane:
                continue
            if any(self._is_in_the_way(j, other, connector, station[j]) for j in self.holders[other]):
                return False
            has_priority = not self.lit[self.crossing[connector]] and self.rank[other] < self.rank[connector]
            if has_priority and favoured != i:
                distance = self.trips[i].begin[self.at[i] + 1] + leaves + self.more_rear[i] - station[i]
                mean_speed = max(0.5 * (speed[i] + self.usual_speed[i]), 1.8)
                wanted = distance / mean_speed + self.patience[i]
                if self._somebody_comes(other, connector, wanted, station, speed):
                    return False
        return self._has_room(i, self.after[connector], speed)

    def _places(self, connector: int) -> dict[int, list[tuple[float, int]]]:
        """Where those are who have been let into a roundabout: connector -> (station on it, who)."""
        return {
            other: [(self.station[j] - self.trips[j].begin[self.admitted[j]], j) for j in self.holders[other]]
            for other, _ in self.rings.pairs[connector]
        }

    def _is_in_the_way(self, j: int, other: int, connector: int, station: float) -> bool:
        begin = self.trips[j].begin[self.admitted[j]]
        return station - begin < self.conflicts[other][connector][1] + self.more_rear[j]

    def _somebody_comes(
        self, other: int, connector: int, within: float, station: list[float], speed: list[float]
    ) -> bool:
        """Whether a car with priority reaches the place where two connectors meet within a time."""
        reached = self.conflicts[other][connector][0]
        for _, j in self.on.get(self.before[other], ()):
            k = self.at[j] + 1
            if k >= len(self.trips[j].elements) or self.trips[j].elements[k] != other:
                continue
            distance = self.trips[j].begin[k] + reached - self.more_front[j] - station[j]
            if distance < WATCH and distance / max(speed[j], SLOWEST_ARRIVAL) < within:
                return True
        return False

    def _has_room(self, i: int, lane: int, speed: list[float]) -> bool:
        """Whether a car will be able to leave the crossing: it must fit behind all who are or will be in that lane."""
        mine = self.size[i] + CAR_SPACE
        entering = {j for c, cars in self.holders.items() if self.after[c] == lane for j in cars}
        inside = self.on.get(lane, [])
        entering -= {j for _, j in inside}
        queue = sum(self.size[j] + CAR_SPACE for j in entering)
        if queue + sum(self.size[j] + CAR_SPACE for _, j in inside) + mine > self.length[lane] - self.hold[lane]:
            return False
        if not inside:
            return True
        tail, j = inside[0]
        return tail - self.rear[j] > queue + mine or speed[j] > FLOWING

    def _dismiss(self, i: int) -> None:
        self.holders[self.trips[i].elements[self.admitted[i]]].discard(i)
        self.admitted[i] = -1

    def _is_let_in(self, i: int) -> bool:
        """Whether a car on a lane may go on at its end."""
        return self.admitted[i] == self.at[i] + 1

    def _on_lane(self, i: int) -> bool:
        return self.at[i] % 2 == 0

    def _line(self, i: int) -> float:
        """Station of the stop line at the end of a car's lane."""
        trip, k = self.trips[i], self.at[i]
        return trip.begin[k] + self.length[trip.elements[k]] - self.hold[trip.elements[k]]

    def _approach(self, element: int) -> int:
        return 4 * self.crossing[element] + self.approach[element]


def _rings_of(roads: Roads) -> Rings:
    layout = roads.layout
    enter, span = {}, {}
    for c in np.flatnonzero((roads.before >= 0) & (layout.roundabout[roads.crossing] > 0)).tolist():
        arm_yaw = layout.arm_yaw[roads.crossing[c]]
        start_yaw = float(arm_yaw[roads.approach[c]] + np.pi)
        enter[c], span[c] = ring_angles(start_yaw, float(arm_yaw[roads.leaves_by[c]]))
    return Rings(roads.before.tolist(), enter, span, roads.length, roads.crossing)
