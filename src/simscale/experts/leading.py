"""Who leads each proposal of the reference's planner, and how it drives behind: kernels without a geometry library.

The exact twin is leading_exact.py. The broad phase is by boxes (see geometry/segments.py); what has not moved since
the last look is where it was; ties of several objects that overlap the car are broken as the twin's tree breaks them.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.experts.paths import pose_at
from simscale.geometry.segments import Segments, box_off_box, nearest_along, rings_off_box
from simscale.geometry.tree_order import tree_order

Array = np.ndarray


class Lines(NamedTuple):
    """Paths `q` as kernels take them."""

    pose: Array  # [q n 3] x, y, yaw
    station: Array  # [q n]
    segments: Segments  # a group a path, n - 1 segments each
    corridor: Segments  # a group a path: rings of what the car may sweep


class Objects(NamedTuple):
    """Forecast boxes `a` at `t` samples, then red lanes `l`."""

    centre: Array  # [a t 2]
    yaw: Array  # [a t]
    half: Array  # [a 2]
    speed: Array  # [a t]
    red: Segments  # a group a red lane
    red_middle: Array  # [l 2] centroid
    red_bounds: Array  # [l 4]


class Car(NamedTuple):
    """Dimensions of the ego, m."""

    half_length: float
    half_width: float
    rear_axle_to_centre: float


class Driver(NamedTuple):
    """Constants of the driver model; see `PdmClosedRules`."""

    min_gap: float
    headway: float
    accel_max: float
    decel_max: float
    exponent: float
    lead_every: int
    dt: float


class Seen(NamedTuple):
    """What is known of each object on one path at one sample."""

    inside: Array  # [a + l] touches the corridor
    middle: Array  # [a + l] station of its centroid along the path


@njit(cache=True)
@no_type_check
def _box_of(objects, a, sample):
    yaw = objects.yaw[a, sample]
    x, y = objects.centre[a, sample, 0], objects.centre[a, sample, 1]
    return x, y, np.cos(yaw), np.sin(yaw), objects.half[a, 0], objects.half[a, 1]


@njit(cache=True)
@no_type_check
def _station_on(station, segments, q, x, y):
    """Arc length of the first point of a path that is nearest to a point."""
    i, share = nearest_along(segments, q, x, y)
    i -= q * (station.shape[1] - 1)
    return station[q, i] + share * (station[q, i + 1] - station[q, i])


@njit(cache=True)
@no_type_check
def start_stations(station, segments, x, y):
    """Where each path is nearest to a point; `station [q n]`, a group of `segments` a path."""
    found = np.empty(len(station))
    for q in range(len(found)):
        found[q] = _station_on(station, segments, q, x, y)
    return found


@njit(cache=True)
@no_type_check
def _ring_meets_corridor(lines, q, red, m):
    """Whether a red lane touches a corridor: their edges meet, or one lies in the other."""
    for c in range(red.group[m], red.group[m + 1]):
        for i in range(red.run[c], red.run[c + 1]):
            dx, dy = red.ends[i, 2] - red.ends[i, 0], red.ends[i, 3] - red.ends[i, 1]
            length = np.hypot(dx, dy)
            if length > 0.0:
                x, y = (red.ends[i, 0] + red.ends[i, 2]) / 2, (red.ends[i, 1] + red.ends[i, 3]) / 2
                edge = (x, y, dx / length, dy / length, length / 2, 0.0)  # a box without width
                if rings_off_box(lines.corridor, q, edge, 0.0) == 0.0:
                    return True
    if lines.corridor.group[q + 1] == lines.corridor.group[q]:
        return False
    first = lines.corridor.run[lines.corridor.group[q]]
    point = (lines.corridor.ends[first, 0], lines.corridor.ends[first, 1], 1.0, 0.0, 0.0, 0.0)
    return rings_off_box(red, m, point, 0.0) == 0.0


@njit(cache=True)
@no_type_check
def _look(lines, q, objects, sample, before, seen):
    """Brings `seen` from sample `before` (-1 for none) to `sample`."""
    agents = len(objects.half)
    for a in range(agents):
        if before >= 0 and (
            objects.centre[a, sample, 0] == objects.centre[a, before, 0]
            and objects.centre[a, sample, 1] == objects.centre[a, before, 1]
            and objects.yaw[a, sample] == objects.yaw[a, before]
        ):
            continue
        box = _box_of(objects, a, sample)
        seen.inside[a] = rings_off_box(lines.corridor, q, box, 0.0) == 0.0
        if seen.inside[a]:
            seen.middle[a] = _station_on(lines.station, lines.segments, q, box[0], box[1])
    if before < 0:
        for m in range(len(objects.red_middle)):
            seen.inside[agents + m] = _ring_meets_corridor(lines, q, objects.red, m)
            seen.middle[agents + m] = _station_on(
                lines.station, lines.segments, q, objects.red_middle[m, 0], objects.red_middle[m, 1]
            )


@njit(cache=True)
@no_type_check
def _ranks(objects, sample):
    """Ranks of boxes and red lanes in the answers of the reference's tree at a sample."""
    agents = len(objects.half)
    bounds = np.empty((agents + len(objects.red_bounds), 4))
    for a in range(agents):
        x, y, c, s, half_length, half_width = _box_of(objects, a, sample)
        wide = half_length * abs(c) + half_width * abs(s)
        high = half_length * abs(s) + half_width * abs(c)
        bounds[a, 0], bounds[a, 1], bounds[a, 2], bounds[a, 3] = x - wide, y - high, x + wide, y + high
    for m in range(len(objects.red_bounds)):
        for side in range(4):
            bounds[agents + m, side] = objects.red_bounds[m, side]
    return tree_order(bounds)


@njit(cache=True)
@no_type_check
def _nearest(objects, sample, ego, station, seen):
    """The object ahead that is nearest to the ego's box (-1 for none), and its distance."""
    agents = len(objects.half)
    rank = np.empty(0, np.int64)
    best, nearest = np.inf, -1
    for o in range(len(seen.inside)):
        if not seen.inside[o] or not seen.middle[o] > station:
            continue
        if o < agents:
            squared = box_off_box(ego, _box_of(objects, o, sample))
        else:
            squared = rings_off_box(objects.red, o - agents, ego, best)
        if squared < best:
            best, nearest = squared, o
        elif squared == best and nearest >= 0:
            if len(rank) == 0:
                rank = _ranks(objects, sample)
            if rank[o] < rank[nearest]:
                nearest = o
    return nearest, np.sqrt(best)


@njit(cache=True)
@no_type_check
def _acceleration(v, station, lead, i, step, target, driver):
    """The intelligent driver model (`IDMPolicy` of the reference)."""
    closing = v * (v - lead[i, step, 1]) / (2 * np.sqrt(driver.accel_max * driver.decel_max))
    wanted = driver.min_gap + driver.headway * v + closing
    gap = max(lead[i, step, 0] - station - lead[i, step, 2], driver.min_gap)
    accel = driver.accel_max * (1 - (v / target) ** driver.exponent - (wanted / gap) ** 2)
    return min(max(accel, -driver.decel_max), driver.accel_max)


@njit(cache=True)
@no_type_check
def drive_path(lines, q, objects, car, driver, targets, done, station, speed, lead):
    """Drives the proposals of path `q` on from sample `done`; writes `station`, `speed [v t]` and `lead [v t 3]`."""
    samples = objects.yaw.shape[1]
    count = len(objects.half) + len(objects.red_middle)
    seen = Seen(np.zeros(count, np.bool_), np.zeros(count))
    before = -1
    shared = np.zeros(3)
    for step in range(done + 1, station.shape[1]):
        looks = step % driver.lead_every == 0
        if looks:
            sample = min(step, samples - 1)
            _look(lines, q, objects, sample, before, seen)
            before = sample
            shared[0], shared[1], shared[2] = 0.0, 0.0, 0.0
        for i in range(len(targets)):
            last = station[i, step - 1]
            if looks:
                _lead(lines, q, objects, sample, car, last, seen, shared)
            for part in range(3):
                lead[i, step, part] = shared[part] if looks else lead[i, step - 1, part]
            v = speed[i, step - 1]
            station[i, step] = last + driver.dt * v
            speed[i, step] = v + driver.dt * _acceleration(v, last, lead, i, step, targets[i], driver)


@njit(cache=True)
@no_type_check
def _lead(lines, q, objects, sample, car, station, seen, shared):
    """Writes the leading object of one proposal over that of the proposal before it."""
    x, y, yaw = pose_at(lines.pose[q], lines.station[q], station)
    ax, ay = np.cos(yaw), np.sin(yaw)
    to_centre = car.rear_axle_to_centre
    ego = (x + to_centre * ax, y + to_centre * ay, ax, ay, car.half_length, car.half_width)
    nearest, distance = _nearest(objects, sample, ego, station, seen)
    if nearest < 0:
        shared[0], shared[2] = lines.station[q, -1], car.half_length
        return
    shared[0], shared[2] = station + distance, 0.0
    if nearest < len(objects.half):
        shared[1] = objects.speed[nearest, sample] * np.cos(objects.yaw[nearest, sample] - yaw)
