"""Judging one drive: the plan is driven, the others react to it or replay, and NAVSIM's rules say how good it was.

PDM-Closed drives beside it, invisible and in the same traffic, as the measure of progress. In the first stage nobody is
blamed for what the human of the log failed as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from simscale.dynamics import simulate
from simscale.evaluate.starts import Start, human_plan
from simscale.generate.records import tracks_beside
from simscale.geometry.se2 import to_parent
from simscale.scene import CarState, Plan, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.human_filter import SUB_SCORES, human_filtered
from simscale.scoring.rules import ScoringRules
from simscale.scoring.scores import Scores
from simscale.traffic.idm import LogTraffic, idm, prepare
from simscale.traffic.idm_parity import idm_parity_of
from simscale.traffic.idm_parity_build import NAVSIM_RULES
from simscale.traffic.replay import replay
from simscale.traffic.rollout import Traffic, TrafficState, logged
from simscale.traffic.rules import TrafficRules

Array = np.ndarray

STEPS = 40
"""A drive of 4 s."""

Around = Callable[[Start], tuple[Traffic, TrafficState]]
"""Who drives around a start, and where they are now."""


def log_replay() -> Around:
    """Everybody as logged (`non_reactive`)."""

    def around(start: Start) -> tuple[Traffic, TrafficState]:
        traffic = replay(start.scene, start.instant, vehicle=start.scene.vehicle, rules=TrafficRules())
        return traffic, traffic.start()

    return around


def sound_idm() -> Around:
    """Sound reactive traffic; a second-stage start goes on where its perturbation ended."""
    rules = TrafficRules()
    prepared: dict[str, LogTraffic] = {}

    @lru_cache(maxsize=2)
    def traffic_at(scene_id: str, anchor: int) -> Traffic:
        log = prepared[scene_id]
        return idm(log.scene, anchor, vehicle=log.scene.vehicle, rules=rules, prepared=log)

    def around(start: Start) -> tuple[Traffic, TrafficState]:
        known = prepared.get(start.scene.id)
        if known is None or known.scene is not start.scene:
            prepared.clear()
            traffic_at.cache_clear()
            prepared[start.scene.id] = prepare(start.scene, rules=rules)
        traffic = traffic_at(start.scene.id, start.anchor)
        return traffic, start.traffic_state or traffic.start()

    return around


def navsim_idm() -> Around:
    """NAVSIM's reactive traffic, quirks included, from the boxes that are there now."""

    def around(start: Start) -> tuple[Traffic, TrafficState]:
        scene = start.scene
        log = logged(scene.tracks, start.instant, len(scene))
        traffic = idm_parity_of(
            start.tracks, log, start.ego, scene.road, vehicle=scene.vehicle, rules=NAVSIM_RULES, instant=start.instant
        )
        return traffic, traffic.start()

    return around


TRAFFIC: dict[str, Callable[[], Around]] = {
    "replay": log_replay,
    "idm-sound": sound_idm,
    "idm-navsim": navsim_idm,
}
"""By the name that protocols carry."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A drive, what happened around it, and the verdict."""

    ego: CarState  # [41]
    tracks: Tracks  # [a 41]
    scores: Scores  # [1], after the human filter
    sub_scores: Float[Array, "8"]  # in the order of `SUB_SCORES`
    planned_end_xy: Float[Array, "2"]  # of the plan, not of the drive; in the world frame, m


def judged(start: Start, plan: Plan, *, around: Around, rules: ScoringRules) -> Judged:
    """Drives a plan `[t]` from a start, and scores it (`pdm_score` of NAVSIM)."""
    ego = _driven(plan, start)
    traffic, state = around(start)
    tracks = tracks_beside(traffic.roll(state, ego), 0)
    best = _driven(start.expert, start)
    both = CarState.unpacked(np.concatenate([best.packed(), ego.packed()]))
    place = start.place.around
    scores = score(both, tracks, place, vehicle=start.scene.vehicle, history=start.history, rules=rules)
    scores = _second(scores)
    if start.stage == 1:
        scores = human_filtered(scores, _human(start, around, rules), rules)
    xy, _ = to_parent(plan.xy[-1:], plan.yaw[-1:], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    return Judged(
        ego=ego[0],
        tracks=tracks,
        scores=scores,
        sub_scores=np.array([float(getattr(scores, name)[0]) for name in SUB_SCORES]),
        planned_end_xy=xy[0],
    )


def _driven(plan: Plan, start: Start) -> CarState:
    one = Plan(xy=plan.xy[None], yaw=plan.yaw[None], dt=plan.dt)
    return simulate(one, start.ego, vehicle=start.scene.vehicle, steps=STEPS)


def _human(start: Start, around: Around, rules: ScoringRules) -> Scores:
    """The human's own drive in its own traffic, scored alone and without a history (`pdm_score.py`)."""
    ego = _driven(human_plan(start), start)
    traffic, state = around(start)
    tracks = tracks_beside(traffic.roll(state, ego), 0)
    return score(ego, tracks, start.place.around, vehicle=start.scene.vehicle, history=None, rules=rules)


def _second(scores: Scores) -> Scores:
    """The judged drive of the batch (PDM-Closed, drive)."""

    def cut(noun: object) -> dict[str, Array]:
        return {name: value[1:] for name, value in vars(noun).items() if isinstance(value, np.ndarray)}

    first = type(scores.first)(**cut(scores.first))
    return Scores(**cut(scores), first=first)
