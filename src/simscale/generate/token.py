"""One token, from log to samples: perturb, roll out, check, ask the experts, judge, count."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from simscale.dynamics import coast, simulate, with_steering
from simscale.generate.answering import EXPERTS, HISTORY, Answer, Situation, answer
from simscale.generate.counts import Counts, ExpertCounts, total
from simscale.generate.perturbing import Attempt, attempt, candidates_of
from simscale.generate.place import Place, centre_line_of, place_of, token_name
from simscale.generate.records import (
    Token,
    counted,
    label_of,
    rejected_labels,
    rejected_tries,
    sample_of,
    tracks_beside,
)
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH, ExpertLabel, Rejection, Sample
from simscale.generate.settings import GenerateSettings
from simscale.generate.verdict import failed_sub_scores
from simscale.geometry.se2 import to_child
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import EgoVehicle, Plan, Scene
from simscale.scoring.epdms import score
from simscale.scoring.rules import SOUND
from simscale.traffic.policy import Traffic, policy_of
from simscale.traffic.rollout import overlaps_ego

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What came of one token, or of several."""

    samples: tuple[Sample, ...]
    rejections: tuple[Rejection, ...]
    moving: Counts  # of tokens whose human moves
    standing: Counts  # of tokens whose human stands and stays
    dropped_tracks: int  # that overlapped the ego at a token


@dataclass(frozen=True, kw_only=True)
class PreparedLog:
    """A log with what all its decision points share."""

    scene: Scene
    centre_line: Float[Array, "n 2"]  # of the route, m
    traffic_at: Callable[..., Traffic]  # (t0, *, vehicle)


def prepare(scene: Scene, settings: GenerateSettings) -> PreparedLog:
    """Lays out route and traffic of a log, once for all its decision points."""
    return PreparedLog(
        scene=scene,
        centre_line=centre_line_of(scene),
        traffic_at=policy_of(settings.traffic, scene, rules=settings.traffic_rules),
    )


def generate_token(log: PreparedLog, t0: int, vocabulary: Vocabulary, settings: GenerateSettings) -> Generated:
    """All rounds of one decision point.

    Args:
        log: The log.
        t0: Grid instant with 2 s of log before and 8.9 s after.
        vocabulary: Candidates, and the recovery expert's answers.
        settings: What to generate, as `prepare` had them.

    Raises:
        BadInput: The log has no map.
    """
    scene = log.scene
    token = _prepared(log, t0, vocabulary, settings)
    visited = np.zeros(len(token.candidates.grid), dtype=bool)
    samples: list[Sample] = []
    rejections: list[Rejection] = []
    counts: list[Counts] = []
    for round_ in range(settings.rounds):
        tried = attempt(
            token.candidates,
            visited,
            traffic=token.traffic,
            place=token.start,
            vehicle=token.vehicle,
            history=scene.ego[t0 - HISTORY : t0],
            settings=settings,
            token=token.name,
            round_=round_,
        )
        visited[tried.cells] = True
        rejections += rejected_tries(token, tried, round_)
        labels = _labels(token, tried, vocabulary, settings)
        rejections += rejected_labels(token, labels, round_)
        if any(label.accepted for label in labels):
            samples.append(sample_of(token, tried, labels, vocabulary, settings, round_))
        counts.append(counted(tried, labels, settings))
    pooled, none = total(counts), _nothing(settings)
    return Generated(
        samples=tuple(samples),
        rejections=tuple(rejections),
        moving=pooled if token.human_moves else none,
        standing=none if token.human_moves else pooled,
        dropped_tracks=len(token.overlapping),
    )


def _nothing(settings: GenerateSettings) -> Counts:
    return Counts(experts={name: ExpertCounts() for name in settings.experts})


def _prepared(log: PreparedLog, t0: int, vocabulary: Vocabulary, settings: GenerateSettings) -> Token:
    scene = log.scene
    vehicle = settings.vehicle_of(scene)
    start, later = (place_of(scene, t, centre_line=log.centre_line) for t in (t0, t0 + HORIZON))
    moved = np.hypot(*(scene.ego.xy[t0 : t0 + 2 * HORIZON + 1] - scene.ego.xy[t0]).T).max()
    return Token(
        scene=scene,
        t0=t0,
        name=token_name(scene.id, t0),
        vehicle=vehicle,
        start=start,
        later=later,
        traffic=log.traffic_at(t0, vehicle=vehicle),
        overlapping=np.flatnonzero(overlaps_ego(scene, t0, vehicle)),
        candidates=candidates_of(scene, t0, vocabulary, settings, vehicle=vehicle),
        human_failed=_human_failed(scene, start, vehicle=vehicle),
        human_moves=bool(moved >= settings.standing),
    )


def _human_failed(scene: Scene, place: Place, *, vehicle: EgoVehicle) -> tuple[str, ...]:
    """Sub-scores that the human's own next 4 s fail in the log's own traffic."""
    t0 = place.instant
    here = scene.ego[t0]
    xy, yaw = to_child(
        scene.ego.xy[t0 + 1 : t0 + HORIZON + 1],
        scene.ego.yaw[t0 + 1 : t0 + HORIZON + 1],
        frame_xy=here.xy,
        frame_yaw=float(here.yaw),
    )
    plan = Plan(xy=xy[None], yaw=yaw[None], dt=scene.dt)
    human = simulate(plan, with_steering(here, vehicle=vehicle), vehicle=vehicle, steps=HORIZON)
    human = coast(human, ROLLOUT_LENGTH - 1 - HORIZON)
    overlapping = overlaps_ego(scene, t0, vehicle)
    logged = scene.tracks.of_agents(np.flatnonzero(~overlapping)).at(t0, t0 + ROLLOUT_LENGTH)
    history = scene.ego[t0 - HISTORY : t0]
    return failed_sub_scores(score(human, logged, place.around, vehicle=vehicle, history=history, rules=SOUND), 0)


def _labels(
    token: Token, tried: Attempt, vocabulary: Vocabulary, settings: GenerateSettings
) -> tuple[ExpertLabel, ...]:
    """Every expert's answer from `s`; none where the round found no `s`."""
    if not tried.passed:
        return ()
    rollout, k = tried.rollouts[-1]
    ego = token.candidates.ego[int(tried.tried[-1])]
    here = Situation(
        scene=token.scene,
        place=token.later,
        state=ego[HORIZON],
        history=ego[HORIZON - HISTORY : HORIZON],
        traffic=token.traffic,
        traffic_state=rollout.state_at(k, HORIZON),
        tracks_now=tracks_beside(rollout, k).at(HORIZON, HORIZON + 1),
        vehicle=token.vehicle,
        vocabulary=vocabulary,
        settings=settings,
    )
    best = answer(here, EXPERTS["planner"](here))
    answers: dict[str, Answer | None] = {"planner": best}
    if best is not None:
        progress = best.scores.progress_m[best.index] * best.scores.multiplier[best.index]
        here = replace(here, best_progress=float(progress))
    for name in settings.experts:
        if name not in answers:
            answers[name] = answer(here, EXPERTS[name](here))
    return tuple(label_of(token, name, answers[name], ego[HORIZON]) for name in settings.experts)
