"""Records: what one round of one token leaves in the dataset, made from what was driven."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale import __version__
from simscale.generate.answering import Answer
from simscale.generate.counts import Counts, ExpertCounts
from simscale.generate.perturbing import Attempt, Candidates
from simscale.generate.place import Place
from simscale.generate.sample import (
    HORIZON,
    ExpertLabel,
    ReactingAgents,
    Rejection,
    Sample,
    no_agents,
    reacting_of,
    replayed,
    sub_scores_of,
)
from simscale.generate.settings import GenerateSettings
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import CarState, EgoVehicle, Plan, Scene, Tracks
from simscale.traffic.policy import Traffic, TrafficRollout

Array = np.ndarray

PICTURED = 5
"""Steps between the poses of a rejection's path: 0.5 s."""
PERTURB_STAGE = "perturb"
"""Stage of a rejection that happens before any expert is asked."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A decision point with all that its rounds share."""

    scene: Scene
    t0: int
    name: str
    vehicle: EgoVehicle
    start: Place
    later: Place  # where the experts answer
    traffic: Traffic
    overlapping: Int[Array, " d"]  # agents that the traffic drops
    candidates: Candidates
    human_failed: tuple[str, ...]
    human_moves: bool


def label_of(token: Token, name: str, given: Answer | None, state: CarState) -> ExpertLabel:
    """One expert's answer, or that it had none."""
    if given is None:
        nowhere = Plan(xy=np.zeros((0, 2)), yaw=np.zeros(0), dt=token.scene.dt)
        return ExpertLabel(
            name=name,
            accepted=False,
            stage="propose",
            reason="nothing_to_follow",
            plan=nowhere,
            ego=state[None],
            agents=no_agents(1),
            sub_scores=np.full(len(sub_scores_of(None, 0)), np.nan),
            progress_m=0.0,
        )
    return ExpertLabel(
        name=name,
        accepted=not given.stage,
        stage=given.stage,
        reason=given.reason,
        plan=given.plan,
        ego=given.ego,
        agents=_reacting(token, given.rollout, given.index, token.t0 + HORIZON),
        sub_scores=sub_scores_of(given.scores, given.index),
        progress_m=float(given.scores.progress_m[given.index]),
    )


def sample_of(
    token: Token,
    tried: Attempt,
    labels: tuple[ExpertLabel, ...],
    vocabulary: Vocabulary,
    settings: GenerateSettings,
    round_: int,
) -> Sample:
    """The sample of a round that found a perturbed state."""
    chosen = int(tried.tried[-1])
    entry = token.candidates.entry[chosen]
    plan = vocabulary.plan(entry)
    rollout, k = tried.rollouts[-1]
    return Sample(
        token=f"{token.name}-{round_:03d}",
        parent_token=token.name,
        log=token.scene.id,
        location=token.scene.location,
        round=round_,
        seed=settings.seed,
        code_version=__version__,
        t0=token.t0,
        vehicle=token.vehicle,
        candidate=int(vocabulary.row[entry]),
        plan=plan,
        ego=token.candidates.ego[chosen],
        agents=_reacting(token, rollout, k, token.t0),
        deviation=token.candidates.deviation[chosen],
        human_failed=token.human_failed,
        human_moves=token.human_moves,
        experts=labels,
    )


def rejected_tries(token: Token, tried: Attempt, round_: int) -> list[Rejection]:
    """The draws of a round that failed the check."""
    return [
        Rejection(
            token=token.name,
            log=token.scene.id,
            round=round_,
            stage=PERTURB_STAGE,
            expert="",
            reason=reason,
            t0=token.t0,
            path=_pictured(token.candidates.ego[int(candidate)]),
            agents=_reacting(token, rollout, k, token.t0, every=PICTURED),
        )
        for candidate, reason, (rollout, k) in zip(tried.tried, tried.reasons, tried.rollouts, strict=True)
        if reason
    ]


def rejected_labels(token: Token, labels: tuple[ExpertLabel, ...], round_: int) -> list[Rejection]:
    """The answers of a round that do not hold."""
    return [
        Rejection(
            token=token.name,
            log=token.scene.id,
            round=round_,
            stage=label.stage,
            expert=label.name,
            reason=label.reason,
            t0=token.t0 + HORIZON,
            path=_pictured(label.ego),
            agents=_thinned(label.agents),
        )
        for label in labels
        if not label.accepted
    ]


def _pictured(ego: CarState) -> Float[Array, "p 3"]:
    kept = ego[: HORIZON + 1 : PICTURED]
    return np.concatenate([kept.xy, kept.yaw[:, None]], axis=-1)


def _thinned(agents: ReactingAgents) -> ReactingAgents:
    span = slice(0, HORIZON + 1, PICTURED)
    return ReactingAgents(
        index=agents.index,
        xy=agents.xy[:, span],
        yaw=agents.yaw[:, span],
        velocity=agents.velocity[:, span],
        valid=agents.valid[:, span],
    )


def tracks_beside(rollout: TrafficRollout, k: int) -> Tracks:
    """Traffic `[a t]` of one rollout of a batch."""
    tracks = rollout.tracks
    return Tracks(
        xy=tracks.xy[k],
        z=tracks.z[k],
        yaw=tracks.yaw[k],
        velocity=tracks.velocity[k],
        size=tracks.size[k],
        kind=tracks.kind[k],
        valid=tracks.valid[k],
        id=tracks.id,
    )


def _reacting(token: Token, rollout: TrafficRollout, k: int, first: int, *, every: int = 1) -> ReactingAgents:
    """The agents of a rollout that leave their log; those that the traffic does not move replay it."""
    beside = tracks_beside(rollout, k)
    steps = beside.yaw.shape[-1]
    full = replayed(token.scene, t0=first, steps=steps)
    place = {name: i for i, name in enumerate(token.scene.tracks.id)}
    index = np.array([place[name] for name in beside.id], dtype=np.int64)
    xy, yaw, velocity, valid = (a.copy() for a in (full.xy, full.yaw, full.velocity, full.valid))
    xy[index], yaw[index], velocity[index], valid[index] = beside.xy, beside.yaw, beside.velocity, beside.valid
    valid[token.overlapping] = False
    driven = Tracks(
        xy=xy, z=full.z, yaw=yaw, velocity=velocity, size=full.size, kind=full.kind, valid=valid, id=full.id
    )
    return reacting_of(driven, token.scene, t0=first, every=every)


def counted(tried: Attempt, labels: tuple[ExpertLabel, ...], settings: GenerateSettings) -> Counts:
    """One round in numbers. A pair whose perturbation failed is rejected with the reason of its first draw."""
    if not tried.reasons:
        return Counts(no_cell_left=1, experts={name: ExpertCounts() for name in settings.experts})
    experts = {}
    for name in settings.experts:
        label = next((label for label in labels if label.name == name), None)
        if label is None:
            experts[name] = ExpertCounts(attempted=1, rejected={PERTURB_STAGE: {tried.reasons[0]: 1}})
        elif label.accepted:
            experts[name] = ExpertCounts(attempted=1, accepted=1)
        else:
            experts[name] = ExpertCounts(attempted=1, rejected={label.stage: {label.reason: 1}})
    return Counts(
        rounds=1,
        first_draw_passed=int(not tried.reasons[0]),
        tries=len(tried.reasons),
        passed=int(tried.passed),
        rejected=dict(Counter(reason for reason in tried.reasons if reason)),
        experts=experts,
    )
