"""A start: everything that an agent may know, and a judge must know, at one token of an evaluation.

First-stage starts are instants of a log. Second-stage starts are states that no log holds; their traffic has already
reacted to how the ego came there.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from simscale.evaluate.aggregate import Group
from simscale.generate.place import Place, place_of
from simscale.geometry.se2 import to_child
from simscale.scene import CarState, Plan, Scene, Tracks
from simscale.traffic.rollout import TrafficState

Array = np.ndarray

POSES = 8
"""Poses of a plan, every 0.5 s."""
POSE_STEPS = 5
"""Grid steps between them."""
HISTORY_FIRST, HISTORY_LAST = 15, 1
"""QUIRK: a logged start's history for comfort is the 14 samples from -1.5 to -0.2 s (scoring.md 4.10)."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """One token."""

    token: str
    scene: Scene
    line: Array  # centre line of the scene's route, [n 2], m
    instant: int  # of the scene's grid: now
    stage: int  # 1, or 2
    law: str  # that drew a second-stage start; empty in the first stage
    ego: CarState  # now, []
    history: CarState  # before now at 10 Hz, [h]
    tracks: Tracks  # everybody now, [a 1]
    anchor: int  # instant at which its traffic left the log
    traffic_state: TrafficState | None  # of sound reactive traffic now; None where it is the log's
    expert: Plan  # of PDM-Closed from here, [40]

    @property
    def place(self) -> Place:
        """Road, lights and route around it."""
        return place_of(self.scene, self.instant, centre_line=self.line)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Tokens to be judged by, and which of them belong together."""

    name: str
    size: str
    scenes: tuple[Scene, ...]
    starts: tuple[Start, ...]
    drive: Int[Array, " n"]  # number of the scene of each start
    groups: tuple[Group, ...]  # of two stages; none in a split of one
    pairs: Int[Array, "p 2"]  # (now, prev): drives that extended comfort compares

    @property
    def stages(self) -> int:
        """1 or 2."""
        return 2 if self.groups else 1

    @property
    def digest(self) -> str:
        """Of all that its starts are: evaluations are comparable where it is the same."""
        content = hashlib.sha256()
        for start in self.starts:
            content.update(start.token.encode())
            for array in (
                start.ego.packed(),
                start.history.packed(),
                start.tracks.xy,
                start.tracks.yaw,
                start.expert.xy,
            ):
                content.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return content.hexdigest()


def logged_state(state: CarState) -> CarState:
    """States of a log as the reference reads them: it holds no turning, and wheels are straight (scoring.md 3.1)."""
    none = np.zeros_like(state.yaw)
    return replace(state, steer=none, steer_rate=none, yaw_rate=none, yaw_accel=none)


def logged_history(scene: Scene, instant: int) -> CarState:
    """The history that comfort puts before a logged start, [14]."""
    return logged_state(scene.ego[instant - HISTORY_FIRST : instant - HISTORY_LAST])


def human_plan(start: Start) -> Plan:
    """Where the human of the log is every 0.5 s, seen from a start, [8]."""
    due = start.instant + POSE_STEPS * np.arange(1, POSES + 1)
    human = start.scene.ego
    xy, yaw = to_child(human.xy[due], human.yaw[due], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    return Plan(xy=xy, yaw=yaw, dt=POSE_STEPS * start.scene.dt)
