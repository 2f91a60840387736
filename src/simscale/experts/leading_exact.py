"""The slow twin of leading.py: the same driving with every question asked of the geometry library itself.

Objects are polygons in an STR tree, whose order of answers decides ties as in the reference (`PDMGenerator`).
"""

import numpy as np
import shapely
from jaxtyping import Float

from simscale.experts.forecast import ego_polygon
from simscale.experts.rules import PdmClosedRules
from simscale.experts.way import Way
from simscale.geometry.boxes import corners_of
from simscale.scene import DT

Array = np.ndarray


def drive_path_exact(way: Way, path: int, targets: Array, done: int, station: Array, speed: Array, lead: Array) -> None:
    """Drives proposals of a path on from sample `done`; writes `station`, `speed [v t]` and `lead [v t 3]`."""
    rules = way.rules
    for step in range(done + 1, station.shape[1]):
        if step % rules.lead_every == 0:
            lead[:, step] = _leads(way, path, step, station[:, step - 1])
        else:
            lead[:, step] = lead[:, step - 1]
        v = speed[:, step - 1]
        station[:, step] = station[:, step - 1] + DT * v
        speed[:, step] = v + DT * _accelerations(v, station[:, step - 1], lead[:, step], targets, rules)


def _accelerations(v: Array, station: Array, lead: Array, targets: Array, rules: PdmClosedRules) -> Float[Array, " v"]:
    """The intelligent driver model (`IDMPolicy` of the reference)."""
    closing = v * (v - lead[:, 1]) / (2 * np.sqrt(rules.accel_max * rules.decel_max))
    wanted = rules.min_gap + rules.headway * v + closing
    gap = np.maximum(lead[:, 0] - station - lead[:, 2], rules.min_gap)
    accel = rules.accel_max * (1 - (v / targets) ** rules.exponent - (wanted / gap) ** 2)
    return np.clip(accel, -rules.decel_max, rules.accel_max)


def _leads(way: Way, path: int, step: int, station: Float[Array, " v"]) -> Float[Array, "v 3"]:
    """Leading object of each proposal of a path at an even step, through one reused vector."""
    forecast = way.forecast
    sample = min(step, forecast.xy.shape[1] - 1)
    corners = corners_of(forecast.xy[:, sample], forecast.yaw[:, sample], forecast.size[:, 0], forecast.size[:, 1])
    boxes = np.asarray(shapely.polygons(corners), dtype=object)
    objects = np.concatenate([boxes, way.red])
    hits = shapely.STRtree(objects).query(way.corridors[path], predicate="intersects")
    middles = shapely.LineString(way.paths.xy[path]).project(shapely.centroid(objects[hits]))
    xy, yaw = way.paths.poses(path, station)
    ego = np.asarray(ego_polygon(xy, yaw, vehicle=way.vehicle))
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
            shared[0], shared[2] = float(way.paths.station[path, -1]), way.vehicle.length / 2
        found[i] = shared
    return found
