"""Constant velocity: whoever is there at the decision point goes straight on as it moves then; nobody else appears."""

from dataclasses import dataclass

import numpy as np

from simscale.scene import CarState, EgoVehicle, Scene, Tracks
from simscale.traffic.replay import rollout_of
from simscale.traffic.rollout import TrafficRollout, TrafficState, for_each, overlaps_ego, straight_on
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class ConstantVelocity:
    """Traffic that keeps its velocity; see `constant_velocity`."""

    tracks: Tracks  # [a 1], at the decision point
    t0: int
    dropped: int

    def start(self) -> TrafficState:
        """State at the decision point."""
        speed = self.tracks.speed[:, 0]
        present = np.ones(len(speed), dtype=bool)
        return TrafficState(instant=self.t0, progress=np.zeros(len(speed)), speed=speed, present=present)

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """The same straight drives beside each ego."""
        rollouts, samples = ego.yaw.shape
        gone = state.instant - self.t0
        ahead = straight_on(self.tracks, gone + samples - 1).at(gone, gone + samples)
        return rollout_of(for_each(ahead, rollouts), state.instant)


def constant_velocity(scene: Scene, t0: int, *, vehicle: EgoVehicle, rules: TrafficRules) -> ConstantVelocity:
    """Constant-velocity traffic at a decision point; tracks that touch the ego there are dropped."""
    touching = overlaps_ego(scene, t0, vehicle)
    there = scene.tracks.valid[:, t0]
    near = np.linalg.norm(scene.tracks.xy[:, t0] - scene.ego.xy[t0], axis=-1) <= rules.radius
    taking_part = np.flatnonzero(there & near & ~touching)
    here = scene.tracks.of_agents(taking_part).at(t0, t0 + 1)
    return ConstantVelocity(tracks=here, t0=t0, dropped=int(touching.sum()))
