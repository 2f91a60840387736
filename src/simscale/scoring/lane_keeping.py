"""Lane keeping (LK): not longer than two seconds away from the centre line, junctions left out."""

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def first_lane_loss(
    deviation: Float[Array, "k t"], in_intersection: Bool[Array, "k t"], rules: ScoringRules
) -> Int[Array, " k"]:
    """Sample at which the centre has been too far from the centre line too long; -1 for never.

    Samples in a junction are skipped: they neither count nor start the count anew
    (`_calculate_lane_keeping` of NAVSIM).
    """
    rollouts, samples = deviation.shape
    count, first = np.zeros(rollouts, dtype=np.int64), np.full(rollouts, -1)
    for t in range(samples):
        judged = ~in_intersection[:, t]
        away = np.abs(deviation[:, t]) > rules.lane_keeping_deviation
        count = np.where(judged, np.where(away, count + 1, 0), count)
        first[(first < 0) & (count >= rules.lane_keeping_samples)] = t
    return first
