"""Second half of Algorithm 1: what a good driver does from the perturbed state `s`.

An expert proposes plans in order of preference; each is driven in reactive traffic and judged; the first that holds
is its answer. Where none holds, the answer is the first one with the reason against it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.dynamics.simulate import coast, simulate
from simscale.experts.pdm_closed import plan_pdm_closed
from simscale.experts.recovery import has_recovered, human_path, nearest_ends
from simscale.experts.rules import SOUND as PDM_SOUND
from simscale.generate.place import Place
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH
from simscale.generate.settings import GenerateSettings
from simscale.generate.verdict import expert_verdicts
from simscale.perturb.candidates import can_follow
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import CarState, EgoVehicle, Plan, Scene, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.rules import SOUND
from simscale.scoring.scores import Scores
from simscale.traffic.policy import Traffic, TrafficRollout, TrafficState

Array = np.ndarray

HISTORY = 15
"""Steps of the perturbation rollout that are the history of an answer: 1.5 s."""
SHORTLIST = 240
"""Vocabulary entries, nearest by their own ends, that are rolled out to find the nearest true ends (ours)."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What an expert knows at `s`, and what its answers are judged in."""

    scene: Scene
    place: Place  # at the time of `s`
    state: CarState  # `s`, []
    history: CarState  # the steps before `s`, [h]
    traffic: Traffic
    traffic_state: TrafficState  # at `s`, without batch
    tracks_now: Tracks  # at `s`, [a 1]
    vehicle: EgoVehicle
    vocabulary: Vocabulary
    settings: GenerateSettings
    best_progress: float | None = None  # of PDM-Closed from `s`, m; None while it answers itself


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One plan, driven and judged."""

    plan: Plan  # [n]
    ego: CarState  # [50], coasting after the horizon
    rollout: TrafficRollout  # the batch that it was driven in ...
    index: int  # ... and its place there
    scores: Scores  # of that batch
    stage: str  # where it fails; empty where it holds
    reason: str


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Plans in order of preference; `reason` says why there is none worth driving."""

    plans: Plan  # [k n]
    ego: CarState  # [k 50], as the car follows them
    reason: str = ""


def planner(here: Situation) -> Proposals:
    """PDM-Closed from `s`: its best proposals by its own forecast (exploratory)."""
    ranked = plan_pdm_closed(
        here.state,
        here.history,
        here.tracks_now,
        here.place.around,
        vehicle=here.vehicle,
        centre_line=here.place.centre_line,
        speed_limit=here.place.speed_limit,
        rules=PDM_SOUND,
    )
    best = ranked.order[: here.settings.planner_tries]
    plans = Plan(xy=ranked.plans.xy[best], yaw=ranked.plans.yaw[best], dt=ranked.plans.dt)
    return Proposals(plans=plans, ego=_driven(plans, here))


def recovery(here: Situation) -> Proposals:
    """The vocabulary entries that end nearest to the human and have recovered (conservative)."""
    rules, speed = here.settings.recovery, float(here.state.velocity[0])
    human = here.scene.ego[here.place.instant + HORIZON]
    poses = here.vocabulary.poses
    able = np.flatnonzero(can_follow(poses, speed=speed, settings=here.settings.perturb))
    own_ends, _ = nearest_ends(_ends_of(poses[able], here.state), human, rules=rules)
    entry = able[own_ends[:SHORTLIST]]
    plans = here.vocabulary.plan(entry)
    ego = _driven(plans, here)
    order, _ = nearest_ends(ego[:, HORIZON], human, rules=rules)
    order = order[: rules.max_candidates]
    back = has_recovered(ego[order, HORIZON], here.state, human_path(here.scene.ego), rules=rules)
    kept, reason = (order[back], "") if back.any() else (order[:1], "not_recovered")
    if len(order) == 0:
        reason = "nothing_to_follow"
    return Proposals(plans=here.vocabulary.plan(entry[kept]), ego=ego[kept], reason=reason)


EXPERTS: dict[str, Callable[[Situation], Proposals]] = {"planner": planner, "recovery": recovery}
BATCHES = (1, 4, 15)
"""How many proposals are driven at once."""


def answer(here: Situation, proposals: Proposals) -> Answer | None:
    """Drives proposals in reactive traffic until one holds; None where there is none at all.

    Answers that fail already by what they are (`proposals.reason`) are driven once, to be seen.
    """
    first: Answer | None = None
    done, count = 0, len(proposals.ego.yaw)
    for size in BATCHES:
        index = np.arange(done, min(done + size, count))
        if len(index) == 0:
            break
        answers = _judged(here, proposals, index)
        first = first or answers[0]
        if proposals.reason:
            return first
        for candidate in answers:
            if not candidate.stage:
                return candidate
        done += size
    return first


def _judged(here: Situation, proposals: Proposals, index: Int[Array, " n"]) -> list[Answer]:
    ego = proposals.ego[index]
    rollout = here.traffic.roll(here.traffic_state, ego)
    scores = score(
        ego,
        rollout.tracks,
        here.place.around,
        vehicle=here.vehicle,
        history=here.history,
        rules=SOUND,
        best_progress=here.best_progress,
    )
    verdicts = [proposals.reason] * len(index) if proposals.reason else expert_verdicts(scores)
    plans = proposals.plans
    return [
        Answer(
            plan=Plan(xy=plans.xy[i], yaw=plans.yaw[i], dt=plans.dt),
            ego=ego[k],
            rollout=rollout,
            index=k,
            scores=scores,
            stage=("propose" if proposals.reason else "rollout") if verdicts[k] else "",
            reason=verdicts[k],
        )
        for k, i in enumerate(index)
    ]


def _driven(plans: Plan, here: Situation) -> CarState:
    ego = simulate(plans, here.state, vehicle=here.vehicle, steps=HORIZON)
    return coast(ego, ROLLOUT_LENGTH - 1 - HORIZON)


def _ends_of(poses: Float[Array, "k 40 3"], start: CarState) -> CarState:
    """Where vocabulary entries end when they are placed at `start`, before anyone drives them."""
    c, s = np.cos(start.yaw), np.sin(start.yaw)
    end, before = poses[:, -1], poses[:, -6]
    states = np.zeros((len(poses), 11))
    states[:, 0] = start.xy[0] + c * end[:, 0] - s * end[:, 1]
    states[:, 1] = start.xy[1] + s * end[:, 0] + c * end[:, 1]
    states[:, 2] = start.yaw + end[:, 2]
    states[:, 3] = np.hypot(*(end - before)[:, :2].T) / 0.5
    return CarState.unpacked(states)
