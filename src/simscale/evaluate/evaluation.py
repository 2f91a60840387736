"""An agent on a split: every token planned, driven and judged; then one number, with how sure it is.

A token whose plan fails is listed and counted, and lowers the coverage that stands beside every score; it never ends
an evaluation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from simscale.evaluate.agents import Agent
from simscale.evaluate.aggregate import Group, TwoStage, token_columns, two_frame_comfort, two_stage
from simscale.evaluate.judge import TRAFFIC, Around, Judged, judged
from simscale.evaluate.starts import POSE_STEPS, POSES, Split, Start, human_plan
from simscale.scene import BadInput, CarState, Plan
from simscale.scoring.human_filter import SUB_SCORES
from simscale.scoring.rules import PARITY, ScoringRules

Array = np.ndarray

CHUNK = 32
"""Starts that an agent plans for at once."""
DEFAULT_TRAFFIC = {1: "replay", 2: "idm-sound"}
"""By the number of stages. Both stages of navhard have NAVSIM's reactive traffic; sound traffic is the default here, as
NAVSIM's drives through red lights and stops at the end of every lane (PDM-Closed then collides in 18 % of the second
stage instead of 3 %), and takes ten times as long, 62 ms a token instead of 5 (ours)."""
STATES = 41
"""States of a drive."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an agent did at every token of a split; rows are the split's starts."""

    protocol: str
    agent: str
    split: Split
    traffic: str
    columns: Float[Array, "n 10"]  # in the order of `COLUMNS`; NaN where not scored
    scored: Bool[Array, " n"]
    failures: tuple[tuple[str, str], ...]  # (token, what went wrong)
    plan: Float[Array, "n 8 3"]  # x, y, yaw every 0.5 s in the ego frame; m, rad
    ego: CarState  # as driven, [n 41]
    end_xy: Float[Array, "n 2"]  # of the plan, m
    ade: Float[Array, " n"]  # mean distance of the plan's poses to the human's, first stage, m
    fde: Float[Array, " n"]  # of the last of them
    two_stages: TwoStage | None
    of_law: dict[str, TwoStage]  # with the second-stage starts of one law alone

    @property
    def coverage(self) -> float:
        """Share of the tokens that are scored."""
        return float(self.scored.mean()) if len(self.scored) else 0.0


def protocol_of(split: Split, traffic: str) -> str:
    """Everything that makes scores comparable, as one name."""
    return f"{split.name}-{split.size}/epdms-v2.2/{traffic}/human-filter-fixed"


def traffic_name(stages: int, traffic: str = "") -> str:
    """The traffic that is asked for, or the default for so many stages."""
    return traffic or DEFAULT_TRAFFIC[stages]


def evaluated(
    split: Split,
    agent: Agent,
    *,
    traffic: str = "",
    rules: ScoringRules = PARITY,
    on_done: Callable[[int], None] = lambda tokens: None,
) -> Evaluation:
    """Evaluates an agent.

    Args:
        split: Where.
        agent: Whom.
        traffic: A name of `TRAFFIC`; the split's own where empty.
        rules: Of the score.
        on_done: Told how many more tokens are done.
    """
    traffic = traffic_name(split.stages, traffic)
    around = TRAFFIC[traffic]()
    drives: list[Judged | None] = []
    plans: list[Plan | None] = []
    failures: list[tuple[str, str]] = []
    for first in range(0, len(split.starts), CHUNK):
        starts = split.starts[first : first + CHUNK]
        for start, (plan, reason) in zip(starts, planned(agent, starts), strict=True):
            drive = None
            if plan is not None:
                drive, reason = _judged(start, plan, around, rules)
            if drive is None:
                failures.append((start.token, reason))
            plans.append(plan)
            drives.append(drive)
        on_done(len(starts))
    return _evaluation(split, agent, traffic, rules, plans, drives, tuple(failures))


def planned(agent: Agent, starts: Sequence[Start]) -> list[tuple[Plan | None, str]]:
    """A plan `[t]` a start, or why there is none; what fails in a batch is asked for again alone.

    Raises:
        BadInput: Something that the agent needs is missing at all starts.
    """
    try:
        plan = agent.plan(starts)
    except BadInput:  # no token's fault: what the agent needs is not there
        raise
    except Exception as error:  # whatever an agent does, the others' tokens are judged
        if len(starts) > 1:
            return [planned(agent, [start])[0] for start in starts]
        return [(None, f"{type(error).__name__}: {error}")]
    finite = np.asarray(np.isfinite(plan.xy).all(axis=(1, 2)) & np.isfinite(plan.yaw).all(axis=1))
    return [
        (Plan(xy=plan.xy[k], yaw=plan.yaw[k], dt=plan.dt), "") if finite[k] else (None, "a plan that is not finite")
        for k in range(len(starts))
    ]


def _judged(start: Start, plan: Plan, around: Around, rules: ScoringRules) -> tuple[Judged | None, str]:
    try:
        drive = judged(start, plan, around=around, rules=rules)
    except Exception as error:  # a plan so wild that it cannot be driven or scored
        return None, f"{type(error).__name__}: {error}"
    return (drive, "") if np.isfinite(drive.sub_scores).all() else (None, "a drive that is not finite")


def _evaluation(
    split: Split,
    agent: Agent,
    traffic: str,
    rules: ScoringRules,
    plans: list[Plan | None],
    drives: list[Judged | None],
    failures: tuple[tuple[str, str], ...],
) -> Evaluation:
    scored = np.array([drive is not None for drive in drives], dtype=bool)
    sub_scores = np.full((len(drives), len(SUB_SCORES)), np.nan)
    states, end_xy = np.full((len(drives), STATES, 11), np.nan), np.full((len(drives), 2), np.nan)
    poses = np.full((len(drives), POSES, 3), np.nan)
    for n, (drive, plan) in enumerate(zip(drives, plans, strict=True)):
        if drive is not None and plan is not None:
            sub_scores[n], states[n], end_xy[n] = drive.sub_scores, drive.ego.packed(), drive.planned_end_xy
            poses[n] = _every_half_second(plan)
    ego = CarState.unpacked(states)
    columns = token_columns(sub_scores, _extended(split, ego, scored, rules), rules)
    columns[~scored] = np.nan
    away = np.stack([_away(start, poses[n]) for n, start in enumerate(split.starts)])
    return Evaluation(
        protocol=protocol_of(split, traffic),
        agent=agent.name,
        split=split,
        traffic=traffic,
        columns=columns,
        scored=scored,
        failures=failures,
        plan=poses,
        ego=ego,
        end_xy=end_xy,
        ade=away.mean(axis=1),
        fde=away[:, -1],
        two_stages=_two_stages(split, split.groups, columns, end_xy, scored) if split.groups else None,
        of_law={law: _two_stages(split, groups_of_law(split, law), columns, end_xy, scored) for law in laws_of(split)},
    )


def laws_of(split: Split) -> tuple[str, ...]:
    """Laws of its second-stage starts, in the order in which they first occur."""
    return tuple(dict.fromkeys(start.law for start in split.starts if start.law))


def groups_of_law(split: Split, law: str) -> tuple[Group, ...]:
    """The same groups with the second-stage starts of one law alone."""
    drawn = np.array([start.law == law for start in split.starts])
    return tuple(Group(now=g.now, prev=g.prev, pairs=g.pairs[drawn[g.pairs[:, 0]]]) for g in split.groups)


def _two_stages(split: Split, groups: tuple[Group, ...], columns: Array, end_xy: Array, scored: Array) -> TwoStage:
    start_xy = np.stack([start.ego.xy for start in split.starts])
    return two_stage(columns, groups, end_xy=end_xy, start_xy=start_xy, scored=scored)


def _extended(split: Split, ego: CarState, scored: Array, rules: ScoringRules) -> Float[Array, " n"]:
    """Extended comfort of each token; NaN where it has no partner.

    One stage: only the later of two frames has one. Two stages: both rows of a pair get its value (scoring.md 7).
    """
    extended = np.full(len(scored), np.nan)
    if len(split.pairs) == 0:
        return extended
    pairs = split.pairs[scored[split.pairs].all(axis=1)]
    vehicle = split.scenes[0].vehicle
    value = two_frame_comfort(ego, pairs, vehicle=vehicle, rules=rules)
    extended[pairs[:, 0]] = value
    if split.stages == 2:
        extended[pairs[:, 1]] = value
    return extended


def _every_half_second(plan: Plan) -> Float[Array, "8 3"]:
    every = round(POSE_STEPS * 0.1 / plan.dt)
    return np.concatenate([plan.xy, plan.yaw[:, None]], axis=1)[every - 1 :: every]


def _away(start: Start, poses: Float[Array, "8 3"]) -> Float[Array, "8"]:
    """Distances to the human at the same times; NaN in the second stage, where no human was."""
    if start.stage == 2:
        return np.full(POSES, np.nan)
    return np.hypot(*(poses[:, :2] - human_plan(start).xy).T)
