"""Every constant and switch of the EPDMS, with the two presets that the product uses.

`PARITY` is the benchmark, quirks included. `SOUND` is what the generator judges by: the same thresholds, but facts
about another road user are those of the moment (and its tracks reach beyond the end of the drive, so that
time-to-collision is tested to the last sample; that follows from the tracks themselves).
"""

from dataclasses import dataclass, replace
from math import radians


@dataclass(frozen=True, kw_only=True)
class ScoringRules:
    """Thresholds as in `PDMScorerConfig` and `pdm_comfort_metrics.py` of NAVSIM."""

    samples: int = 41  # the drive that is judged: now and 40 steps of 0.1 s

    # QUIRK Q4: whether a track stands is decided by its first appearance, not at the collision.
    stopped_by_first_appearance: bool = True
    stopped_speed: float = 0.05  # m/s, up to which a car or a track counts as standing in a collision
    static_collision_score: float = 0.5  # at-fault collision with something that does not move by itself
    ahead_angle: float = radians(30.0)  # rad
    behind_angle: float = radians(150.0)  # rad

    ttc_offsets: tuple[int, int, int, int] = (0, 3, 6, 9)  # samples of 0.1 s ahead
    ttc_stopped_speed: float = 0.005  # m/s

    oncoming_window: int = 10  # steps; the sum over t-10..t has 11 values
    oncoming_minor: float = 2.0  # m on oncoming lanes within the window, from which the score is 0.5
    oncoming_major: float = 6.0  # m, from which it is 0

    lane_keeping_deviation: float = 0.5  # m from the centre line
    lane_keeping_samples: int = 20  # samples of 0.1 s in a row beyond it

    progress_threshold: float = 5.0  # m; where nobody gets farther, progress counts for nobody

    min_lon_accel: float = -4.05  # m/s^2
    max_lon_accel: float = 2.40  # m/s^2
    max_abs_lat_accel: float = 4.89  # m/s^2
    max_abs_jerk: float = 8.37  # m/s^3, of the acceleration's magnitude
    max_abs_lon_jerk: float = 4.13  # m/s^3
    max_abs_yaw_accel: float = 1.93  # rad/s^2
    max_abs_yaw_rate: float = 0.95  # rad/s

    max_rms_accel: float = 0.7  # m/s^2, extended comfort: difference between successive plans
    max_rms_jerk: float = 0.5  # m/s^3
    max_rms_yaw_rate: float = 0.1  # rad/s
    max_rms_yaw_accel: float = 0.1  # rad/s^2

    progress_weight: float = 5.0
    ttc_weight: float = 5.0
    lane_keeping_weight: float = 2.0
    history_comfort_weight: float = 2.0
    extended_comfort_weight: float = 2.0


PARITY = ScoringRules()
"""The benchmark as it is."""

SOUND = replace(PARITY, stopped_by_first_appearance=False)
"""The generator's default (ours)."""
