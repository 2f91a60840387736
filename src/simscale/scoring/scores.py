"""Scores: how good drives were, where each of them first went wrong, and how sub-scores make the total.

`total = NC * DAC * DDC * TLC * (5 EP + 5 TTC + 2 LK + 2 HC) / 14` (`PDMScorer._aggregate_scores` of NAVSIM v2,
extended comfort left out).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.scoring.rules import ScoringRules

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class FirstFailures:
    """First sample (0 is now) at which a drive fails a sub-score; -1 where it never does."""

    collision: Int[Array, "*b"]  # at fault
    off_road: Int[Array, "*b"]
    oncoming: Int[Array, "*b"]
    red_light: Int[Array, "*b"]
    time_to_collision: Int[Array, "*b"]
    lane_keeping: Int[Array, "*b"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """EPDMS sub-scores in [0, 1]; without extended comfort, which needs two decision points."""

    no_at_fault_collision: Float[Array, "*b"]
    drivable_area: Float[Array, "*b"]
    driving_direction: Float[Array, "*b"]
    traffic_light: Float[Array, "*b"]
    progress: Float[Array, "*b"]
    time_to_collision: Float[Array, "*b"]
    lane_keeping: Float[Array, "*b"]
    history_comfort: Float[Array, "*b"]
    total: Float[Array, "*b"]
    multiplier: Float[Array, "*b"]  # product of the first four
    progress_m: Float[Array, "*b"]  # along the centre line, m
    first: FirstFailures


def total_of(
    multiplier: Float[Array, "*b"],
    progress: Float[Array, "*b"],
    time_to_collision: Float[Array, "*b"],
    lane_keeping: Float[Array, "*b"],
    history_comfort: Float[Array, "*b"],
    rules: ScoringRules,
) -> Float[Array, "*b"]:
    """The total in [0, 1] of sub-scores."""
    weighted = (
        rules.progress_weight * progress
        + rules.ttc_weight * time_to_collision
        + rules.lane_keeping_weight * lane_keeping
        + rules.history_comfort_weight * history_comfort
    )
    weight = rules.progress_weight + rules.ttc_weight + rules.lane_keeping_weight + rules.history_comfort_weight
    return multiplier * weighted / weight
