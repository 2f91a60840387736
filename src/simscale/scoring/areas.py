"""Where on the road the ego is at each sample: across lanes, off the road, against the traffic, in a junction."""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool
from numba import njit

from simscale.scoring.boxes import EgoBoxes
from simscale.scoring.ring_index import UNCOUNTED, ring_holds
from simscale.scoring.road_grid import DRIVABLE, INTERSECTION, LANE, ON_ROUTE, SOME_LANES, cell_at, is_on
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
    found = _areas(ego, around.grid)
    return EgoAreas(
        multiple_lanes=found[0],
        non_drivable=found[1],
        oncoming=found[2],
        in_intersection=found[3],
        rear_in_intersection=found[4],
    )


@njit(cache=True)
@no_type_check
def _areas(ego, grid):
    rollouts, samples = ego.speed.shape
    found = np.empty((5, rollouts, samples), dtype=np.bool_)
    x, y, cell = np.empty(4), np.empty(4), np.empty(4, np.int64)  # corners
    corners_in = np.zeros(len(grid.meaning), np.int64)
    touched = np.empty(len(grid.meaning), np.int64)
    for k in range(rollouts):
        for t in range(samples):
            cx, cy = ego.centre[k, t, 0], ego.centre[k, t, 1]
            ax, ay = ego.axis[k, t, 0], ego.axis[k, t, 1]
            off_road = False
            for corner in range(4):
                front, left = FRONT_SIGN[corner] * ego.half_length, LEFT_SIGN[corner] * ego.half_width
                x[corner], y[corner] = cx + front * ax - left * ay, cy + front * ay + left * ax
                cell[corner] = cell_at(grid, x[corner], y[corner])
                off_road = off_road or not is_on(grid, DRIVABLE, cell[corner], x[corner], y[corner])
            found[0, k, t] = _is_across_lanes(grid, x, y, cell, corners_in, touched)
            found[1, k, t] = off_road
            here = cell_at(grid, cx, cy)
            found[2, k, t] = not is_on(grid, ON_ROUTE, here, cx, cy)
            found[3, k, t] = is_on(grid, INTERSECTION, here, cx, cy)
            rear_x, rear_y = ego.rear[k, t, 0], ego.rear[k, t, 1]
            found[4, k, t] = is_on(grid, INTERSECTION, cell_at(grid, rear_x, rear_y), rear_x, rear_y)
    return found


@njit(**UNCOUNTED)
@no_type_check
def _is_across_lanes(grid, x, y, cell, corners_in, touched):
    """Whether several lanes hold corners and none holds all four; `corners_in` is 0 for each lane, and stays so."""
    if min(min(cell[0], cell[1]), min(cell[2], cell[3])) >= 0:
        lane = grid.lane[cell[0]]
        alike = grid.lane[cell[1]] == lane and grid.lane[cell[2]] == lane and grid.lane[cell[3]] == lane
        if alike and lane != SOME_LANES:
            return False  # one lane holds all, or none any
    lanes, whole = 0, False
    for corner in range(4):
        lanes = _count_corner(grid, x[corner], y[corner], cell[corner], corners_in, touched, lanes)
    for i in range(lanes):
        whole = whole or corners_in[touched[i]] == 4
        corners_in[touched[i]] = 0
    return lanes > 1 and not whole


@njit(**UNCOUNTED)
@no_type_check
def _count_corner(grid, x, y, cell, corners_in, touched, lanes):
    """Adds a corner to each lane that holds it; returns how many lanes have been touched."""
    beyond = cell < 0
    first, last = (0, len(grid.meaning)) if beyond else (grid.entry_of_cell[cell], grid.entry_of_cell[cell + 1])
    for e in range(first, last):
        m = e if beyond else grid.ring[e]
        if not grid.meaning[m] & LANE:
            continue
        if (not beyond and grid.covers[e]) or ring_holds(grid.rings, m, x, y):
            if corners_in[m] == 0:
                touched[lanes] = m
                lanes += 1
            corners_in[m] += 1
    return lanes
