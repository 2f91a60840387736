"""Traffic light compliance (TLC): the ego's box must not touch a connector while its light is red.

The start counts as well, also for a car that already stands inside (`_calculate_traffic_light_compliance`).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Int
from numba import njit

from simscale.scoring.boxes import EgoBoxes, segment_meets_box
from simscale.scoring.ring_index import UNCOUNTED, ring_holds, slab_at
from simscale.scoring.surroundings import Surroundings

Array = np.ndarray


def first_red_light(ego: EgoBoxes, around: Surroundings) -> Int[Array, " k"]:
    """First sample at which each rollout touches a red connector; -1 for none."""
    return _red_lights(ego, around.red_rings, around.red)


@njit(**UNCOUNTED)
@no_type_check
def _box_meets_ring(ego, k, t, rings, m):
    cx, cy, ax, ay = ego.centre[k, t, 0], ego.centre[k, t, 1], ego.axis[k, t, 0], ego.axis[k, t, 1]
    reach = ego.half_length + ego.half_width
    bounds = rings.bounds
    if cx + reach < bounds[m, 0] or cx - reach > bounds[m, 2]:
        return False
    if cy + reach < bounds[m, 1] or cy - reach > bounds[m, 3]:
        return False
    if ring_holds(rings, m, cx, cy):
        return True
    along, across, low = (cx, cy, bounds[m, 0]) if rings.wide[m] else (cy, cx, bounds[m, 1])
    turn_along, turn_across = (ax, ay) if rings.wide[m] else (ay, ax)
    slabs = rings.slab_of_ring[m + 1] - rings.slab_of_ring[m]
    first = slab_at(along - reach, low, rings.slabs_per_m[m], slabs)
    last = slab_at(along + reach, low, rings.slabs_per_m[m], slabs)
    slab = rings.slab_of_ring[m]
    for e in range(rings.edge_of_slab[slab + first], rings.edge_of_slab[slab + last + 1]):
        u0, v0, u1, v1 = (
            rings.edge[e, 0] - across,
            rings.edge[e, 1] - along,
            rings.edge[e, 2] - across,
            rings.edge[e, 3] - along,
        )
        # In the box's frame; exchanging x and y mirrors it, which leaves the box what it is.
        if segment_meets_box(
            v0 * turn_along + u0 * turn_across,
            u0 * turn_along - v0 * turn_across,
            v1 * turn_along + u1 * turn_across,
            u1 * turn_along - v1 * turn_across,
            ego.half_length,
            ego.half_width,
        ):
            return True
    return False


@njit(cache=True)
@no_type_check
def _red_lights(ego, rings, red):
    rollouts, samples = ego.speed.shape
    first = np.full(rollouts, -1, np.int64)
    for k in range(rollouts):
        for t in range(min(samples, red.shape[1])):
            for m in range(red.shape[0]):
                if red[m, t] and _box_meets_ring(ego, k, t, rings, m):
                    first[k] = t
                    break
            if first[k] >= 0:
                break
    return first
