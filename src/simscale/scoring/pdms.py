"""The score of NAVSIM v1 (PDMS), the one before EPDMS: fewer sub-scores, and some of the same name that differ.

`PDMS = NC * DAC * (5 EP + 5 TTC + 2 C) / 12`. What differs from v2, each in one place below: progress counts only
as far as the multipliers let it; comfort looks at the drive alone, at the rear axle, with windows as long as the drive;
driving direction is shown and has no weight; nobody is filtered by the human; no lights, no lane keeping, no extended
comfort (`pdm_scorer.py` and `pdm_comfort_metrics.py` of NAVSIM v1.1).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from simscale.scene import CarState, EgoVehicle, Tracks
from simscale.scoring.areas import ego_areas
from simscale.scoring.boxes import ego_boxes
from simscale.scoring.comfort import ComfortSignals, smoothed, within_limits
from simscale.scoring.driving_direction import driving_direction
from simscale.scoring.epdms import score
from simscale.scoring.rules import PARITY, ScoringRules
from simscale.scoring.surroundings import Surroundings

Array = np.ndarray

SAMPLES = 50
"""Samples of the others that v1 looks at: time-to-collision is tested to the end of the drive, and sees 0.9 s on."""


@dataclass(frozen=True, kw_only=True)
class PdmsScores:
    """Sub-scores of v1 in [0, 1]."""

    no_at_fault_collision: Float[Array, "*b"]
    drivable_area: Float[Array, "*b"]
    progress: Float[Array, "*b"]
    time_to_collision: Float[Array, "*b"]
    comfort: Float[Array, "*b"]
    driving_direction: Float[Array, "*b"]  # shown, without a weight
    total: Float[Array, "*b"]
    progress_m: Float[Array, "*b"]  # along the centre line, m


SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "progress",
    "time_to_collision",
    "comfort",
    "driving_direction",
)
"""In the order of the reference's columns."""


def pdms(
    ego: CarState, tracks: Tracks, around: Surroundings, *, vehicle: EgoVehicle, rules: ScoringRules = PARITY
) -> PdmsScores:
    """Scores drives that are measured against the best of them, as PDM-Closed and a prediction are.

    Args:
        ego: Drives [k t] at 10 Hz from the decision point on.
        tracks: The others [a 50] or [k a 50], as logged; those that overlap the ego at first take part.
        around: Map at the decision point.
        vehicle: The ego's dimensions.
        rules: For thresholds and weights.
    """
    found = score(ego, tracks, around, vehicle=vehicle, history=None, rules=rules)
    car = ego_boxes(ego[:, : rules.samples], vehicle=vehicle, origin_xy=around.origin_xy)
    areas = ego_areas(car, around)
    # v1 knows no exemption of intersections
    direction, _ = driving_direction(car, replace(areas, in_intersection=np.zeros_like(areas.oncoming)), rules)
    multiplier = found.no_at_fault_collision * found.drivable_area
    progress = masked_progress(found.progress_m, multiplier, rules)
    comfort = drive_comfort(ego[:, : rules.samples], rules=rules)
    return PdmsScores(
        no_at_fault_collision=found.no_at_fault_collision,
        drivable_area=found.drivable_area,
        progress=progress,
        time_to_collision=found.time_to_collision,
        comfort=comfort,
        driving_direction=direction,
        total=pdms_total(multiplier, progress, found.time_to_collision, comfort, rules),
        progress_m=found.progress_m,
    )


def masked_progress(
    raw: Float[Array, " k"], multiplier: Float[Array, " k"], rules: ScoringRules = PARITY
) -> Float[Array, " k"]:
    """Progress in [0, 1] relative to the best of the batch: what a multiplier takes away does not count.

    Where the best gets no farther than 5 m everybody gets 1, but for those whose multiplier is 0.
    """
    masked = raw * multiplier
    best = np.max(masked, initial=0.0)
    if best > rules.progress_threshold:
        return masked / best
    return np.where(multiplier == 0.0, 0.0, 1.0)


def drive_comfort(ego: CarState, *, rules: ScoringRules = PARITY) -> Float[Array, " k"]:
    """1 where every signal of a drive [k t] stays within its limits, its past unknown.

    QUIRK: windows of smoothing are as long as the drive, so that each signal is one parabola fitted to all of it; only
    the accelerations under the jerks, and all of yaw, have those of v2. Accelerations are the rear axle's.
    """
    length = ego.yaw.shape[1]
    along, aside = ego.acceleration[..., 0], ego.acceleration[..., 1]
    accel, turned = smoothed(np.hypot(along, aside), 8, 2), np.unwrap(ego.yaw, axis=-1)
    signals = ComfortSignals(
        lon_accel=smoothed(along, length, 2),
        lat_accel=smoothed(aside, length, 2),
        accel=accel,
        jerk=smoothed(accel, length, 2, 1),
        lon_jerk=smoothed(smoothed(along, 8, 2), length, 2, 1),
        yaw_accel=smoothed(turned, 5, 3, 2),
        yaw_rate=smoothed(turned, 5, 2, 1),
    )
    return within_limits(signals, rules)


def pdms_total(
    multiplier: Float[Array, "*b"],
    progress: Float[Array, "*b"],
    time_to_collision: Float[Array, "*b"],
    comfort: Float[Array, "*b"],
    rules: ScoringRules = PARITY,
) -> Float[Array, "*b"]:
    """PDMS of sub-scores."""
    weights = (rules.progress_weight, rules.ttc_weight, rules.history_comfort_weight)
    weighted = weights[0] * progress + weights[1] * time_to_collision + weights[2] * comfort
    return multiplier * weighted / sum(weights)
