"""Driving direction compliance (DDC): how far the ego drives on oncoming lanes within one second."""

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

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
    moved = np.zeros(ego.speed.shape)
    step = np.diff(ego.centre, axis=1)
    moved[:, 1:] = np.hypot(step[..., 0], step[..., 1])
    moved[~areas.oncoming | areas.in_intersection] = 0.0
    before = np.pad(moved, ((0, 0), (rules.oncoming_window, 0)))
    within = sliding_window_view(before, rules.oncoming_window + 1, axis=1).sum(axis=-1)
    worst = within.max(axis=1)
    score = np.where(worst < rules.oncoming_minor, 1.0, np.where(worst < rules.oncoming_major, 0.5, 0.0))
    wrong = within >= rules.oncoming_minor
    return score, np.where(wrong.any(axis=1), np.argmax(wrong, axis=1), -1)
