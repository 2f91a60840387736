"""The extended predictive driver model score (EPDMS) of many drives at once, from states to all sub-scores.

The order follows `PDMScorer.score_proposals` of NAVSIM v2: where the ego is, whom it meets, how far it gets.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.polylines import project
from simscale.scene import CarState, EgoVehicle, Tracks
from simscale.scoring.areas import EgoAreas, ego_areas
from simscale.scoring.boxes import TrackBoxes, ego_boxes, track_boxes
from simscale.scoring.collision import no_at_fault_collision
from simscale.scoring.comfort import history_comfort
from simscale.scoring.driving_direction import driving_direction
from simscale.scoring.lane_keeping import first_lane_loss
from simscale.scoring.progress import progress_score
from simscale.scoring.rules import ScoringRules
from simscale.scoring.scores import FirstFailures, Scores, total_of
from simscale.scoring.surroundings import Surroundings
from simscale.scoring.time_to_collision import first_ttc_hit
from simscale.scoring.traffic_light import first_red_light

Array = np.ndarray


def score(
    ego: CarState,
    tracks: Tracks,
    around: Surroundings,
    *,
    vehicle: EgoVehicle,
    history: CarState | None,
    rules: ScoringRules,
    best_progress: float | Float[Array, " k"] | None = None,
) -> Scores:
    """Scores drives.

    Args:
        ego: Drives [k t] at 10 Hz from the decision point on; the first `rules.samples` are judged.
        tracks: The others [a t], or [k a t] where they react to each drive. Where they go on for 0.9 s after the
            drive, time-to-collision is tested to its end.
        around: Map and lights at the decision point.
        vehicle: The ego's dimensions.
        history: What precedes the drives at 10 Hz, [h] or [k h]; without one, comfort counts as kept.
        rules: Thresholds and switches.
        best_progress: See `progress_score`.
    """
    ego = ego if ego.yaw.shape[1] <= rules.samples else ego[:, : rules.samples]
    car = ego_boxes(ego, vehicle=vehicle, origin_xy=around.origin_xy)
    others = _others(tracks, around, rules)
    assert others.valid.shape[0] in (1, car.speed.shape[0]), "tracks of as many rollouts as drives, or of one for all"
    assert others.valid.shape[2] >= car.speed.shape[1], "tracks end before the drive"
    areas = ego_areas(car, around)
    station, deviation = project(around.centre_line, car.centre)
    progress_m = np.maximum(station[:, -1] - station[:, 0], 0.0)

    collision, first_collision = no_at_fault_collision(car, others, areas.multiple_lanes | areas.non_drivable, rules)
    direction, first_oncoming = driving_direction(car, areas, rules)
    first = FirstFailures(
        collision=first_collision,
        off_road=_first(areas.non_drivable),
        oncoming=first_oncoming,
        red_light=first_red_light(car, around),
        time_to_collision=first_ttc_hit(car, others, _exposed_ttc(areas), rules, first=0, last=rules.samples),
        lane_keeping=first_lane_loss(deviation, areas.in_intersection, rules),
    )
    multiplier = collision * _kept(first.off_road) * direction * _kept(first.red_light)
    progress = progress_score(progress_m, multiplier, best_progress, rules)
    comfort = history_comfort(ego, history, vehicle=vehicle, rules=rules)
    on_time, in_lane = _kept(first.time_to_collision), _kept(first.lane_keeping)
    return Scores(
        no_at_fault_collision=collision,
        drivable_area=_kept(first.off_road),
        driving_direction=direction,
        traffic_light=_kept(first.red_light),
        progress=progress,
        time_to_collision=on_time,
        lane_keeping=in_lane,
        history_comfort=comfort,
        total=total_of(multiplier, progress, on_time, in_lane, comfort, rules),
        multiplier=multiplier,
        progress_m=progress_m,
        first=first,
    )


def ttc_hits(
    ego: CarState,
    tracks: Tracks,
    around: Surroundings,
    *,
    vehicle: EgoVehicle,
    rules: ScoringRules,
    first: int,
    last: int,
) -> Bool[Array, " k"]:
    """Which drives [k t] fail time-to-collision at one of the samples `first` to `last - 1`."""
    car = ego_boxes(ego, vehicle=vehicle, origin_xy=around.origin_xy)
    exposed = _exposed_ttc(ego_areas(car, around))
    return first_ttc_hit(car, _others(tracks, around, rules), exposed, rules, first=first, last=last) >= 0


def _others(tracks: Tracks, around: Surroundings, rules: ScoringRules) -> TrackBoxes:
    return track_boxes(
        tracks,
        origin_xy=around.origin_xy,
        stopped_speed=rules.stopped_speed,
        by_first_appearance=rules.stopped_by_first_appearance,
    )


def _exposed_ttc(areas: EgoAreas) -> Bool[Array, "k t"]:
    return areas.multiple_lanes | areas.non_drivable | areas.rear_in_intersection


def _first(failed: Bool[Array, "k t"]) -> Int[Array, " k"]:
    return np.where(failed.any(axis=1), np.argmax(failed, axis=1), -1)


def _kept(first: Int[Array, " k"]) -> Float[Array, " k"]:
    return (first < 0).astype(np.float64)
