"""Sound reactive traffic: the log's own drives, and an intelligent driver where something departs from them.

Each vehicle keeps its logged path and timing. When the ego, or somebody whom the ego held up, stands in its way, it
brakes as the intelligent driver model (Treiber, Hennecke & Helbing 2000) does, and catches up afterwards. Past the end
of its track it goes on along the lanes. Everything that is no vehicle, never moves or was never on a lane replays.

What depends on the log alone is prepared once (`prepare`) and serves every decision point in it.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import project
from simscale.geometry.se2 import rotate
from simscale.scene import DT, CarState, EgoVehicle, Scene, Tracks
from simscale.traffic.corridor import COLUMNS
from simscale.traffic.driven import MOVING, DrivenPath, driven_path
from simscale.traffic.idm_kernel import (
    ACCEL,
    DRIVEN,
    LOG_COLUMNS,
    SPEED,
    STATION,
    THERE,
    TURN,
    VX,
    VY,
    YAW,
    Rules,
    World,
    X,
    Y,
    roll_batch,
)
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
    z: Float[Array, "a t"]  # of the box centres, m; the nearest seen one where a track is not valid


def prepare(scene: Scene, *, rules: TrafficRules) -> LogTraffic:
    """Paths and timing of all of a log's vehicles; the slow part of `idm`."""
    driven = tuple(driven_path(scene, agent, rules) for agent in range(len(scene.tracks.kind)))
    z, instants = np.zeros_like(scene.tracks.z), np.arange(len(scene))
    for agent, seen in enumerate(scene.tracks.valid):
        if seen.any():
            z[agent] = np.interp(instants, instants[seen], scene.tracks.z[agent, seen])
    return LogTraffic(scene=scene, rules=rules, driven=driven, z=z)


@dataclass(frozen=True, kw_only=True)
class Idm:
    """Sound reactive traffic at one decision point; see `idm`."""

    of_log: LogTraffic
    t0: int
    vehicle: EgoVehicle
    agents: Int[Array, " a"]  # rows in the scene's tracks of those who take part
    tracks: Tracks  # theirs, over the whole log
    world: World
    dropped: int

    def start(self) -> TrafficState:
        """State at the decision point: everybody is where the log says."""
        here = self.world.log[self.t0, :-1]
        there = here[:, THERE] > 0
        return TrafficState(instant=self.t0, progress=here[:, STATION], speed=here[:, SPEED], present=there)

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """Rolls `state` on beside egos `[k t]`."""
        rollouts, samples = ego.yaw.shape
        shape = (rollouts, samples, len(self.agents))
        progress, speed, present = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
        progress[:, 0], speed[:, 0], present[:, 0] = state.progress, state.speed, state.present
        box = np.zeros((rollouts, samples, len(self.agents) + 1, 6))
        world, last = self.world, state.instant + samples
        if last > len(world.log):
            world = world._replace(log=log_table(self.of_log, self.agents, self.vehicle, last))
        roll_batch(world, ego_boxes(ego, self.vehicle), state.instant, progress, speed, present, box)
        return TrafficRollout(
            instant=state.instant,
            tracks=_tracks_of(self.tracks, box[:, :, :-1].swapaxes(1, 2), present.swapaxes(1, 2), state.instant),
            progress=progress.swapaxes(1, 2),
            speed=speed.swapaxes(1, 2),
            present=present.swapaxes(1, 2),
        )


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
    return Idm(
        of_log=of_log,
        t0=t0,
        vehicle=vehicle,
        agents=agents,
        tracks=replace(scene.tracks, z=of_log.z).of_agents(agents),
        world=world_of(of_log, agents, vehicle),
        dropped=int(touching.sum()),
    )


def ego_boxes(ego: CarState, vehicle: EgoVehicle) -> Float[Array, "*b 6"]:
    """Boxes of an ego as the kernel reads them: centre, yaw, the centre's velocity in the world, yaw rate."""
    sideways = ego.yaw_rate * vehicle.rear_axle_to_centre
    at_centre = np.stack([ego.velocity[..., 0], ego.velocity[..., 1] + sideways], axis=-1)
    turning = [ego.yaw[..., None], rotate(at_centre, ego.yaw), ego.yaw_rate[..., None]]
    return np.ascontiguousarray(np.concatenate([ego.centre_xy(vehicle), *turning], axis=-1))


def world_of(of_log: LogTraffic, agents: Int[Array, " a"], vehicle: EgoVehicle) -> World:
    """The kernel's tables for these agents; a replaying agent's path is empty."""
    scene, rules = of_log.scene, of_log.rules
    driven = [of_log.driven[i] for i in agents]
    paths = [np.zeros((0, COLUMNS)) if path is None else path.samples for path in driven]
    stops = [np.zeros((0, 2)) if path is None else stops_on(scene, path) for path in driven]
    cast = np.zeros((len(agents) + 1, 3))
    cast[:-1, :2], cast[-1, :2] = scene.tracks.size[agents, :2], (vehicle.length, vehicle.width)
    cast[:-1, DRIVEN] = [path is not None for path in driven]
    constants = {name: float(getattr(rules, name)) for name in Rules._fields if name != "dt"}
    return World(
        log=log_table(of_log, agents, vehicle, len(scene) + COASTED),
        light=np.ascontiguousarray(scene.lights.state),
        cast=cast,
        path=np.concatenate([np.zeros((0, COLUMNS)), *paths]),
        path_start=np.cumsum([0, *(len(path) for path in paths)]),
        path_length=np.array([0.0 if path is None else path.length for path in driven]),
        stop=np.concatenate([np.zeros((0, 2)), *stops]),
        stop_start=np.cumsum([0, *(len(rows) for rows in stops)]),
        rules=Rules(**constants, dt=scene.dt),
    )


def stops_on(scene: Scene, path: DrivenPath) -> Float[Array, "n 2"]:
    """Stations at which a path enters lanes that lights govern, m, and the rows of these lights."""
    if len(scene.lights.element) == 0:
        return np.zeros((0, 2))
    own = np.concatenate([path.driven_lanes, path.lanes_beyond])
    met = []
    for row in np.flatnonzero(np.isin(scene.lights.element, own)):
        line = scene.road.centre_line(int(scene.lights.element[row]))
        station, aside = project(path.samples[:, :2], line[:1])
        if abs(aside[0]) < LIGHT_DISTANCE:
            met.append((station[0], float(row)))
    return np.array(met).reshape(-1, 2)


def log_table(
    of_log: LogTraffic, agents: Int[Array, " a"], vehicle: EgoVehicle, until: int
) -> Float[Array, "t a1 columns"]:
    """The log as the kernel reads it, over instants 0 to `until - 1`, some of which may lie past its end."""
    scene = of_log.scene
    tracks = logged(scene.tracks.of_agents(agents), 0, until)
    log = np.zeros((len(agents) + 1, until, LOG_COLUMNS))
    log[:-1, :, X : Y + 1], log[:-1, :, YAW], log[:-1, :, THERE] = tracks.xy, tracks.yaw, tracks.valid
    log[:-1, :, VX : VY + 1] = np.where(tracks.valid[..., None], tracks.velocity, 0.0)
    log[:-1, :, SPEED] = np.hypot(log[:-1, :, VX], log[:-1, :, VY])
    log[-1, : len(scene), :THERE], log[-1, : len(scene), THERE] = ego_boxes(scene.ego, vehicle), 1.0
    for row, agent in enumerate(agents):
        path = of_log.driven[agent]
        if path is not None:
            _enter(log[row], path, len(scene), seen=scene.tracks.valid[agent])
    return np.ascontiguousarray(log.swapaxes(0, 1))


def _enter(log: Float[Array, "t columns"], path: DrivenPath, end: int, *, seen: Bool[Array, " n"]) -> None:
    """Writes a driven agent's timing into its rows; past the log's end it has none, unless it stands there."""
    log[:end, STATION], log[end:, STATION] = path.station, path.station[-1]
    log[:end, SPEED], log[end:, SPEED] = path.speed, 0.0
    log[:end, ACCEL] = path.accel
    log[:end, THERE], log[end:, THERE] = path.there, path.there[-1] and path.speed[-1] < MOVING
    log[:end, X : Y + 1], log[:end, YAW] = path.logged_xy, path.logged_yaw
    log[:end, VX : VY + 1][~seen] = (path.speed[:, None] * direction(path.logged_yaw))[~seen]
    turned = np.unwrap(path.logged_yaw)
    log[2 : end - 2, TURN] = (turned[4:] - turned[:-4]) / (4 * DT)
    log[end:, : YAW + 1], log[end:, VX : TURN + 1] = log[end - 1, : YAW + 1], 0.0


def _tracks_of(tracks: Tracks, box: Float[Array, "k a t 6"], present: Bool[Array, "k a t"], first: int) -> Tracks:
    instants = np.clip(np.arange(first, first + present.shape[-1]), 0, tracks.z.shape[-1] - 1)
    return Tracks(
        xy=box[..., X : Y + 1],
        z=np.broadcast_to(tracks.z[:, instants], present.shape),
        yaw=wrap(box[..., YAW]),
        velocity=box[..., VX : VY + 1],
        size=np.broadcast_to(tracks.size, (len(present), *tracks.size.shape)),
        kind=np.broadcast_to(tracks.kind, (len(present), len(tracks.kind))),
        valid=present,
        id=tracks.id,
    )
