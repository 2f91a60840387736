"""Every constant and switch of PDM-Closed, and the two presets: the reference's, and the generator's.

Parity copies the reference, quirks included (scoring.md, section 6). Sound is the same planner with what is plainly
wrong left out, and with proposals that a car in a perturbed state can follow in comfort (pipeline.md, section 4).
"""

from dataclasses import dataclass

from simscale.scoring import PARITY as SCORING_PARITY
from simscale.scoring import SOUND as SCORING_SOUND
from simscale.scoring import ScoringRules


@dataclass(frozen=True, kw_only=True)
class MergeRules:
    """How a proposal comes from where the car stands to its line beside the centre line (ours)."""

    durations: tuple[float, ...] = (3.0, 1.6, 1.0)  # the merge takes this long at the present speed, s
    shortest: tuple[float, ...] = (8.0, 6.0, 5.0)  # but no less road than this, m; one for each duration
    every_offset: int = 1  # this many of the durations serve all offsets, the others the centre line alone
    hold_offset: float = 2.0  # one more line stays at the present offset, up to this far aside, m


@dataclass(frozen=True, kw_only=True)
class PdmClosedRules:
    """Settings of `plan_pdm_closed`; the defaults are the reference's."""

    steps: int = 40  # of 0.1 s, in a proposal
    output_steps: int = 50  # the chosen one is driven on alone so far
    lateral_offsets: tuple[float, ...] = (0.0, -1.0, 1.0)  # m, positive to the left, in the reference's order
    speed_fractions: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the speed limit
    min_gap: float = 1.0  # m
    headway: float = 1.5  # s
    accel_max: float = 1.5  # m/s^2
    decel_max: float = 3.0  # m/s^2
    exponent: float = 10.0
    lead_every: int = 2  # steps between two looks at the leading object
    forecast_every: int = 2  # samples that share one forecast
    corridor_seconds: float = 5.0  # leading objects are sought as far as the largest target speed gets in this time
    radius: float = 100.0  # objects are forecast within this distance of the ego's centre, m
    nearest_vehicles: int = 50
    nearest_pedestrians: int = 25
    nearest_bicycles: int = 10
    nearest_static: int = 50

    reference_following: bool = True
    """Leading objects by exact polygons in the reference's tie order, a lead of zeros at the first step (every
    proposal brakes with -3 m/s^2 for 0.1 s), one lead vector reused over the proposals of a path, speed unclamped.
    Off (ours): objects by their outlines along the path, none of these slips, and the settings below."""
    comfort_counts: bool = False  # history comfort is part of the choice (ours)
    acceptable_first: bool = False  # what passes all the generator's tests goes before what does not (ours)
    diversity: float = 0.0  # score that a proposal loses beside an equal one that is ranked before it (ours)
    diversity_distance: float = 3.0  # mean distance of two rollouts at which that loss has fallen to 1/e, m (ours)
    seconds_beyond: float = 0.0  # time-to-collision sees this far beyond the last sample, s (ours)

    merge: MergeRules | None = None  # None: proposals start beside the car, on the offset line
    stop_decels: tuple[float, ...] = ()  # extra proposals that brake to a standstill like this, m/s^2 (ours)
    slowing: float = 2.0  # braking towards a lower target speed, m/s^2 (ours)
    jerk_max: float = 10.0  # change of acceleration from the present one on, m/s^3 (ours)
    swing: float = 3.4  # acceleration may leave the present one by this at once, m/s^2 (ours) ...
    swing_rate: float = 3.6  # ... or by this much in each second, m/s^3: comfort's jerk is a slope over 1.5 s (ours)
    soft_stop: float = 0.4  # braking eases off over the last of this time before a standstill, s (ours)
    coolness: float = 0.99  # of a driver who trusts that what drives ahead goes on (Kesting et al. 2010; ours)
    anticipate: bool = False  # ask the tracker for what makes the car keep the meant speeds, its lags undone (ours)
    corrections: int = 0  # times that the plan is bent until the car, not the plan, is where it should be (ours)
    correct_yaw: float = 1.0  # share of the car's error of heading that each adds to the plan (ours)
    correct_offset: float = 0.4  # likewise of its distance from the path (ours)
    correct_yaw_max: float = 0.6  # bounds on what they add up to, rad (ours)
    correct_offset_max: float = 1.5  # m (ours)
    curve_accel: float = 4.0  # lateral acceleration that the target speed allows, m/s^2 (ours; comfort ends at 4.89)
    curve_yaw_rate: float = 0.75  # likewise, rad/s (ours; comfort ends at 0.95)
    curve_slowing: float = 1.5  # braking before a bend, m/s^2 (ours)
    margin_static: float = 0.1  # widening of the car's corridor for what stands, m a side (ours)
    margin_moving: float = 0.2  # for what moves (ours)
    margin_growth: float = 0.1  # and for each second of forecast, m/s (ours)
    look_ahead: float = 0.8  # an object counts as soon as it will be in the corridor so soon, s (ours)
    smoothing: float = 1.5  # width of the Gaussian that smooths the centre line, m (ours)
    road_beyond: float = 40.0  # the road is laid out this far beyond what the car can reach, m (ours)
    least_limit: float = 1.0  # speed limits below are raised to this: a log may stand throughout, m/s (ours)

    scoring: ScoringRules = SCORING_PARITY


PARITY = PdmClosedRules()
"""The reference's PDM-Closed."""

SOUND = PdmClosedRules(
    output_steps=40,
    lateral_offsets=(0.0, -0.7, 0.7),
    speed_fractions=(0.25, 0.5, 0.75, 1.0),
    min_gap=1.5,
    decel_max=3.7,
    forecast_every=1,
    reference_following=False,
    comfort_counts=True,
    acceptable_first=True,
    diversity=0.5,
    seconds_beyond=0.9,
    merge=MergeRules(),
    stop_decels=(1.5, 2.5, 3.7),
    anticipate=True,
    corrections=3,
    scoring=SCORING_SOUND,
)
"""The generator's default."""
