"""Traffic as one interface: a state that can be rolled on beside an ego, as often and from wherever one likes.

A `Traffic` belongs to one decision point. It is asked for its state there (`start`) and rolls states forward (`roll`)
while it watches a batch of egos. Every sample of a rollout is again a state, so that a drive can be cut anywhere:
the perturbation's last sample starts the experts' rollouts.

Axes: `k` rollouts, `a` agents, `t` samples 0.1 s apart; sample 0 is the state that was rolled.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.boxes import boxes_overlap
from simscale.scene import CarState, EgoVehicle, Scene, Tracks

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class TrafficState:
    """All that traffic remembers at one instant; without a batch axis it is shared by all rollouts."""

    instant: int  # of the scene's grid; may lie past the log's end
    progress: Float[Array, "*b a"]  # station of the box centre on the agent's own path, m
    speed: Float[Array, "*b a"]  # along the path, m/s
    present: Bool[Array, "*b a"]


@dataclass(frozen=True, kw_only=True)
class TrafficRollout:
    """Traffic beside `k` egos."""

    instant: int  # of sample 0
    tracks: Tracks  # [k a t]
    progress: Float[Array, "k a t"]  # m
    speed: Float[Array, "k a t"]  # m/s
    present: Bool[Array, "k a t"]

    def state_at(self, k: int | slice | Int[Array, " n"], step: int) -> TrafficState:
        """State of rollout `k` (without a batch axis), or of several, at a sample, from which `roll` goes on."""
        return TrafficState(
            instant=self.instant + range(self.progress.shape[-1])[step],
            progress=self.progress[k, :, step],
            speed=self.speed[k, :, step],
            present=self.present[k, :, step],
        )


@runtime_checkable
class Traffic(Protocol):
    """How others react, at one decision point."""

    @property
    def dropped(self) -> int:
        """Tracks that overlapped the ego there and take no part."""
        ...

    def start(self) -> TrafficState:
        """State at the decision point."""
        ...

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """Rolls `state` on beside egos `[k t]`, the first sample of which is at the state's instant."""
        ...


def overlaps_ego(scene: Scene, t0: int, vehicle: EgoVehicle) -> Bool[Array, " a"]:
    """Tracks whose box touches the ego's at `t0`: errors of the log, which no drive could start from."""
    ego = scene.ego[t0]
    x, y = ego.centre_xy(vehicle)
    tracks = scene.tracks
    touched = np.zeros(len(tracks.kind), dtype=bool)
    for i in np.flatnonzero(tracks.valid[:, t0]):
        box = (*tracks.xy[i, t0], tracks.yaw[i, t0], *tracks.size[i, :2])
        touched[i] = boxes_overlap(x, y, float(ego.yaw), vehicle.length, vehicle.width, *box)
    return touched


def logged(tracks: Tracks, first: int, last: int) -> Tracks:
    """Instants `first` to `last - 1` as logged; whoever is there at the log's end goes on straight from it (ours)."""
    end = tracks.valid.shape[-1]
    inside = tracks.at(min(first, end), min(last, end))
    beyond = np.arange(max(first, end), last) - (end - 1)
    if len(beyond) == 0:
        return inside
    final = tracks.at(end - 1, end)
    velocity = np.where(np.isfinite(final.velocity) & final.valid[..., None], final.velocity, 0.0)

    def held(rows: Array, end_value: Array) -> Array:
        return np.concatenate([rows, np.repeat(end_value, len(beyond), axis=1)], axis=1)

    coasted = final.xy + velocity * (beyond * 0.1)[:, None]
    return Tracks(
        xy=np.concatenate([inside.xy, coasted], axis=1),
        z=held(inside.z, final.z),
        yaw=held(inside.yaw, final.yaw),
        velocity=held(inside.velocity, velocity),
        size=tracks.size,
        kind=tracks.kind,
        valid=held(inside.valid, final.valid),
        id=tracks.id,
    )


def agents_nearby(scene: Scene, t0: int, *, radius: float, horizon: float) -> Bool[Array, " a"]:
    """Tracks that are within `radius` (m) of the logged ego at some instant within `horizon` (s) after `t0`."""
    span = slice(t0, t0 + round(horizon / scene.dt) + 1)
    away = np.linalg.norm(scene.tracks.xy[:, span] - scene.ego.xy[span], axis=-1)
    return (scene.tracks.valid[:, span] & (away <= radius)).any(axis=1)


def for_each(tracks: Tracks, count: int) -> Tracks:
    """The same tracks for each of `count` rollouts (views, not copies)."""

    def spread(values: Array) -> Array:
        return np.broadcast_to(values, (count, *values.shape))

    return Tracks(
        xy=spread(tracks.xy),
        z=spread(tracks.z),
        yaw=spread(tracks.yaw),
        velocity=spread(tracks.velocity),
        size=spread(tracks.size),
        kind=spread(tracks.kind),
        valid=spread(tracks.valid),
        id=tracks.id,
    )


def straight_on(tracks: Tracks, steps: int) -> Tracks:
    """Tracks `[a 1]` and `steps` more samples of each at its own velocity."""
    later = np.arange(steps + 1) * 0.1
    span = (len(tracks.kind), steps + 1)
    velocity = np.broadcast_to(tracks.velocity, (*span, 2))
    return Tracks(
        xy=tracks.xy + velocity * later[:, None],
        z=np.broadcast_to(tracks.z, span),
        yaw=np.broadcast_to(tracks.yaw, span),
        velocity=velocity,
        size=tracks.size,
        kind=tracks.kind,
        valid=np.broadcast_to(tracks.valid, span),
        id=tracks.id,
    )
