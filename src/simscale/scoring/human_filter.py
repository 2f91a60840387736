"""Human filter: nobody is blamed for what the human driver of the log failed as well.

Two of them are in use. The *fixed* one changes sub-scores and, with them, the score. The *legacy* one, which the
reference had until 359c7f7 (2025-09-29) and SimScale's fork and published tables have, changes the sub-scores that are
shown; the score still comes from the unfiltered ones.
"""

from dataclasses import replace

import numpy as np

from simscale.scoring.rules import ScoringRules
from simscale.scoring.scores import Scores, total_of

Array = np.ndarray

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
FILTERS = ("fixed", "legacy")


def human_filtered(scores: Scores, human: Scores, rules: ScoringRules) -> Scores:
    """Sub-scores become 1 where the human's is 0; multiplier and total follow.

    QUIRK Q9: only an exact 0 of the human counts, 0.5 does not (`pdm_score.py` of NAVSIM since 359c7f7).

    Args:
        scores: Scores [k] of drives at one decision point.
        human: Scores [1] of the human's own drive there, simulated and scored alone (without history).
        rules: For the weights.
    """
    fixed = _filtered(scores, human)
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


def human_filtered_legacy(scores: Scores, human: Scores) -> Scores:
    """Sub-scores become 1 where the human's is 0; multiplier and total stay as they were.

    QUIRK Q9 (bug #151 of NAVSIM, kept by SimScale's fork): what a benchmark counts is made from the unfiltered
    sub-scores. The total, which no benchmark counts, becomes 1 where the human's is 0.

    Args:
        scores: Scores [k] of drives at one decision point.
        human: As for `human_filtered`.
    """
    return replace(scores, **_filtered(scores, human), total=np.where(human.total == 0.0, 1.0, scores.total))


def _filtered(scores: Scores, human: Scores) -> dict[str, Array]:
    return {name: np.where(getattr(human, name) == 0.0, 1.0, getattr(scores, name)) for name in SUB_SCORES}
