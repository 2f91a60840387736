"""Samples and rejections made of small numbers, for the tests of what stores and draws them."""

import numpy as np

from simscale.generate.sample import (
    SUB_SCORES,
    ExpertLabel,
    ReactingAgents,
    Rejection,
    Sample,
    no_agents,
)
from simscale.scene import PACIFICA, CarState, Plan


def made_plan(rng: np.random.Generator) -> Plan:
    return Plan(xy=rng.normal(size=(40, 2)), yaw=rng.normal(size=40), dt=0.1)


def made_ego(rng: np.random.Generator) -> CarState:
    return CarState.unpacked(rng.normal(size=(50, 11)))


def made_agents(rng: np.random.Generator, count: int) -> ReactingAgents:
    return ReactingAgents(
        index=np.arange(count),
        xy=rng.normal(size=(count, 50, 2)),
        yaw=rng.normal(size=(count, 50)),
        velocity=rng.normal(size=(count, 50, 2)),
        valid=rng.random((count, 50)) < 0.9,
    )


def made_label(rng: np.random.Generator, name: str, *, accepted: bool = True) -> ExpertLabel:
    scores = np.ones(len(SUB_SCORES))
    scores[4] = np.nan
    return ExpertLabel(
        name=name,
        accepted=accepted,
        stage="" if accepted else "score",
        reason="" if accepted else "drivable_area",
        plan=made_plan(rng),
        ego=made_ego(rng),
        agents=made_agents(rng, 2),
        sub_scores=scores,
        progress_m=float(rng.normal()),
    )


def made_sample(seed: int, *, log: str = "log", t0: int = 20, round: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    parent = f"{log}-{t0:04d}"
    return Sample(
        token=f"{parent}-00{round}",
        parent_token=parent,
        log=log,
        location="somewhere",
        round=round,
        seed=0,
        code_version="0.1.0",
        t0=t0,
        vehicle=PACIFICA,
        candidate=17,
        plan=made_plan(rng),
        ego=made_ego(rng),
        agents=made_agents(rng, 3),
        deviation=rng.normal(size=3),
        human_failed=("time_to_collision",),
        human_moves=True,
        experts=(made_label(rng, "planner"), made_label(rng, "recovery", accepted=False)),
    )


def made_rejection(*, reason: str = "collision", expert: str = "", log: str = "log", t0: int = 20) -> Rejection:
    return Rejection(
        token=f"{log}-{t0:04d}",
        log=log,
        round=1,
        stage="perturb" if not expert else "score",
        expert=expert,
        reason=reason,
        t0=t0,
        path=np.arange(27.0).reshape(9, 3),
        agents=no_agents(0),
    )
