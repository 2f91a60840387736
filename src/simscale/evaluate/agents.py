"""Agents: whoever can be evaluated. The four here read no images; they are the rows that every table needs.

Standing still scores about 50 from perturbed starts, above many a planner that learned from logs alone.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from simscale.evaluate.starts import POSE_STEPS, POSES, Start, human_plan
from simscale.geometry.angles import direction
from simscale.geometry.se2 import to_child
from simscale.scene import DT, Plan

Array = np.ndarray

STANDING_STEP = 0.03
"""A car that moves less in a step of 0.1 s keeps its heading, m."""


@runtime_checkable
class Agent(Protocol):
    """A driver: starts in, plans out."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def plan(self, starts: Sequence[Start]) -> Plan:
        """One plan a start, [k t]: 8 poses every 0.5 s, or 40 every 0.1 s."""
        ...


class StandStill:
    """Stays where it is, whatever its speed."""

    name = "stand-still"

    def plan(self, starts: Sequence[Start]) -> Plan:
        """Zeros."""
        return Plan(xy=np.zeros((len(starts), POSES, 2)), yaw=np.zeros((len(starts), POSES)), dt=POSE_STEPS * DT)


class ConstantVelocity:
    """Goes on straight ahead at its speed (`ConstantVelocityAgent` of NAVSIM)."""

    name = "constant-velocity"

    def plan(self, starts: Sequence[Start]) -> Plan:
        """Straight lines."""
        speed = np.array([float(start.ego.speed) for start in starts])
        x = speed[:, None] * POSE_STEPS * DT * np.arange(1, POSES + 1)
        return Plan(xy=np.stack([x, np.zeros_like(x)], axis=-1), yaw=np.zeros_like(x), dt=POSE_STEPS * DT)


class PdmClosed:
    """The planner with the true map and boxes, as the reference has it; the split holds its plans."""

    name = "pdm-closed"

    def plan(self, starts: Sequence[Start]) -> Plan:
        """Its choice at each start, 40 poses."""
        plans = [start.expert for start in starts]
        return Plan(xy=np.stack([plan.xy for plan in plans]), yaw=np.stack([plan.yaw for plan in plans]), dt=DT)


class Human:
    """Whoever drove the log.

    From a state that the human never was in, it is the human's own drive, onto which the car's offset fades smoothly
    (ours; the reference has no human there).
    """

    name = "human"

    def plan(self, starts: Sequence[Start]) -> Plan:
        """The logged future, [k 8]."""
        plans = [human_plan(start) if start.stage == 1 else faded_onto_human(start) for start in starts]
        xy, yaw = np.stack([plan.xy for plan in plans]), np.stack([plan.yaw for plan in plans])
        return Plan(xy=xy, yaw=yaw, dt=POSE_STEPS * DT)


def faded_onto_human(start: Start) -> Plan:
    """The human's future, from where the car is and as fast as it is, [8].

    The difference in position starts with the present one and its rate and dies out within the plan's 4 s; the car
    heads where that leads.
    """
    scene, now, steps = start.scene, start.instant, POSES * POSE_STEPS
    human = scene.ego[now : now + steps + 1]
    xy, yaw = to_child(human.xy, human.yaw, frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    rate = np.array([float(start.ego.velocity[0]), 0.0]) - float(human.velocity[0, 0]) * direction(yaw[0])
    share = np.arange(steps + 1) / steps
    hold = 1.0 - share**3 * (10.0 - 15.0 * share + 6.0 * share**2)  # from 1 to 0, flat at both ends
    leaving = share * (1.0 - share) ** 3 * (1.0 + 3.0 * share)  # from 0 to 0, slope 1 at first, flat at the end
    xy = xy - hold[:, None] * xy[0] + (steps * DT * leaving)[:, None] * rate
    xy[:, 0] = np.maximum.accumulate(xy[:, 0])  # a car ahead of the human waits, and does not back up
    step = np.gradient(xy, axis=0)
    moves = np.hypot(step[:, 0], step[:, 1]) > STANDING_STEP
    heading = np.where(moves, np.arctan2(step[:, 1], step[:, 0]), yaw - hold * yaw[0])
    every = slice(POSE_STEPS, None, POSE_STEPS)
    return Plan(xy=xy[every], yaw=heading[every], dt=POSE_STEPS * DT)


AGENTS: dict[str, Callable[[], Agent]] = {
    "human": Human,
    "pdm-closed": PdmClosed,
    "constant-velocity": ConstantVelocity,
    "stand-still": StandStill,
}
"""By the name that `simscale evaluate` takes; everything else is the path of a checkpoint."""
