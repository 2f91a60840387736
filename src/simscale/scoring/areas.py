"""Where on the road the ego is at each sample: across lanes, off the road, against the traffic, in a junction."""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool
from numba import njit

from simscale.scoring.boxes import EgoBoxes
from simscale.scoring.ring_index import cell_at, ring_holds
from simscale.scoring.surroundings import Surroundings

Array = np.ndarray

FRONT_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
LEFT_SIGN = np.array([1.0, 1.0, -1.0, -1.0])


@dataclass(frozen=True, kw_only=True)
class EgoAreas:
    """`_calculate_ego_areas` of NAVSIM's scorer."""

    multiple_lanes: Bool[Array, "k t"]  # corners in several lanes, and no lane holds the whole car
    non_drivable: Bool[Array, "k t"]  # some corner on no drivable polygon
    oncoming: Bool[Array, "k t"]  # the centre on no lane of the route
    in_intersection: Bool[Array, "k t"]  # the centre
    rear_in_intersection: Bool[Array, "k t"]  # the rear axle


def ego_areas(ego: EgoBoxes, around: Surroundings) -> EgoAreas:
    """Areas at every sample of `ego`, whose frame is that of `around`."""
    found = _areas(ego, around.rings, around.lane, around.drivable, around.on_route, around.intersection)
    return EgoAreas(
        multiple_lanes=found[0],
        non_drivable=found[1],
        oncoming=found[2],
        in_intersection=found[3],
        rear_in_intersection=found[4],
    )


@njit(cache=True)
@no_type_check
def _held(rings, wanted, x, y):
    """Whether any wanted polygon holds the point."""
    cell = cell_at(rings, x, y)
    if cell < 0:
        return False
    for entry in range(rings.ring_of_cell[cell], rings.ring_of_cell[cell + 1]):
        m = rings.ring[entry]
        if wanted[m] and ring_holds(rings, m, x, y):
            return True
    return False


@njit(cache=True)
@no_type_check
def _count_corner(rings, lane, drivable, x, y, corners_in, touched, lanes):
    """Adds a corner to the lanes that hold it; returns how many lanes hold any, and whether it is on the road."""
    on_road = False
    cell = cell_at(rings, x, y)
    if cell < 0:
        return lanes, on_road
    for entry in range(rings.ring_of_cell[cell], rings.ring_of_cell[cell + 1]):
        m = rings.ring[entry]
        asked = lane[m] or (drivable[m] and not on_road)
        if not asked or not ring_holds(rings, m, x, y):
            continue
        on_road = on_road or drivable[m]
        if lane[m]:
            if corners_in[m] == 0:
                touched[lanes] = m
                lanes += 1
            corners_in[m] += 1
    return lanes, on_road


@njit(cache=True)
@no_type_check
def _areas(ego, rings, lane, drivable, on_route, intersection):
    rollouts, samples = ego.speed.shape
    found = np.zeros((5, rollouts, samples), dtype=np.bool_)
    corners_in = np.zeros(len(lane), np.int64)  # of the present sample, by polygon
    touched = np.empty(len(lane), np.int64)
    for k in range(rollouts):
        for t in range(samples):
            cx, cy = ego.centre[k, t, 0], ego.centre[k, t, 1]
            ax, ay = ego.axis[k, t, 0], ego.axis[k, t, 1]
            lanes, off_road, whole = 0, False, False
            for corner in range(4):
                front, left = FRONT_SIGN[corner] * ego.half_length, LEFT_SIGN[corner] * ego.half_width
                x, y = cx + front * ax - left * ay, cy + front * ay + left * ax
                lanes, on_road = _count_corner(rings, lane, drivable, x, y, corners_in, touched, lanes)
                off_road = off_road or not on_road
            for i in range(lanes):
                whole = whole or corners_in[touched[i]] == 4
                corners_in[touched[i]] = 0
            found[0, k, t] = lanes > 1 and not whole
            found[1, k, t] = off_road
            found[2, k, t] = not _held(rings, on_route, cx, cy)
            found[3, k, t] = _held(rings, intersection, cx, cy)
            found[4, k, t] = _held(rings, intersection, ego.rear[k, t, 0], ego.rear[k, t, 1])
    return found
