"""The reference's way along its paths: exact polygons, its order of ties, its slips (`PDMGenerator`).

Three slips are copied on purpose (scoring.md, 6.4): the first step looks at a lead of zeros, so every proposal of a
moving car brakes hard for 0.1 s; one lead vector is reused over the proposals of a path, so that a red light or the
path's end inherits the speed of an earlier proposal's lead; the speed may fall below 0.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float

from simscale.experts.forecast import ego_polygon
from simscale.experts.paths import Paths
from simscale.experts.rules import PdmClosedRules
from simscale.geometry.boxes import corners_of
from simscale.scene import DT, EgoVehicle, Tracks

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Unrolled:
    """How each of `p` proposals goes along its path; proposal `q * v + i` drives path `q` with target speed `i`."""

    station: Float[Array, "p t"]  # of the rear axle, m
    speed: Float[Array, "p t"]
    lead: Float[Array, "p t 3"]  # station of the leading object, its speed, its own rear length


def follow_reference(
    paths: Paths,
    forecast: Tracks,
    red_lights: list[Float[Array, "_ 2"]],
    *,
    start_xy: Float[Array, "2"],
    start_speed: float,
    targets: Float[Array, " v"],
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
    steps: int,
) -> Unrolled:
    """Unrolls a proposal for each path and target speed.

    Args:
        paths: The parallel paths.
        forecast: Objects [a t] without those that overlap the ego now.
        red_lights: Rings of the lanes before which a light is red; they stay red.
        start_xy: Rear axle now, m.
        start_speed: Forward, m/s.
        targets: Target speeds, m/s.
        vehicle: The ego's dimensions.
        rules: Constants of the driver model.
        steps: Of 0.1 s.
    """
    found = []
    for path in range(len(paths.yaw)):
        start = float(shapely.LineString(paths.xy[path]).project(shapely.Point(start_xy)))
        ones = np.ones((len(targets), 1))
        begun = Unrolled(station=ones * start, speed=ones * start_speed, lead=np.zeros((len(targets), 1, 3)))
        lane = _lane_of(paths, path, start, targets, vehicle, rules)
        found.append(_follow_path(lane, forecast, red_lights, begun, steps))
    return Unrolled(
        station=np.concatenate([one.station for one in found]),
        speed=np.concatenate([one.speed for one in found]),
        lead=np.concatenate([one.lead for one in found]),
    )


def extended_reference(
    unrolled: Unrolled,
    proposal: int,
    paths: Paths,
    forecast: Tracks,
    red_lights: list[Float[Array, "_ 2"]],
    *,
    targets: Float[Array, " v"],
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
    steps: int,
) -> Unrolled:
    """One proposal alone, driven on to `steps`: the reference's output is 10 steps longer than what it scores.

    Args are those of `follow_reference`; the result has one row.
    """
    path, target = divmod(proposal, len(targets))
    lane = _lane_of(paths, path, unrolled.station[proposal, 0], targets, vehicle, rules)
    alone = slice(proposal, proposal + 1)
    return _follow_path(
        replace(lane, targets=targets[target : target + 1]),
        forecast,
        red_lights,
        Unrolled(station=unrolled.station[alone], speed=unrolled.speed[alone], lead=unrolled.lead[alone]),
        steps,
    )


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """One path with what the reference caches for it."""

    paths: Paths
    path: int
    line: shapely.LineString
    corridor: shapely.Geometry  # what the car may sweep; leading objects touch it
    targets: Array  # [v]
    vehicle: EgoVehicle
    rules: PdmClosedRules


def _lane_of(
    paths: Paths, path: int, start: float, targets: Array, vehicle: EgoVehicle, rules: PdmClosedRules
) -> _Lane:
    reach = start + rules.corridor_seconds * float(np.abs(targets.max()))
    ahead = (paths.station[path] >= start) & (paths.station[path] <= reach)
    vertices = paths.xy[path][ahead]
    # The reference takes whole vertices only; a path that has fewer than two ahead has no corridor.
    ahead_line = shapely.LineString(vertices) if len(vertices) > 1 else shapely.LineString()
    return _Lane(
        paths=paths,
        path=path,
        line=shapely.LineString(paths.xy[path]),
        corridor=ahead_line.buffer(vehicle.width / 2, cap_style="square"),
        targets=targets,
        vehicle=vehicle,
        rules=rules,
    )


def _follow_path(lane: _Lane, forecast: Tracks, red_lights: list[Array], begun: Unrolled, steps: int) -> Unrolled:
    """Drives proposals of one path on from the last sample of `begun`."""
    rules, done = lane.rules, begun.speed.shape[1] - 1
    more = ((0, 0), (0, steps - done))
    station, speed = np.pad(begun.station, more), np.pad(begun.speed, more)
    lead = np.pad(begun.lead, (*more, (0, 0)))
    red = np.array([shapely.Polygon(ring) for ring in red_lights], dtype=object)
    for step in range(done + 1, steps + 1):
        if step % rules.lead_every == 0:
            lead[:, step] = _leads(lane, forecast, red, step, station[:, step - 1])
        else:
            lead[:, step] = lead[:, step - 1]
        v = speed[:, step - 1]
        station[:, step] = station[:, step - 1] + DT * v
        speed[:, step] = v + DT * _accelerations(v, station[:, step - 1], lead[:, step], lane.targets, rules)
    return Unrolled(station=station, speed=speed, lead=lead)


def _accelerations(v: Array, station: Array, lead: Array, targets: Array, rules: PdmClosedRules) -> Float[Array, " v"]:
    """The intelligent driver model (`IDMPolicy` of the reference)."""
    closing = v * (v - lead[:, 1]) / (2 * np.sqrt(rules.accel_max * rules.decel_max))
    wanted = rules.min_gap + rules.headway * v + closing
    gap = np.maximum(lead[:, 0] - station - lead[:, 2], rules.min_gap)
    accel = rules.accel_max * (1 - (v / targets) ** rules.exponent - (wanted / gap) ** 2)
    return np.clip(accel, -rules.decel_max, rules.accel_max)


def _leads(lane: _Lane, forecast: Tracks, red: Array, step: int, station: Float[Array, " v"]) -> Float[Array, "v 3"]:
    """Leading object of each proposal of a path at an even step, through one reused vector."""
    sample = min(step, forecast.xy.shape[1] - 1)
    boxes = _polygons(
        corners_of(forecast.xy[:, sample], forecast.yaw[:, sample], forecast.size[:, 0], forecast.size[:, 1])
    )
    objects = np.concatenate([boxes, red])
    hits = shapely.STRtree(objects).query(lane.corridor, predicate="intersects")
    middles = lane.line.project(shapely.centroid(objects[hits]))
    xy, yaw = lane.paths.poses(lane.path, station)
    ego = np.asarray(ego_polygon(xy, yaw, vehicle=lane.vehicle))
    shared, found = np.zeros(3), np.zeros((len(station), 3))
    for i in range(len(station)):
        ahead = hits[middles > station[i]]
        if len(ahead):
            distances = shapely.distance(objects[ahead], ego[i])
            nearest = int(ahead[np.argmin(distances)])
            shared[0], shared[2] = station[i] + distances.min(), 0.0
            if nearest < len(boxes):
                velocity = forecast.velocity[nearest, sample]
                along = np.cos(forecast.yaw[nearest, sample] - yaw[i])
                shared[1] = np.hypot(*velocity) * along
        else:
            shared[0], shared[2] = float(lane.paths.station[lane.path, -1]), lane.vehicle.length / 2
        found[i] = shared
    return found


def _polygons(corners: Float[Array, "a 4 2"]) -> Array:
    return np.asarray(shapely.polygons(corners), dtype=object)
