"""Log replay: everybody does what the log says, whatever the ego does."""

from dataclasses import dataclass

import numpy as np

from simscale.scene import CarState, EgoVehicle, Scene, Tracks
from simscale.traffic.rollout import TrafficRollout, TrafficState, agents_nearby, for_each, logged, overlaps_ego
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The log's own traffic; see `replay`."""

    tracks: Tracks  # those that take part, over the whole log
    t0: int
    dropped: int

    def start(self) -> TrafficState:
        """State at the decision point."""
        here = self.tracks.at(self.t0, self.t0 + 1)
        return _state_of(here, self.t0)

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """The log beside each ego; who is there at the log's end goes on straight."""
        rollouts, samples = ego.yaw.shape
        ahead = for_each(logged(self.tracks, state.instant, state.instant + samples), rollouts)
        return rollout_of(ahead, state.instant)


def replay(scene: Scene, t0: int, *, vehicle: EgoVehicle, rules: TrafficRules) -> Replay:
    """Log replay at a decision point; tracks that touch the ego there are dropped."""
    touching = overlaps_ego(scene, t0, vehicle)
    nearby = agents_nearby(scene, t0, radius=rules.radius, horizon=rules.horizon)
    taking_part = np.flatnonzero(nearby & ~touching)
    return Replay(tracks=scene.tracks.of_agents(taking_part), t0=t0, dropped=int(touching.sum()))


def rollout_of(tracks: Tracks, instant: int) -> TrafficRollout:
    """Wraps tracks `[k a t]` that need no memory: progress stays 0."""
    return TrafficRollout(
        instant=instant,
        tracks=tracks,
        progress=np.zeros(tracks.valid.shape),
        speed=tracks.speed,
        present=tracks.valid,
    )


def _state_of(here: Tracks, instant: int) -> TrafficState:
    speed = here.speed[:, 0]
    return TrafficState(instant=instant, progress=np.zeros(len(speed)), speed=speed, present=here.valid[:, 0])
