"""Drives of NAVSIM's reactive vehicles with Shapely's polygons: who leads whom, and how each goes on (scoring.md 5.4).

The reference's `propagate_agents`: within a step the vehicles go one after the other, and who comes later sees where
the earlier ones already are. This is the slow and exact twin of `idm_parity_fast`.
"""

import math

import numpy as np
import shapely
from jaxtyping import Bool, Float
from shapely.geometry.base import BaseGeometry

from simscale.scene import DT, CarState, EgoVehicle, Tracks
from simscale.traffic.footprints import box_polygon, corridor_of, footprint_of, simplified
from simscale.traffic.idm_parity_build import Drivers
from simscale.traffic.idm_parity_drive import Begin, Driven
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


def drives_beside(
    drivers: Drivers, parked: Tracks, ego: CarState, begin: Begin, *, vehicle: EgoVehicle, rules: TrafficRules
) -> Driven:
    """Drives beside egos `[k t]`, as `idm_parity_fast.drives_beside`."""
    shape = (*begin.station.shape, ego.yaw.shape[1])
    driven = Driven(
        progress=np.zeros(shape),
        speed=np.zeros(shape),
        present=np.zeros(shape, dtype=bool),
        free=np.zeros((shape[0], len(parked.id), shape[2]), dtype=bool),
    )
    boxes = _parked_boxes(parked)
    for k in range(shape[0]):
        street = Street(drivers, ego[k], vehicle=vehicle, rules=rules)
        if begin.swept:
            street.resume(begin.station[k], begin.speed[k], begin.present[k])
        for t in range(shape[2]):
            if t > 0:
                street.step(t)
            driven.progress[k, :, t], driven.speed[k, :, t] = street.station, street.speed[:-1]
            driven.present[k, :, t] = street.present
            driven.free[k, :, t] = street.unobstructed(boxes)
    return driven


class Street:
    """The vehicles of one rollout while it runs. Row `n` of the arrays is the ego, rows before it the drivers."""

    def __init__(self, drivers: Drivers, ego: CarState, *, vehicle: EgoVehicle, rules: TrafficRules):
        """Puts the drivers where they are snapped.

        Args:
            drivers: Who drives.
            ego: The rollout [t] that the drivers see.
            vehicle: The ego car.
            rules: Constants.
        """
        count = len(drivers)
        self.drivers, self.rules, self.ego = drivers, rules, ego
        self.ego_box, self.ego_speed = _ego_boxes(ego, vehicle), ego.speed
        self.station = drivers.station.copy()
        self.speed = np.append(drivers.speed, 0.0)
        self.present = np.ones(count, dtype=bool)
        self.swept = np.zeros(count, dtype=bool)  # whether others see the footprint, no longer the snapped box
        self.xy, self.yaw = np.zeros((count + 1, 2)), np.zeros(count + 1)
        self.box, self.corridor = np.empty(count, dtype=object), np.empty(count, dtype=object)
        rows = zip(drivers.snapped, drivers.length.tolist(), drivers.width.tolist(), strict=True)
        boxes = [box_polygon(pose[:2], float(pose[2]), length=length, width=width) for pose, length, width in rows]
        self.seen = np.array([*map(simplified, boxes), None], dtype=object)
        for i in range(count):
            self._place(i)

    def resume(self, station: Float[Array, " n"], speed: Float[Array, " n"], present: Bool[Array, " n"]) -> None:
        """Takes over a state from a later sample, at which others already see footprints."""
        self.station, self.present = station.copy(), present.copy()
        self.speed[:-1] = speed
        for i in range(len(self.drivers)):
            self._place(i)
            self._sweep(i)

    def step(self, t: int) -> None:
        """Drives all on to sample `t`. QUIRK: they see the ego where it was at sample `t - 1`."""
        self._see_ego(t - 1)
        self._drop_far()
        for i in np.flatnonzero(self.present).tolist():
            gap, lead_speed = self._lead(i)
            self._advance(i, idm_acceleration(self.speed[i], self.drivers.target_speed[i], gap, lead_speed, self.rules))

    def unobstructed(self, boxes: list[shapely.Polygon]) -> Bool[Array, " p"]:
        """Which of these standing boxes touch no driver and none of those before them that are shown themselves."""
        shown: list[BaseGeometry] = list(self.box[self.present])
        free = np.zeros(len(boxes), dtype=bool)
        for p, box in enumerate(boxes):
            free[p] = not shapely.intersects(box, shown).any()
            if free[p]:
                shown.append(box)
        return free

    def _see_ego(self, t: int) -> None:
        self.seen[-1] = self.ego_box[t]
        self.xy[-1], self.yaw[-1], self.speed[-1] = self.ego.xy[t], self.ego.yaw[t], self.ego_speed[t]

    def _drop_far(self) -> None:
        """Takes out for good whoever is too far from the ego (`_filter_agents_out_of_range`)."""
        away = np.linalg.norm(self.xy[:-1] - self.xy[-1], axis=-1)
        self.present &= away <= self.rules.radius
        self.seen[:-1][~self.present] = None

    def _lead(self, i: int) -> tuple[float, float]:
        """Gap to the nearest of all that the corridor of driver `i` touches, and its speed along `i`'s heading.

        QUIRK: the gap is measured from the driver's own footprint, which is already a headway long. QUIRK (Q6): with
        nobody there, the end of the lane is a standing car, half a length of the driver's own nearer.
        """
        touched = shapely.intersects(self.corridor[i], self.seen)
        touched[i] = False
        others = np.flatnonzero(touched)
        if len(others) == 0:
            return float(self.drivers.path[i].end - self.station[i] - self.drivers.length[i] / 2), 0.0
        distance = shapely.distance(self.seen[i], self.seen[others])
        nearest = int(np.argmin(distance))
        if np.count_nonzero(distance == distance[nearest]) > 1:
            others, nearest = self._first_of_equals(i)
        lead = others[nearest]
        return float(distance.min()), float(self.speed[lead]) * math.cos(self.yaw[lead] - self.yaw[i])

    def _first_of_equals(self, i: int) -> tuple[Array, int]:
        """Touched polygons, and which of the equally near ones leads: the first that the reference's trees yield.

        QUIRK: footprints that overlap are all at distance 0. Which one counts depends on the order in which a tree of
        all polygons yields the touched ones, and on how a second tree of these is searched.
        """
        touched = shapely.STRtree(self.seen).query(self.corridor[i], predicate="intersects")
        others = touched[touched != i]
        return others, int(shapely.STRtree(self.seen[others]).nearest(self.seen[i]))

    def _advance(self, i: int, acceleration: float) -> None:
        """One Euler step: the station by the old speed, then the speed, which never gets negative."""
        before = self.speed[i]
        self.station[i] += DT * before
        self.speed[i] = max(before + DT * acceleration, 0.0)
        if before > 0:
            self._place(i)
        if before > 0 or self.speed[i] > 0 or not self.swept[i]:
            self._sweep(i)

    def _place(self, i: int) -> None:
        """Pose, box and corridor at the present station. Past its path's end a vehicle stays at the end."""
        path, length, width = self.drivers.path[i], float(self.drivers.length[i]), float(self.drivers.width[i])
        station = self.station[i]
        self.xy[i], self.yaw[i] = path.xy_at(station), path.yaw_at(station)
        self.box[i] = box_polygon(self.xy[i], self.yaw[i], length=length, width=width)
        self.corridor[i] = corridor_of(path, float(station), width=width)

    def _sweep(self, i: int) -> None:
        """Shows the others what the vehicle covers within its headway."""
        path, length, width = self.drivers.path[i], float(self.drivers.length[i]), float(self.drivers.width[i])
        ahead = float(self.speed[i]) * self.rules.headway
        station, box = float(self.station[i]), self.box[i]
        self.seen[i] = footprint_of(path, station, length=length, width=width, ahead=ahead, box=box)
        self.swept[i] = True


def _parked_boxes(cars: Tracks) -> list[shapely.Polygon]:
    rows = zip(cars.xy[:, 0], cars.yaw[:, 0].tolist(), cars.size.tolist(), strict=True)
    return [box_polygon(xy, yaw, length=size[0], width=size[1]) for xy, yaw, size in rows]


def _ego_boxes(ego: CarState, vehicle: EgoVehicle) -> list[BaseGeometry]:
    """The ego's box at each sample as traffic sees it. QUIRK (Q7): its centre is put onto the rear axle."""
    poses = zip(ego.xy, ego.yaw.tolist(), strict=True)
    return [simplified(box_polygon(xy, yaw, length=vehicle.length, width=vehicle.width)) for xy, yaw in poses]


def idm_acceleration(speed: float, target_speed: float, gap: float, lead_speed: float, rules: TrafficRules) -> float:
    """The intelligent driver model (`IDMPolicy.idm_model`), m/s^2, within the limits of the driver."""
    approach = speed * (speed - lead_speed) / (2 * math.sqrt(rules.accel * rules.decel))
    wanted = rules.min_gap + rules.headway * speed + approach
    kept = max(gap, rules.min_gap)
    acceleration = rules.accel * (1 - (speed / target_speed) ** rules.exponent - (wanted / kept) ** 2)
    return min(max(acceleration, -rules.decel), rules.accel)
