"""Whole drives of NAVSIM's reactive vehicles in compiled loops: takes the decisions of `Street`, Shapely's twin.

Rows are the drivers in the order in which they are stepped, then the ego. Within a step, who comes later sees where the
earlier ones already are. A footprint is drawn again only when its vehicle has moved or changed its speed.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.geometry.boxes import boxes_overlap
from simscale.traffic.idm_parity_gap import Scratch, Seen, bound, corridor_meets, gap_between
from simscale.traffic.idm_parity_ring import (
    STATION,
    YAW,
    X,
    Y,
    box_ring,
    interpolated,
    path_piece,
    strip_ring,
    vertices_needed,
)

Array = np.ndarray


class Driving(NamedTuple):
    """How everybody drives: constants of the rules, and each driver's target speed."""

    min_gap: float  # m
    headway: float  # s
    accel: float  # m/s^2
    decel: float  # m/s^2
    exponent: float
    radius: float  # m
    dt: float  # s
    target_speed: Array  # [n] m/s


class Begin(NamedTuple):
    """Where the drivers are when a batch of drives begins."""

    station: Array  # [k n] m
    speed: Array  # [k n] m/s
    present: Array  # [k n]
    swept: bool  # whether others see footprints from the start on
    snapped: Array  # [n 3] else they see boxes at these poses


class Drive(NamedTuple):
    """What a batch of drives is given."""

    ego: Array  # [k t 4] x, y, yaw, speed
    ego_size: Array  # [2] length, width
    parked: Array  # [p 5] x, y, yaw, length, width
    begin: Begin


class Driven(NamedTuple):
    """What it gives: a row a driver, and for the parked cars whether they touch nobody."""

    progress: Array  # [k n t] m
    speed: Array  # [k n t] m/s
    present: Array  # [k n t]
    free: Array  # [k p t]


@njit(cache=True)
@no_type_check
def idm_acceleration(speed, target_speed, gap, lead_speed, driving):
    """The intelligent driver model (`IDMPolicy.idm_model`), m/s^2, within the limits of the driver."""
    approach = speed * (speed - lead_speed) / (2.0 * np.sqrt(driving.accel * driving.decel))
    wanted = driving.min_gap + driving.headway * speed + approach
    kept = max(gap, driving.min_gap)
    free = 1.0 - (speed / target_speed) ** driving.exponent
    return min(max(driving.accel * (free - (wanted / kept) ** 2), -driving.decel), driving.accel)


@njit(cache=True)
@no_type_check
def _place(lanes, i, station, pose):
    """Pose of driver `i`, held at its path's end."""
    begin, end = lanes.start[i], lanes.start[i + 1]
    pose[i, 0] = interpolated(lanes.path, begin, end, X, station)
    pose[i, 1] = interpolated(lanes.path, begin, end, Y, station)
    pose[i, 2] = interpolated(lanes.path, begin, end, YAW, station)


@njit(cache=True)
@no_type_check
def _show_box(seen, i, pose, length, width):
    """Shows row `i` as a box alone."""
    seen.edges[i, 0] = 0
    seen.edges[i, 1] = box_ring(pose[0], pose[1], pose[2], length, width, seen.ring[i, 1])
    bound(seen, i, 0)
    bound(seen, i, 1)


@njit(cache=True)
@no_type_check
def _sweep(lanes, i, station, pose, ahead, seen, scratch):
    """Shows what driver `i` covers within its headway: its box, and the strip from its rear bumper on."""
    begin, end = lanes.start[i], lanes.start[i + 1]
    length, width = lanes.size[i, 0], lanes.size[i, 1]
    low, high = lanes.path[begin, STATION], lanes.path[end - 1, STATION]
    _show_box(seen, i, pose[i], length, width)
    first = min(max(station - length / 2, low), high)
    last = min(max(station + length / 2 + ahead, low), high)
    count = path_piece(lanes.path, begin, end, first, last, scratch.piece)
    seen.edges[i, 0] = strip_ring(scratch.piece, count, width / 2, seen.ring[i, 0])
    bound(seen, i, 0)


@njit(cache=True)
@no_type_check
def _first_of_equals(seen, j, other):
    """Whether `j` leads rather than `other`, where both are equally near, mostly because both overlap the driver.

    QUIRK: the first in the leaf of GEOS's tree of the touched footprints leads: the one whose bounds' middle is lowest,
    then leftmost. Exact for up to ten touched ones, which are one leaf.
    """
    a, b = seen.bounds[j], seen.bounds[other]
    for low, high in ((1, 3), (0, 2)):
        mine = min(a[0, low], a[1, low]) + max(a[0, high], a[1, high])
        its = min(b[0, low], b[1, low]) + max(b[0, high], b[1, high])
        if mine != its:
            return mine < its
    return False


@njit(cache=True)
@no_type_check
def _lead(lanes, i, station, pose, speed, seen, scratch):
    """Gap of driver `i` to the nearest of all that its corridor touches, and that one's speed along `i`'s heading.

    QUIRK (Q6): with nobody there, the end of the lane is a standing car, half a length nearer.
    """
    lead, best = -1, np.inf
    for j in range(len(seen.there)):
        if j == i or not seen.there[j] or not corridor_meets(lanes, i, station, seen, j, scratch):
            continue
        gap = gap_between(seen, i, j, best * (1.0 + 1e-12) + 1e-18)
        if lead < 0 or gap < best or (gap == best and _first_of_equals(seen, j, lead)):
            lead, best = j, gap
    if lead < 0:
        return lanes.path[lanes.start[i + 1] - 1, STATION] - station - lanes.size[i, 0] / 2, 0.0
    return np.sqrt(best), speed[lead] * np.cos(pose[lead, 2] - pose[i, 2])


@njit(cache=True)
@no_type_check
def _free(lanes, parked, pose, present, free):
    """Which parked cars touch no driver and none of those before them that are shown themselves."""
    for p in range(len(parked)):
        free[p] = True
        x, y, yaw, length, width = parked[p]
        for i in range(len(present)):
            if free[p] and present[i]:
                size = lanes.size[i]
                free[p] = not boxes_overlap(
                    x, y, yaw, length, width, pose[i, 0], pose[i, 1], pose[i, 2], size[0], size[1]
                )
        for q in range(p):
            if free[p] and free[q]:
                other = parked[q]
                free[p] = not boxes_overlap(x, y, yaw, length, width, other[0], other[1], other[2], other[3], other[4])


@njit(cache=True)
@no_type_check
def _begin(lanes, driving, begin, k, station, speed, pose, swept, seen, scratch):
    """Puts the drivers where they are."""
    for i in range(len(station)):
        station[i], speed[i], seen.there[i] = begin.station[k, i], begin.speed[k, i], begin.present[k, i]
        swept[i] = begin.swept
        _place(lanes, i, station[i], pose)
        if swept[i]:
            _sweep(lanes, i, station[i], pose, speed[i] * driving.headway, seen, scratch)
        else:
            _show_box(seen, i, begin.snapped[i], lanes.size[i, 0], lanes.size[i, 1])


@njit(cache=True)
@no_type_check
def _look(drive, k, t, pose, speed, seen, radius):
    """Shows the ego as it is at sample `t`, and takes out for good whoever is too far from it."""
    ego = len(pose) - 1
    pose[ego], speed[ego], seen.there[ego] = drive.ego[k, t, :3], drive.ego[k, t, 3], True
    # QUIRK (Q7): the centre of the ego's box is put onto the rear axle.
    _show_box(seen, ego, pose[ego], drive.ego_size[0], drive.ego_size[1])
    for i in range(ego):
        away = np.hypot(pose[i, 0] - pose[ego, 0], pose[i, 1] - pose[ego, 1])
        seen.there[i] = seen.there[i] and away <= radius


@njit(cache=True)
@no_type_check
def _step(lanes, driving, station, pose, speed, swept, seen, scratch):
    """Drives all on by one sample: Euler, the station by the old speed, and no speed below zero."""
    for i in range(len(station)):
        if not seen.there[i]:
            continue
        gap, lead_speed = _lead(lanes, i, station[i], pose, speed, seen, scratch)
        before = speed[i]
        change = idm_acceleration(before, driving.target_speed[i], gap, lead_speed, driving)
        station[i] += driving.dt * before
        speed[i] = max(before + driving.dt * change, 0.0)
        if before > 0.0:
            _place(lanes, i, station[i], pose)
        if before > 0.0 or speed[i] > 0.0 or not swept[i]:
            _sweep(lanes, i, station[i], pose, speed[i] * driving.headway, seen, scratch)
            swept[i] = True


@njit(cache=True)
@no_type_check
def roll_batch(lanes, driving, drive, driven):
    """Fills `driven`, drive by drive."""
    rows, vertices, longest = len(lanes.size), 8, 2
    for i in range(rows):
        vertices = max(vertices, vertices_needed(lanes.path, lanes.start[i], lanes.start[i + 1]))
        longest = max(longest, lanes.start[i + 1] - lanes.start[i] + 2)
    seen = Seen(
        np.empty((rows + 1, 2, vertices, 2)),
        np.zeros((rows + 1, 2), dtype=np.int64),
        np.empty((rows + 1, 2, 4)),
        np.ones(rows + 1, dtype=np.bool_),
    )
    scratch = Scratch(np.empty((longest, 2)), np.empty((vertices, 2)))
    station, speed, pose = np.empty(rows), np.zeros(rows + 1), np.zeros((rows + 1, 3))
    swept = np.zeros(rows, dtype=np.bool_)
    for k in range(len(drive.ego)):
        _begin(lanes, driving, drive.begin, k, station, speed, pose, swept, seen, scratch)
        for t in range(drive.ego.shape[1]):
            if t > 0:
                _look(drive, k, t - 1, pose, speed, seen, driving.radius)
                _step(lanes, driving, station, pose, speed, swept, seen, scratch)
            for i in range(rows):
                driven.progress[k, i, t], driven.speed[k, i, t] = station[i], speed[i]
                driven.present[k, i, t] = seen.there[i]
            _free(lanes, drive.parked, pose, seen.there[:rows], driven.free[k, :, t])


@njit(cache=True)
@no_type_check
def chunk_bounds(path, begin, end, size, bounds):
    """Fills `bounds` with those of each `size` segments of a path."""
    for c in range(len(bounds)):
        for axis in range(2):
            part = path[begin + c * size : min(begin + (c + 1) * size + 1, end), 1 + axis]
            bounds[c, axis], bounds[c, 2 + axis] = part.min(), part.max()


@njit(cache=True)
@no_type_check
def poses_along(lanes, progress, poses):
    """Fills `poses` `[k n t 3]` with x, y and unwrapped yaw at the stations `progress` `[k n t]`."""
    count, rows, samples = progress.shape
    for i in range(rows):
        begin, end = lanes.start[i], lanes.start[i + 1]
        for k in range(count):
            for t in range(samples):
                station = progress[k, i, t]
                poses[k, i, t, 0] = interpolated(lanes.path, begin, end, X, station)
                poses[k, i, t, 1] = interpolated(lanes.path, begin, end, Y, station)
                poses[k, i, t, 2] = interpolated(lanes.path, begin, end, YAW, station)
