"""Traffic light compliance (TLC): the ego's box must not touch a connector while its light is red.

The start counts as well, also for a car that already stands inside (`_calculate_traffic_light_compliance`).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Int
from numba import njit

from simscale.scoring.boxes import EgoBoxes, segment_meets_box
from simscale.scoring.ring_index import ring_holds
from simscale.scoring.surroundings import Surroundings

Array = np.ndarray


def first_red_light(ego: EgoBoxes, around: Surroundings) -> Int[Array, " k"]:
    """First sample at which each rollout touches a red connector; -1 for none."""
    return _red_lights(ego, around.red_rings, around.red)


@njit(cache=True)
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
    for i in range(rings.start[m], rings.start[m + 1]):
        j = rings.before[i]
        x0, y0, x1, y1 = rings.xy[j, 0] - cx, rings.xy[j, 1] - cy, rings.xy[i, 0] - cx, rings.xy[i, 1] - cy
        if segment_meets_box(
            x0 * ax + y0 * ay, y0 * ax - x0 * ay, x1 * ax + y1 * ay, y1 * ax - x1 * ay, ego.half_length, ego.half_width
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
