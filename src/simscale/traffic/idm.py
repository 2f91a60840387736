"""Sound reactive traffic: the log's own drives, and an intelligent driver where something departs from them.

Each vehicle keeps its logged path and timing. When the ego, or somebody whom the ego held up, stands in its way, it
brakes as the intelligent driver model (Treiber, Hennecke & Helbing 2000) does, and catches up afterwards. Past the end
of its track it goes on along the lanes. Everything that is no vehicle, never moves or was never on a lane replays.

What depends on the log alone is prepared once (`prepare`) and serves every decision point in it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import project
from simscale.geometry.se2 import rotate
from simscale.scene import CarState, EgoVehicle, Scene, Tracks
from simscale.traffic.corridor import Paths
from simscale.traffic.driven import MOVING, DrivenPath, driven_path
from simscale.traffic.idm_kernel import Cast, Log, Rules, World, roll_batch
from simscale.traffic.rollout import TrafficRollout, TrafficState, agents_nearby, logged, overlaps_ego
from simscale.traffic.rules import TrafficRules

Array = np.ndarray

COASTED = 100
"""Instants past the log's end that the tables hold at once (ours)."""
LIGHT_DISTANCE = 5.0
"""A governed lane begins at most this far from the path of a vehicle that drives on it, m (ours)."""


@dataclass(frozen=True, kw_only=True)
class LogTraffic:
    """What sound traffic knows of a log, whatever the decision point."""

    scene: Scene
    rules: TrafficRules
    driven: tuple[DrivenPath | None, ...]  # one a track; None replays


def prepare(scene: Scene, *, rules: TrafficRules) -> LogTraffic:
    """Paths and timing of all of a log's vehicles; the slow part of `idm`."""
    driven = tuple(driven_path(scene, agent, rules) for agent in range(len(scene.tracks.kind)))
    return LogTraffic(scene=scene, rules=rules, driven=driven)


@dataclass(frozen=True, kw_only=True)
class Idm:
    """Sound reactive traffic at one decision point; see `idm`."""

    of_log: LogTraffic
    t0: int
    vehicle: EgoVehicle
    agents: Int[Array, " a"]  # rows in the scene's tracks of those who take part
    tracks: Tracks  # theirs, over the whole log
    paths: Paths
    log: Log
    cast: Cast
    dropped: int

    def start(self) -> TrafficState:
        """State at the decision point: everybody is where the log says."""
        return TrafficState(
            instant=self.t0,
            progress=self.log.station[:, self.t0],
            speed=self.log.speed[:, self.t0],
            present=self.log.there[:, self.t0],
        )

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """Rolls `state` on beside egos `[k t]`."""
        rollouts, samples = ego.yaw.shape
        shape = (rollouts, len(self.agents), samples)
        progress, speed, present = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
        for whole, now in ((progress, state.progress), (speed, state.speed), (present, state.present)):
            whole[..., 0] = now
        boxes = np.zeros((*shape, 6))
        last = state.instant + samples
        log = self.log if last <= self.log.there.shape[1] else log_of(self.of_log, self.agents, self.vehicle, last)
        rules = kernel_rules(self.of_log.rules, dt=self.of_log.scene.dt)
        world = World(log=log, paths=self.paths, cast=self.cast, rules=rules)
        roll_batch(world, ego_boxes(ego, self.vehicle), state.instant, progress, speed, present, boxes)
        tracks = _tracks_of(self.tracks, boxes, present, state.instant)
        return TrafficRollout(instant=state.instant, tracks=tracks, progress=progress, speed=speed, present=present)


def idm(scene: Scene, t0: int, *, vehicle: EgoVehicle, rules: TrafficRules, prepared: LogTraffic | None = None) -> Idm:
    """Sound reactive traffic at a decision point.

    Args:
        scene: The log.
        t0: Instant of the decision point.
        vehicle: The ego's true box.
        rules: Constants.
        prepared: What `prepare` made of the same scene and rules; without it, it is made here.
    """
    assert prepared is None or (prepared.scene is scene and prepared.rules == rules)
    of_log = prepared or prepare(scene, rules=rules)
    touching = overlaps_ego(scene, t0, vehicle)
    agents = np.flatnonzero(agents_nearby(scene, t0, radius=rules.radius, horizon=rules.horizon) & ~touching)
    tracks = scene.tracks.of_agents(agents)
    return Idm(
        of_log=of_log,
        t0=t0,
        vehicle=vehicle,
        agents=agents,
        tracks=tracks,
        paths=paths_of(of_log, agents),
        log=log_of(of_log, agents, vehicle, len(scene) + COASTED),
        cast=Cast(
            length=np.append(tracks.size[:, 0], vehicle.length),
            width=np.append(tracks.size[:, 1], vehicle.width),
            driven=np.array([*(of_log.driven[i] is not None for i in agents), False]),
        ),
        dropped=int(touching.sum()),
    )


def ego_boxes(ego: CarState, vehicle: EgoVehicle) -> Float[Array, "*b 6"]:
    """Boxes of an ego as the kernel reads them: centre, yaw, the centre's velocity in the world, yaw rate."""
    sideways = ego.yaw_rate * vehicle.rear_axle_to_centre
    at_centre = np.stack([ego.velocity[..., 0], ego.velocity[..., 1] + sideways], axis=-1)
    return np.concatenate(
        [ego.centre_xy(vehicle), ego.yaw[..., None], rotate(at_centre, ego.yaw), ego.yaw_rate[..., None]], axis=-1
    )


def kernel_rules(rules: TrafficRules, *, dt: float) -> Rules:
    """The constants that the kernel reads."""
    return Rules(**{name: float(getattr(rules, name)) for name in Rules._fields if name != "dt"}, dt=dt)


def paths_of(of_log: LogTraffic, agents: Int[Array, " a"]) -> Paths:
    """The agents' paths as one ragged table; a replaying agent's path is empty."""
    driven = [of_log.driven[i] for i in agents]
    held = [path for path in driven if path is not None]
    lights = [lights_on(of_log.scene, path) if path is not None else np.zeros((0, 2)) for path in driven]
    xy = np.concatenate([np.zeros((0, 2)), *(path.xy for path in held)])
    tangent = np.concatenate([np.zeros((0, 2)), *(path.tangent for path in held)])
    met = np.concatenate([np.zeros((0, 2)), *lights])
    return Paths(
        start=np.cumsum([0, *(0 if path is None else len(path.yaw) for path in driven)]),
        x=xy[:, 0].copy(),
        y=xy[:, 1].copy(),
        tangent_x=tangent[:, 0].copy(),
        tangent_y=tangent[:, 1].copy(),
        yaw=np.concatenate([np.zeros(0), *(path.yaw for path in held)]),
        free_speed=np.concatenate([np.zeros(0), *(path.free_speed for path in held)]),
        length=np.array([0.0 if path is None else path.length for path in driven]),
        light_start=np.cumsum([0, *(len(rows) for rows in lights)]),
        light_station=met[:, 0].copy(),
        light_row=met[:, 1].astype(np.int64),
    )


def lights_on(scene: Scene, path: DrivenPath) -> Float[Array, "n 2"]:
    """Stations at which a path enters lanes that lights govern, m, and the rows of these lights."""
    own = np.concatenate([path.driven_lanes, path.lanes_beyond])
    met = []
    for row in np.flatnonzero(np.isin(scene.lights.element, own)):
        line = scene.road.centre_line(int(scene.lights.element[row]))
        station, aside = project(path.xy, line[:1])
        if abs(aside[0]) < LIGHT_DISTANCE:
            met.append((station[0], float(row)))
    return np.array(met).reshape(-1, 2)


def log_of(of_log: LogTraffic, agents: Int[Array, " a"], vehicle: EgoVehicle, until: int) -> Log:
    """The kernel's tables over instants 0 to `until - 1`, some of which may lie past the log's end."""
    scene = of_log.scene
    tracks = logged(scene.tracks.of_agents(agents), 0, until)
    seen = tracks.valid
    velocity = np.where(seen[..., None], tracks.velocity, 0.0)
    turning = np.zeros(seen.shape)
    box = np.concatenate([tracks.xy, tracks.yaw[..., None], velocity, turning[..., None]], axis=-1)
    log = Log(
        station=np.zeros(seen.shape),
        speed=np.linalg.norm(velocity, axis=-1),
        accel=np.zeros(seen.shape),
        there=seen.copy(),
        box=box,
        ego=np.zeros((until, 6)),
        ego_there=np.arange(until) < len(scene),
        light=np.ascontiguousarray(scene.lights.state),
    )
    log.ego[: len(scene)] = ego_boxes(scene.ego, vehicle)
    for row, agent in enumerate(agents):
        path = of_log.driven[agent]
        if path is not None:
            _enter(log, row, path, len(scene))
    return log


def _enter(log: Log, row: int, path: DrivenPath, end: int) -> None:
    """Writes a driven agent's timing into the tables; past the log's end it has none, unless it stands there."""
    log.station[row, :end], log.station[row, end:] = path.station, path.station[-1]
    log.speed[row, :end], log.speed[row, end:] = path.speed, 0.0
    log.accel[row, :end] = path.accel
    log.there[row, :end], log.there[row, end:] = path.there, path.there[-1] and path.speed[-1] < MOVING
    log.box[row, :end, :2], log.box[row, :end, 2] = path.logged_xy, path.logged_yaw
    log.box[row, end:, :3] = log.box[row, end - 1, :3]
    log.box[row, end:, 3:] = 0.0
    unseen = np.flatnonzero(path.there & (log.box[row, :end, 3:5] == 0.0).all(axis=-1))
    log.box[row, unseen, 3:5] = path.speed[unseen, None] * direction(path.logged_yaw[unseen])
    turned = np.unwrap(path.logged_yaw)
    log.box[row, 2 : end - 2, 5] = (turned[4:] - turned[:-4]) / 0.4


def _tracks_of(tracks: Tracks, boxes: Float[Array, "k a t 6"], present: Bool[Array, "k a t"], first: int) -> Tracks:
    rollouts, agents, samples = present.shape
    instants = np.arange(first, first + samples)
    z = np.zeros((agents, samples))
    for row in range(agents):
        seen = np.flatnonzero(tracks.valid[row])
        z[row] = np.interp(instants, seen, tracks.z[row, seen])
    return Tracks(
        xy=boxes[..., :2],
        z=np.broadcast_to(z, present.shape),
        yaw=wrap(boxes[..., 2]),
        velocity=boxes[..., 3:5],
        size=np.broadcast_to(tracks.size, (rollouts, agents, 3)),
        kind=np.broadcast_to(tracks.kind, (rollouts, agents)),
        valid=present,
        id=tracks.id,
    )
