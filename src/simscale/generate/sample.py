"""What generation leaves behind: samples, and why the rest was rejected.

A sample is one (token, round): the human's state at the token, the rollout that led the ego away from the human's
path, the perturbed state `s` at its end, and every expert's answer from there. It is a recipe: together with the
scene it came from it fixes every box of every instant, so that images can be drawn from it at any time.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.scene import CarState, EgoVehicle, Plan, Scene, Tracks

Array = np.ndarray

HORIZON = 40
"""Steps of 0.1 s from the token to `s`, and from `s` to the end of an expert's answer."""
ROLLOUT_LENGTH = 50
"""Instants of a stored rollout: the horizon, its start, and 0.9 s more that time-to-collision looks into."""
SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "traffic_light",
    "progress",
    "time_to_collision",
    "lane_keeping",
    "history_comfort",
    "total",
)
"""Order of the packed sub-scores; the names are those of the fields of `Scores`."""


@dataclass(frozen=True, kw_only=True)
class ReactingAgents:
    """Agents that leave their log during a rollout; all others replay it.

    An agent that was dropped because the ego stood on it is listed, and nowhere valid.
    """

    index: Int[Array, " r"]  # into the scene's tracks, ascending
    xy: Float[Array, "r t 2"]  # box centre in the world frame, m
    yaw: Float[Array, "r t"]  # rad
    velocity: Float[Array, "r t 2"]  # in the world frame, m/s
    valid: Bool[Array, "r t"]


def no_agents(steps: int) -> ReactingAgents:
    """Nobody reacts, over `steps` instants."""
    return ReactingAgents(
        index=np.zeros(0, dtype=np.int64),
        xy=np.zeros((0, steps, 2)),
        yaw=np.zeros((0, steps)),
        velocity=np.zeros((0, steps, 2)),
        valid=np.zeros((0, steps), dtype=bool),
    )


@dataclass(frozen=True, kw_only=True)
class ExpertLabel:
    """An expert's answer from `s`, driven in reactive traffic, with the verdict on it."""

    name: str  # planner, recovery
    accepted: bool
    stage: str  # where it was rejected; empty where accepted
    reason: str  # the first that applied; empty where accepted
    plan: Plan  # as proposed, in the ego frame of `s`; [n]
    ego: CarState  # as driven, sample 0 is `s`; [t]
    agents: ReactingAgents  # over the same instants
    sub_scores: Float[Array, " n"]  # in the order of SUB_SCORES; NaN where not scored
    progress_m: float  # along the route's centre line, m


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One accepted pair of token and round with all its experts' labels."""

    token: str  # <parent_token>-00<round>
    parent_token: str  # the decision point's own name
    log: str  # id of the scene
    location: str  # which map
    round: int
    seed: int  # the run's
    code_version: str
    t0: int  # grid instant of the decision point
    vehicle: EgoVehicle  # the box that was driven and scored
    candidate: int  # row of the vocabulary that led away from the human's path
    plan: Plan  # that row as driven, in the ego frame of the decision point; [n]
    ego: CarState  # the perturbation rollout: sample 0 is the log's state at t0, sample HORIZON is `s`; [t]
    agents: ReactingAgents  # over the same instants
    deviation: Float[Array, "3"]  # of `s` from the human at the same time: longitudinal m, lateral m, yaw rad
    human_failed: tuple[str, ...]  # sub-scores that the human fails at this token
    human_moves: bool  # false where the human stands and stays
    experts: tuple[ExpertLabel, ...]

    @property
    def state(self) -> CarState:
        """The perturbed state `s`, from which the experts answer."""
        return self.ego[HORIZON]

    @property
    def accepted(self) -> bool:
        """Whether at least one expert's answer was accepted."""
        return any(label.accepted for label in self.experts)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """One thing that was tried and refused: a perturbation, or an expert's answer."""

    token: str  # the decision point's own name (a sample's `parent_token`)
    log: str
    round: int
    stage: str  # where
    expert: str  # whose answer; empty for a perturbation
    reason: str  # the first that applied
    t0: int  # grid instant at which the path starts
    path: Float[Array, "p 3"]  # x, y, yaw of the rear axle every 0.5 s, for pictures
    agents: ReactingAgents = field(default_factory=lambda: no_agents(0))  # at the path's instants; none where replayed


def sub_scores_of(scores: object, index: int) -> Float[Array, " n"]:
    """Packs one rollout of a batch of scores in the order of `SUB_SCORES`; NaN for a field that is absent."""
    packed = np.full(len(SUB_SCORES), np.nan)
    for i, name in enumerate(SUB_SCORES):
        value = getattr(scores, name, None)
        if value is not None:
            packed[i] = np.asarray(value)[index]
    return packed


def reacting_of(tracks: Tracks, scene: Scene, *, t0: int, every: int = 1) -> ReactingAgents:
    """The agents of a rollout that are not where the log has them.

    Args:
        tracks: One rollout, over the scene's agents in the scene's order, `[a t]`; sample 0 is grid instant `t0`.
        scene: The scene that was driven in.
        t0: Grid instant of sample 0.
        every: Keeps every so-manieth instant.
    """
    logged = replayed(scene, t0=t0, steps=tracks.xy.shape[-2])
    moved = (
        (tracks.xy != logged.xy).any(-1) | (tracks.yaw != logged.yaw) | (tracks.velocity != logged.velocity).any(-1)
    ) & tracks.valid
    index = np.flatnonzero((moved | (tracks.valid != logged.valid)).any(-1)).astype(np.int64)
    kept = tracks.of_agents(index)
    valid = kept.valid[:, ::every]
    return ReactingAgents(
        index=index,
        xy=np.where(valid[..., None], kept.xy[:, ::every], 0.0),
        yaw=np.where(valid, kept.yaw[:, ::every], 0.0),
        velocity=np.where(valid[..., None], kept.velocity[:, ::every], 0.0),
        valid=valid,
    )


def replayed(scene: Scene, *, t0: int, steps: int, every: int = 1) -> Tracks:
    """The scene's tracks from `t0` on; beyond the log's end nobody is valid."""
    wanted = t0 + np.arange(0, steps * every, every)
    logged = wanted < len(scene)
    held = np.minimum(wanted, len(scene) - 1)
    tracks = scene.tracks
    return Tracks(
        xy=tracks.xy[:, held],
        z=tracks.z[:, held],
        yaw=tracks.yaw[:, held],
        velocity=tracks.velocity[:, held],
        size=tracks.size,
        kind=tracks.kind,
        valid=tracks.valid[:, held] & logged,
        id=tracks.id,
    )


def tracks_during(scene: Scene, agents: ReactingAgents, *, t0: int, every: int = 1) -> Tracks:
    """All boxes of a rollout, `[a t]`: the log's, with the reacting agents where they drove; undoes `reacting_of`.

    Args:
        scene: The scene that was driven in.
        agents: Who left the log, over `t` instants.
        t0: Grid instant of sample 0.
        every: Grid steps between the instants of `agents`.
    """
    logged = replayed(scene, t0=t0, steps=agents.yaw.shape[1], every=every)
    xy, yaw, velocity, valid = (a.copy() for a in (logged.xy, logged.yaw, logged.velocity, logged.valid))
    xy[agents.index], yaw[agents.index] = agents.xy, agents.yaw
    velocity[agents.index], valid[agents.index] = agents.velocity, agents.valid
    return Tracks(
        xy=xy, yaw=yaw, velocity=velocity, valid=valid, z=logged.z, size=logged.size, kind=logged.kind, id=logged.id
    )
