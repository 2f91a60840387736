"""Whole drives of NAVSIM's reactive vehicles in compiled loops: takes the decisions of `Street`, Shapely's twin.

Rows are the drivers in the order in which they are stepped, then the ego. Within a step, who comes later sees where the
earlier ones already are. A footprint is drawn again only when its vehicle has moved or changed its speed.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.geometry.boxes import boxes_overlap
from simscale.traffic.idm_parity_gap import (
    BOX,
    LENGTH,
    STRIP,
    TARGET_SPEED,
    TOUCH,
    WIDTH,
    bound,
    corridor_meets,
    gap_between,
)
from simscale.traffic.idm_parity_ring import STATION, box_ring, path_piece, pose_at, strip_ring

# Columns of the state of drivers and ego.
STATE_X, STATE_Y, STATE_YAW, SPEED, PROGRESS = range(5)


class Driving(NamedTuple):
    """How everybody drives, and the size of the ego's box."""

    min_gap: float  # m
    headway: float  # s
    accel: float  # m/s^2
    decel: float  # m/s^2
    exponent: float
    radius: float  # m
    dt: float  # s
    ego_length: float  # m
    ego_width: float  # m


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
def _place(lanes, i, state):
    """Sets the pose of driver `i` to that at its station, held at its path's end."""
    begin, end = lanes.start[i, 0], lanes.start[i + 1, 0]
    x, y, yaw = pose_at(lanes.path, begin, end, state[i, PROGRESS])
    state[i, STATE_X], state[i, STATE_Y], state[i, STATE_YAW] = x, y, yaw


@njit(cache=True)
@no_type_check
def _show_box(seen, i, poses, length, width):
    """Shows row `i` as a box alone."""
    seen.edges[i, STRIP] = 0
    seen.edges[i, BOX] = box_ring(poses[i, 0], poses[i, 1], poses[i, 2], length, width, seen.ring[i, BOX])
    bound(seen, i)


@njit(cache=True)
@no_type_check
def _sweep(lanes, i, state, ahead, seen):
    """Shows what driver `i` covers: its box, and the strip from its rear bumper to `ahead` of the front one."""
    begin, end = lanes.start[i, 0], lanes.start[i + 1, 0]
    length, width = lanes.driver[i, LENGTH], lanes.driver[i, WIDTH]
    low, high = lanes.path[begin, STATION], lanes.path[end - 1, STATION]
    seen.edges[i, BOX] = box_ring(
        state[i, STATE_X], state[i, STATE_Y], state[i, STATE_YAW], length, width, seen.ring[i, BOX]
    )
    first = min(max(state[i, PROGRESS] - length / 2, low), high)
    last = min(max(state[i, PROGRESS] + length / 2 + ahead, low), high)
    middle = seen.ring[len(seen.ring) - 1, BOX]
    count = path_piece(lanes.path, begin, end, first, last, middle)
    seen.edges[i, STRIP] = strip_ring(middle, count, width / 2, seen.ring[i, STRIP])
    bound(seen, i)


@njit(cache=True)
@no_type_check
def _first_of_equals(seen, j, other):
    """Whether `j` leads rather than `other`, where both are equally near, mostly because both overlap the driver.

    QUIRK: the first in the leaf of GEOS's tree of the touched footprints leads: the one whose bounds' middle is lowest,
    then leftmost. Exact for up to ten touched ones, which are one leaf.
    """
    b = seen.bounds
    for axis in range(1, -1, -1):
        mine = min(b[j, 0, axis], b[j, 1, axis]) + max(b[j, 0, 2 + axis], b[j, 1, 2 + axis])
        its = min(b[other, 0, axis], b[other, 1, axis]) + max(b[other, 0, 2 + axis], b[other, 1, 2 + axis])
        if mine != its:
            return mine < its
    return False


@njit(cache=True)
@no_type_check
def _lead(lanes, i, state, seen):
    """Gap of driver `i` to the nearest of all that its corridor touches, and that one's speed along `i`'s heading.

    QUIRK (Q6): with nobody there, the end of the lane is a standing car, half a length nearer.
    """
    lead, best = -1, np.inf
    for j in range(len(state)):
        if j == i or not seen.there[j] or not corridor_meets(lanes, i, state[i, PROGRESS], seen, j):
            continue
        gap = gap_between(seen, i, j, best * (1.0 + 1e-12) + 4.0 * TOUCH * TOUCH)
        if lead < 0 or gap < best or (gap == best and _first_of_equals(seen, j, lead)):
            lead, best = j, gap
    if lead < 0:
        end = lanes.path[lanes.start[i + 1, 0] - 1, STATION]
        return end - state[i, PROGRESS] - lanes.driver[i, LENGTH] / 2, 0.0
    return np.sqrt(best), state[lead, SPEED] * np.cos(state[lead, STATE_YAW] - state[i, STATE_YAW])


@njit(cache=True)
@no_type_check
def _begin(lanes, driving, begin, snapped, state, seen):
    """Puts the drivers where they are; where `snapped` has their poses, others see boxes at these."""
    for i in range(len(begin)):
        state[i, PROGRESS], state[i, SPEED], seen.there[i] = begin[i, 0], begin[i, 1], begin[i, 2] > 0.0
        _place(lanes, i, state)
        if len(snapped) > 0:
            _show_box(seen, i, snapped, lanes.driver[i, LENGTH], lanes.driver[i, WIDTH])
        else:
            _sweep(lanes, i, state, state[i, SPEED] * driving.headway, seen)


@njit(cache=True)
@no_type_check
def _look(driving, ego, t, state, seen):
    """Shows the ego as it is at sample `t`, and takes out for good whoever is too far from it."""
    last = len(state) - 1
    for column in range(4):
        state[last, column] = ego[t, column]
    # QUIRK (Q7): the centre of the ego's box is put onto the rear axle.
    _show_box(seen, last, state, driving.ego_length, driving.ego_width)
    for i in range(last):
        away = np.hypot(state[i, STATE_X] - ego[t, STATE_X], state[i, STATE_Y] - ego[t, STATE_Y])
        seen.there[i] = seen.there[i] and away <= driving.radius


@njit(cache=True)
@no_type_check
def _step(lanes, driving, swept, state, seen):
    """Drives all on by one sample: Euler, the station by the old speed, and no speed below zero."""
    for i in range(len(state) - 1):
        if not seen.there[i]:
            continue
        gap, lead_speed = _lead(lanes, i, state, seen)
        before = state[i, SPEED]
        change = idm_acceleration(before, lanes.driver[i, TARGET_SPEED], gap, lead_speed, driving)
        state[i, PROGRESS] += driving.dt * before
        state[i, SPEED] = max(before + driving.dt * change, 0.0)
        if before > 0.0:
            _place(lanes, i, state)
        if before > 0.0 or state[i, SPEED] > 0.0 or not swept:
            _sweep(lanes, i, state, state[i, SPEED] * driving.headway, seen)


@njit(cache=True)
@no_type_check
def roll_batch(lanes, driving, ego, begin, snapped, state, seen, driven):
    """Fills `driven`, drive by drive.

    Args:
        lanes: `Lanes` of n drivers.
        driving: `Driving`.
        ego: [k t 4] x, y, yaw, speed.
        begin: [k n 3] station, speed and presence (0 or 1) at sample 0.
        snapped: [n 3] poses of the boxes that are seen before the first step; [0 3]: footprints are seen at once.
        state: [n+1 5] room.
        seen: Room for n + 2 rows, the first n + 1 of which are there.
        driven: [k n t 3] station, speed and presence.
    """
    for k in range(ego.shape[0]):
        _begin(lanes, driving, begin[k], snapped, state, seen)
        for t in range(ego.shape[1]):
            if t > 0:
                _look(driving, ego[k], t - 1, state, seen)
                _step(lanes, driving, t > 1 or len(snapped) == 0, state, seen)
            for i in range(begin.shape[1]):
                driven[k, i, t, 0], driven[k, i, t, 1] = state[i, PROGRESS], state[i, SPEED]
                driven[k, i, t, 2] = 1.0 if seen.there[i] else 0.0


@njit(cache=True)
@no_type_check
def poses_along(lanes, progress, poses):
    """Fills `poses` `[k n t 3]` with x, y and unwrapped yaw at the stations `progress` `[k n t]`."""
    for k in range(progress.shape[0]):
        for i in range(progress.shape[1]):
            begin, end = lanes.start[i, 0], lanes.start[i + 1, 0]
            for t in range(progress.shape[2]):
                x, y, yaw = pose_at(lanes.path, begin, end, progress[k, i, t])
                poses[k, i, t, 0], poses[k, i, t, 1], poses[k, i, t, 2] = x, y, yaw


@njit(cache=True)
@no_type_check
def clear_of_others(lanes, poses, present, parked, free):
    """Fills `free` `[k p t]`: which parked cars touch no driver and none of those before them that are shown.

    `parked` is [p 5]: x, y, yaw, length, width.
    """
    for k in range(free.shape[0]):
        for t in range(free.shape[2]):
            for p in range(free.shape[1]):
                x, y, yaw, length, width = parked[p, 0], parked[p, 1], parked[p, 2], parked[p, 3], parked[p, 4]
                free[k, p, t] = True
                for i in range(poses.shape[1]):
                    if present[k, i, t] and boxes_overlap(
                        x, y, yaw, length, width,
                        poses[k, i, t, 0], poses[k, i, t, 1], poses[k, i, t, 2],
                        lanes.driver[i, LENGTH], lanes.driver[i, WIDTH],
                    ):  # fmt: skip
                        free[k, p, t] = False
                for q in range(p):
                    if free[k, q, t] and boxes_overlap(
                        x, y, yaw, length, width,
                        parked[q, 0], parked[q, 1], parked[q, 2], parked[q, 3], parked[q, 4],
                    ):  # fmt: skip
                        free[k, p, t] = False
