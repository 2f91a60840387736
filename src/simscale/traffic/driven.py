"""What each logged vehicle drives: its own path with its own timing on it, and the lanes beyond the end of its track.

A log is a solution of its traffic, so the best path of a vehicle is the one it drove. Its *station* at each instant is
its timing; traffic that nothing holds up repeats it exactly.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter1d

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import project, stations_of, without_repeats
from simscale.scene import Scene, TrackKind
from simscale.scene.routing import extended, lane_of_each, path_of
from simscale.traffic.corridor import SPACING
from simscale.traffic.rules import TrafficRules

Array = np.ndarray

KEPT_SPACING = 0.5
"""Logged places closer than this to the last one kept are the jitter of a standing vehicle, m (ours)."""
STANDING_PATH = 1.5
"""A vehicle whose whole path is shorter stood all the time: it replays, m (ours)."""
MOVING = 0.5
"""A vehicle faster than this at its track's end goes on along the lanes, m/s (ours)."""
BEYOND = 200.0
"""How far it can go on, m (ours)."""
BLEND = 20.0
"""It drifts to the lane's centre over this length, m (ours)."""
FREE_SPEED_WINDOW = 20.0
"""A late vehicle is bound to the highest logged speed this far to either side, m (ours)."""
SLOWEST_FREE_SPEED = 2.0
"""Free speed is never below this, or a queue would never dissolve, m/s (ours)."""
ACCEL_SPAN = 5
"""Instants over which a logged acceleration is taken (ours)."""
TANGENT_REACH = 2
"""Samples to either side over which the direction of travel is measured: 1 m smooths detections (ours)."""


@dataclass(frozen=True, kw_only=True)
class DrivenPath:
    """One vehicle's path, sampled every `SPACING` m, and its timing."""

    samples: Float[Array, "p 6"]  # columns as in corridor.py
    length: float  # m
    station: Float[Array, " t"]  # logged, never falling; held outside the track
    speed: Float[Array, " t"]  # along the path as logged, m/s
    accel: Float[Array, " t"]  # mean of the logged one over the next 0.5 s, m/s^2
    there: Bool[Array, " t"]  # in the log, or unseen for a short while
    logged_xy: Float[Array, "t 2"]  # m, interpolated where unseen
    logged_yaw: Float[Array, " t"]
    driven_lanes: Int[Array, " r"]  # lanes and connectors under the logged path
    lanes_beyond: Int[Array, " n"]  # those that it would go on along; none where its track ends for good


def driven_path(scene: Scene, agent: int, rules: TrafficRules) -> DrivenPath | None:
    """Path and timing of one track; None for what replays: no vehicle, never moving, never on a lane."""
    tracks = scene.tracks
    seen = np.flatnonzero(tracks.valid[agent])
    if tracks.kind[agent] != TrackKind.VEHICLE or len(seen) < 2:
        return None
    instants = np.arange(len(scene))
    xy = np.stack([np.interp(instants, seen, tracks.xy[agent, seen, i]) for i in (0, 1)], axis=-1)
    yaw = np.interp(instants, seen, np.unwrap(tracks.yaw[agent, seen]))
    kept = kept_places(xy, seen)
    at_kept = stations_of(xy[kept])
    if at_kept[-1] < STANDING_PATH:
        return None
    lanes = lane_of_each(scene.road, xy[kept], yaw[kept])
    if (lanes < 0).all():
        return None
    station = logged_stations(xy, kept, at_kept)
    speed = logged_speeds(station, seen, scene.dt)
    goes_on = lanes[-1] >= 0 and speed[seen[-1]] > MOVING and _forwards(xy[kept], yaw[kept[-1]])
    beyond = extended(scene.road, lanes[-1:] if goes_on else lanes[:0], length=BEYOND)
    samples, length = _sampled(scene, xy[kept], yaw[kept], station, speed, beyond, rules)
    return DrivenPath(
        samples=samples,
        length=length,
        station=station,
        speed=speed,
        accel=logged_accels(speed, seen, scene.dt),
        there=bridged(tracks.valid[agent], round(rules.bridged_gap / scene.dt)),
        logged_xy=xy,
        logged_yaw=np.where(tracks.valid[agent], tracks.yaw[agent], wrap(yaw)),
        driven_lanes=np.unique(lanes[lanes >= 0]),
        lanes_beyond=beyond,
    )


def _sampled(
    scene: Scene,
    line: Float[Array, "k 2"],
    yaw: Float[Array, " k"],
    station: Float[Array, " t"],
    speed: Float[Array, " t"],
    lanes: Int[Array, " n"],
    rules: TrafficRules,
) -> tuple[Float[Array, "p 6"], float]:
    """Samples of a `DrivenPath`, along the logged line and then the lanes beyond it, and its length, m."""
    centre = path_of(scene.road, lanes)
    whole = np.concatenate([line, _beyond(centre, line[-1])])
    logged_length, length = float(stations_of(line)[-1]), float(stations_of(whole)[-1])
    samples = np.arange(max(int(np.ceil(length / SPACING)), 1) + 1) * SPACING
    places, tangent = _places_at(whole, samples)
    past = (samples > logged_length) & (len(lanes) > 0)
    body = np.interp(samples, stations_of(line), yaw)
    drift = np.arctan2(tangent[past, 1], tangent[past, 0])
    body[past] = np.unwrap(np.append(yaw[-1], drift))[1:]
    limit = _limits_beyond(scene, places, past, lanes, centre, rules, fastest=float(speed.max()))
    free = free_speeds(samples, station, speed, tangent, limit, past, rules)
    table = np.concatenate([places, tangent, body[:, None], free[:, None]], axis=1)
    return table, length


def bridged(valid: Bool[Array, " t"], longest: int) -> Bool[Array, " t"]:
    """`valid`, with gaps of at most `longest` instants inside the track filled."""
    seen = np.flatnonzero(valid)
    filled = valid.copy()
    for before, after in pairwise(seen.tolist()):
        if 1 < after - before <= longest + 1:
            filled[before:after] = True
    return filled


def kept_places(xy: Float[Array, "t 2"], seen: Int[Array, " n"]) -> Int[Array, " k"]:
    """Instants whose places make the path: each at least `KEPT_SPACING` from the one before, and the last one."""
    kept = [int(seen[0])]
    x, y = xy[seen[0]]
    for i, (px, py) in zip(seen[1:].tolist(), xy[seen[1:]].tolist(), strict=True):
        if (px - x) ** 2 + (py - y) ** 2 >= KEPT_SPACING**2:
            kept.append(i)
            x, y = px, py
    if np.hypot(*(xy[seen[-1]] - xy[kept[-1]])) > KEPT_SPACING / 5:
        kept.append(int(seen[-1]))
    return np.array(kept)


def logged_stations(xy: Float[Array, "t 2"], kept: Int[Array, " k"], at_kept: Float[Array, " k"]) -> Float[Array, " t"]:
    """Station at every instant: projection onto the stretch of path being driven, never falling."""
    instants = np.arange(len(xy))
    leg = np.clip(np.searchsorted(kept, instants, side="right") - 1, 0, len(kept) - 2)
    step = xy[kept[leg + 1]] - xy[kept[leg]]
    long = at_kept[leg + 1] - at_kept[leg]
    along = ((xy - xy[kept[leg]]) * step).sum(-1) / long
    station = at_kept[leg] + np.clip(along, 0.0, long)
    station[: kept[0]], station[kept[-1] :] = 0.0, at_kept[-1]
    return np.maximum.accumulate(station)


def logged_speeds(station: Float[Array, " t"], seen: Int[Array, " n"], dt: float) -> Float[Array, " t"]:
    """Speed along the path, m/s: the mean over 0.4 s around each instant (less at the ends); 0 while standing."""
    steps = np.arange(len(station))
    before, after = np.clip(steps - 2, seen[0], seen[-1] - 1), np.clip(steps + 2, seen[0] + 1, seen[-1])
    speed = (station[after] - station[before]) / ((after - before) * dt)
    still = station == station[np.minimum(steps + 1, seen[-1])]
    return np.where(still & (steps < seen[-1]), 0.0, speed)


def logged_accels(speed: Float[Array, " t"], seen: Int[Array, " n"], dt: float) -> Float[Array, " t"]:
    """Mean acceleration over the next `ACCEL_SPAN` instants, m/s^2; fewer before the track's end."""
    steps = np.arange(len(speed))
    after = np.clip(steps + ACCEL_SPAN, seen[0] + 1, seen[-1])
    before = np.minimum(steps, after - 1)
    return (speed[after] - speed[before]) / ((after - before) * dt)


def free_speeds(
    samples: Float[Array, " p"],
    station: Float[Array, " n"],
    speed: Float[Array, " n"],
    tangent: Float[Array, "p 2"],
    limit: Float[Array, " p"],
    past: Bool[Array, " p"],
    rules: TrafficRules,
) -> Float[Array, " p"]:
    """Free speed at each sample, m/s: `catch_up` times the log's highest speed thereabouts, or `limit` `past` the log.

    Curves bound it, and so does what lies ahead: no place needs more than `decel` to reach the next one's speed.
    """
    here = np.interp(samples, station, speed)
    highest = maximum_filter1d(here, 2 * round(FREE_SPEED_WINDOW / SPACING) + 1, mode="nearest")
    free = np.where(past, limit, rules.catch_up * highest)
    turn = np.abs(tangent[:-1, 0] * tangent[1:, 1] - tangent[:-1, 1] * tangent[1:, 0]) / SPACING
    curvature = np.maximum(np.append(turn, 0.0), np.append(0.0, turn))
    bound = np.sqrt(rules.curve_accel / np.maximum(curvature, 1e-6))
    free = np.minimum(free, np.where(past, bound, np.maximum(bound, here)))
    free = np.maximum(free, SLOWEST_FREE_SPEED)
    energy = free**2 + 2 * rules.decel * samples
    reachable = np.minimum.accumulate(energy[::-1])[::-1] - 2 * rules.decel * samples
    return np.sqrt(reachable)


def _forwards(line: Float[Array, "n 2"], yaw: float) -> bool:
    """Whether a vehicle at the end of its path faces where it goes."""
    return bool((line[-1] - line[-2]) @ direction(np.array(yaw)) > 0)


def _beyond(centre: Float[Array, "m 2"], start: Float[Array, "2"]) -> Float[Array, "n 2"]:
    """The centre of lanes from beside `start` on, shifted onto `start` and drifting to the centre over `BLEND`."""
    if len(centre) < 2:
        return np.zeros((0, 2))
    station = stations_of(centre)
    begin = float(project(centre, start[None])[0][0])
    count = int((station[-1] - begin) / 2.0)
    if count < 1:
        return np.zeros((0, 2))
    gone = np.arange(count + 1) * 2.0
    places = np.stack([np.interp(begin + gone, station, centre[:, i]) for i in (0, 1)], axis=-1)
    share = np.clip(1 - gone / BLEND, 0.0, 1.0)
    eased = share * share * (3 - 2 * share)
    return without_repeats(places + eased[:, None] * (start - places[0]), closer_than=0.1)[1:]


def _places_at(
    line: Float[Array, "n 2"], samples: Float[Array, " p"]
) -> tuple[Float[Array, "p 2"], Float[Array, "p 2"]]:
    """Places and directions of travel at the samples; the last sample may lie past the end, straight on."""
    station = stations_of(line)
    excess = max(samples[-1] - station[-1], 0.0)
    last = (line[-1] - line[-2]) / max(station[-1] - station[-2], 1e-9)
    line = np.concatenate([line, [line[-1] + last * (excess + 1.0)]])
    station = np.append(station, station[-1] + excess + 1.0)
    places = np.stack([np.interp(samples, station, line[:, i]) for i in (0, 1)], axis=-1)
    index = np.arange(len(samples))
    chord = places[np.minimum(index + TANGENT_REACH, len(index) - 1)] - places[np.maximum(index - TANGENT_REACH, 0)]
    size = np.linalg.norm(chord, axis=-1, keepdims=True)
    return places, np.where(size > 1e-6, chord / np.maximum(size, 1e-6), [1.0, 0.0])


def _limits_beyond(
    scene: Scene,
    places: Float[Array, "p 2"],
    past: Bool[Array, " p"],
    lanes: Int[Array, " r"],
    centre: Float[Array, "m 2"],
    rules: TrafficRules,
    *,
    fastest: float,
) -> Float[Array, " p"]:
    """Free speed past the track's end: the lane's limit, else from the fastest ego nearby, else `fastest`, m/s."""
    limit = np.full(len(places), fastest)
    if not past.any():
        return limit
    ego_xy, ego_speed = scene.ego.xy[::5], scene.ego.speed[::5]
    away = np.linalg.norm(places[past][:, None] - ego_xy, axis=-1)
    nearby = np.where(away <= rules.free_speed_radius, ego_speed, -np.inf).max(axis=1)
    limit[past] = np.where(nearby > MOVING, rules.free_speed_factor * nearby, fastest)
    ends = np.cumsum([stations_of(scene.road.centre_line(int(lane)))[-1] for lane in lanes])
    along = project(centre, places[past])[0]
    lane = lanes[np.minimum(np.searchsorted(ends, along), len(lanes) - 1)]
    limit[past] = np.where(scene.road.has_speed_limit[lane], scene.road.speed_limit[lane], limit[past])
    return limit
