"""PDM-Closed: a planner that drives a few proposals along its route and takes the one that it scores best.

Each is scored in the planner's own forecast of the traffic (Dauner et al. 2023, `PDMClosedPlanner` of NAVSIM). It is
the exploratory pseudo-expert, with two presets: `PARITY` agrees with the reference, `SOUND` is the generator's (see
rules.py). All proposals are unrolled, simulated and scored in one batch.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float, Int

from simscale.dynamics import track
from simscale.experts.anticipate import anticipated
from simscale.experts.correct import corrected
from simscale.experts.follow import course_of, follow
from simscale.experts.follow_reference import Unrolled, extended_reference, follow_reference
from simscale.experts.forecast import ego_polygon, forecast_of, touches_ego
from simscale.experts.paths import merging_paths, parallel_paths, road_from
from simscale.experts.ranking import ranked
from simscale.experts.rules import SOUND, PdmClosedRules
from simscale.experts.way import Way, way_of
from simscale.geometry.se2 import to_child
from simscale.scene import DT, CarState, EgoVehicle, Plan, Tracks
from simscale.scoring import Scores, Surroundings, score

Array = np.ndarray

RUN_UP = 5.0
"""Paths go back this far behind the car, m: a plan that makes the car brake hard turns back."""


@dataclass(frozen=True, kw_only=True)
class RankedProposals:
    """What the planner could do, and how it likes it."""

    plans: Plan  # [p steps]
    start_xy: Float[Array, "p 2"]  # first pose of each: beside the car in the reference, at the car in ours
    start_yaw: Float[Array, " p"]
    order: Int[Array, " p"]  # best first
    scores: Scores  # [p], in the planner's own forecast
    rollouts: CarState  # [p steps+1], as the car would drive them
    drive: Float[Array, "t 3"]  # x, y, yaw of the best plan in the world frame, gone on to `rules.output_steps`
    unrolled: Unrolled | None  # how the reference's proposals go along their paths


@dataclass(frozen=True, kw_only=True)
class _Situation:
    """All that the proposals are made from."""

    state: CarState
    history: CarState
    forecast: Tracks  # [a t]
    red_lights: list[Array]
    vehicle: EgoVehicle
    centre_line: Float[Array, "n 2"]
    speed_limit: float


def plan_pdm_closed(
    state: CarState,
    history: CarState,
    tracks_now: Tracks,
    around: Surroundings,
    *,
    vehicle: EgoVehicle,
    centre_line: Float[Array, "n 2"],
    speed_limit: float,
    rules: PdmClosedRules = SOUND,
    exact: bool = False,
) -> RankedProposals:
    """Proposals from a state, ranked by the planner's own score in its own forecast.

    Args:
        state: The ego now (no batch axes).
        history: The ego before now, every 0.1 s [h], for comfort.
        tracks_now: Agents [a h]; the last instant is now.
        around: The map and the lights near the ego; its first sample is now.
        vehicle: The ego's dimensions.
        centre_line: Path of the route, from at least 20 m behind the car on where there is a map, m.
        speed_limit: Of the lane that the car starts in, m/s.
        rules: `PARITY`, `SOUND`, or a variant of these.
        exact: In parity, ask the geometry library everything: the slow twin of the kernels.

    Returns:
        The proposals; `plans` are what `dynamics.simulate` drives.
    """
    samples = rules.steps + 1 + round(rules.seconds_beyond / DT)
    held, red_lights = _lights_as_now(around, state, vehicle=vehicle, samples=samples)
    longest = max(samples, rules.output_steps + 1)
    situation = _Situation(
        state=state,
        history=history,
        forecast=_forecast(tracks_now, state, vehicle=vehicle, samples=longest, rules=rules),
        red_lights=red_lights,
        vehicle=vehicle,
        centre_line=centre_line,
        speed_limit=speed_limit,
    )
    way, unrolled = None, None
    if rules.reference_following:
        way = _way_of(situation, rules, exact=exact)
        unrolled = follow_reference(way, start_speed=float(state.velocity[0]), steps=rules.steps)
        pose = _reference_poses(way, unrolled)
    else:
        pose = _merging_poses(situation, rules)
    xy, yaw = to_child(pose[:, 1:, :2] + state.xy, pose[:, 1:, 2], frame_xy=state.xy, frame_yaw=float(state.yaw))
    rollouts = track(pose, state, vehicle=vehicle, steps=rules.steps)
    scores = score(
        rollouts,
        situation.forecast.at(0, samples),
        held,
        vehicle=vehicle,
        history=history if rules.comfort_counts else None,
        rules=rules.scoring,
    )
    order = ranked(scores, rollouts, rules=rules)
    best = int(order[0])
    longer = pose[best] if way is None or unrolled is None else _gone_on(way, unrolled, best)
    return RankedProposals(
        plans=Plan(xy=xy, yaw=yaw, dt=DT),
        start_xy=pose[:, 0, :2] + state.xy,
        start_yaw=pose[:, 0, 2],
        order=order,
        scores=scores,
        rollouts=rollouts,
        drive=np.column_stack([longer[:, :2] + state.xy, longer[:, 2]]),
        unrolled=unrolled,
    )


def _forecast(
    tracks_now: Tracks, state: CarState, *, vehicle: EgoVehicle, samples: int, rules: PdmClosedRules
) -> Tracks:
    """The forecast without what overlaps the ego now."""
    everything = forecast_of(tracks_now, state, vehicle=vehicle, samples=samples, rules=rules)
    return everything.of_agents(np.flatnonzero(~touches_ego(everything, state, vehicle=vehicle)))


def _lights_as_now(
    around: Surroundings, state: CarState, *, vehicle: EgoVehicle, samples: int
) -> tuple[Surroundings, list[Float[Array, "_ 2"]]]:
    """The surroundings with the lights that are red now red for ever, and the rings of those in the world frame.

    A red lane that holds the whole car is left out: the car is past the light (`collided_track_ids`).
    """
    ego = ego_polygon(state.xy, state.yaw, vehicle=vehicle)
    index, red = around.red_rings, around.red[:, 0].copy()
    rings = [index.xy[a:b] + around.origin_xy for a, b in zip(index.start[:-1], index.start[1:], strict=True)]
    for light in np.flatnonzero(red):
        red[light] = len(rings[light]) > 2 and not shapely.within(ego, shapely.Polygon(rings[light]))
    held = replace(around, red=np.ascontiguousarray(np.repeat(red[:, None], samples, axis=1)))
    return held, [rings[light] for light in np.flatnonzero(red)]


def _way_of(situation: _Situation, rules: PdmClosedRules, *, exact: bool) -> Way:
    return way_of(
        parallel_paths(situation.centre_line, offsets=rules.lateral_offsets),
        situation.forecast,
        situation.red_lights,
        start_xy=situation.state.xy,
        targets=np.array(rules.speed_fractions) * situation.speed_limit,
        vehicle=situation.vehicle,
        rules=rules,
        exact=exact,
    )


def _reference_poses(way: Way, unrolled: Unrolled) -> Float[Array, "p t 3"]:
    xy, yaw = way.paths.poses_of(np.repeat(np.arange(len(way.start)), len(way.targets)), unrolled.station)
    return np.concatenate([xy - way.origin_xy, yaw[..., None]], axis=-1)


def _gone_on(way: Way, unrolled: Unrolled, best: int) -> Float[Array, "t 3"]:
    """The chosen proposal alone, driven on."""
    longer = extended_reference(way, unrolled, best, steps=way.rules.output_steps)
    xy, yaw = way.paths.poses(best // len(way.targets), longer.station[0])
    return np.column_stack([xy - way.origin_xy, yaw])


def _merging_poses(situation: _Situation, rules: PdmClosedRules) -> Float[Array, "p t 3"]:
    state, limit = situation.state, max(situation.speed_limit, rules.least_limit)
    reach = max(float(state.velocity[0]), limit) * rules.corridor_seconds + rules.road_beyond
    road = road_from(situation.centre_line, state, reach=reach, smoothing=rules.smoothing)
    paths, offsets = merging_paths(road, state, vehicle=situation.vehicle, rules=rules)
    course = course_of(rules, paths=len(offsets), limit=limit)
    station, speed = follow(
        road,
        paths,
        offsets,
        course,
        situation.forecast,
        situation.red_lights,
        state=state,
        vehicle=situation.vehicle,
        rules=rules,
    )
    if rules.anticipate:
        station = anticipated(speed, acceleration=float(state.acceleration[0]))
    paths = paths.with_run_up(RUN_UP)
    pose = _relative(*paths.poses_of(course.path, station), state)
    pose[:, 0] = [0.0, 0.0, state.yaw]  # as `simulate` will have it
    return corrected(pose, paths, course.path, state, situation.history, vehicle=situation.vehicle, rules=rules)


def _relative(xy: Float[Array, "p t 2"], yaw: Float[Array, "p t"], state: CarState) -> Float[Array, "p t 3"]:
    return np.concatenate([xy - state.xy, yaw[..., None]], axis=-1)
