"""Driving direction compliance (DDC): how far the ego drives on oncoming lanes within one second."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from simscale.scoring.areas import EgoAreas
from simscale.scoring.boxes import EgoBoxes
from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def driving_direction(
    ego: EgoBoxes, areas: EgoAreas, rules: ScoringRules
) -> tuple[Float[Array, " k"], Int[Array, " k"]]:
    """Score, and the first sample at which it is not 1 any more (-1 for none).

    Distance in a junction does not count (`_calculate_driving_direction_compliance` of NAVSIM).
    """
    counts = areas.oncoming & ~areas.in_intersection
    worst, first = _worst_second(ego.centre, counts, rules.oncoming_window, rules.oncoming_minor)
    return np.where(worst < rules.oncoming_minor, 1.0, np.where(worst < rules.oncoming_major, 0.5, 0.0)), first


@njit(cache=True)
@no_type_check
def _worst_second(centre, counts, window, limit):
    """The longest way within any window of steps, and the first sample where it reaches the limit."""
    rollouts, samples = counts.shape
    worst, first = np.zeros(rollouts), np.full(rollouts, -1, np.int64)
    moved = np.empty(samples)
    for k in range(rollouts):
        total = 0.0
        for t in range(samples):
            moved[t] = 0.0
            if t > 0 and counts[k, t]:
                moved[t] = np.hypot(centre[k, t, 0] - centre[k, t - 1, 0], centre[k, t, 1] - centre[k, t - 1, 1])
            total += moved[t]
        if total == 0.0:
            continue
        for t in range(samples):
            within = 0.0
            for i in range(max(t - window, 0), t + 1):
                within += moved[i]
            worst[k] = max(worst[k], within)
            if within >= limit and first[k] < 0:
                first[k] = t
    return worst, first
