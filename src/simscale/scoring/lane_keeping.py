"""Lane keeping (LK): not longer than two seconds away from the centre line, junctions left out."""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def first_lane_loss(
    deviation: Float[Array, "k t"], in_intersection: Bool[Array, "k t"], rules: ScoringRules
) -> Int[Array, " k"]:
    """Sample at which the centre has been too far from the centre line too long; -1 for never.

    Samples in a junction are skipped: they neither count nor start the count anew
    (`_calculate_lane_keeping` of NAVSIM).
    """
    away = np.abs(deviation) > rules.lane_keeping_deviation
    return _first_long_run(away, in_intersection, rules.lane_keeping_samples)


@njit(cache=True)
@no_type_check
def _first_long_run(away, skipped, enough):
    rollouts, samples = away.shape
    first = np.full(rollouts, -1, np.int64)
    for k in range(rollouts):
        count = 0
        for t in range(samples):
            if skipped[k, t]:
                continue
            count = count + 1 if away[k, t] else 0
            if count >= enough:
                first[k] = t
                break
    return first
