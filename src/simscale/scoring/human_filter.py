"""Human filter: nobody is blamed for what the human driver of the log failed as well."""

from dataclasses import replace

import numpy as np

from simscale.scoring.rules import ScoringRules
from simscale.scoring.scores import Scores, total_of

SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "traffic_light",
    "progress",
    "time_to_collision",
    "lane_keeping",
    "history_comfort",
)


def human_filtered(scores: Scores, human: Scores, rules: ScoringRules) -> Scores:
    """Sub-scores become 1 where the human's is 0; multiplier and total follow.

    QUIRK Q9: only an exact 0 of the human counts, 0.5 does not (`pdm_score.py` of NAVSIM since 359c7f7).

    Args:
        scores: Scores [k] of drives at one decision point.
        human: Scores [1] of the human's own drive there, simulated and scored alone (without history).
        rules: For the weights.
    """
    fixed = {name: np.where(getattr(human, name) == 0.0, 1.0, getattr(scores, name)) for name in SUB_SCORES}
    multiplier = (
        fixed["no_at_fault_collision"] * fixed["drivable_area"] * fixed["driving_direction"] * fixed["traffic_light"]
    )
    total = total_of(
        multiplier,
        fixed["progress"],
        fixed["time_to_collision"],
        fixed["lane_keeping"],
        fixed["history_comfort"],
        rules,
    )
    return replace(scores, **fixed, multiplier=multiplier, total=total)
