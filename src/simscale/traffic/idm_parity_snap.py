"""Onto which lane NAVSIM's reactive traffic puts a vehicle, and where along it (`get_starting_segment`).

Lanes that hold the vehicle's centre come first, connectors count only inside an intersection. Compiled loops answer for
all vehicles of a frame at once; Shapely answers the same, one by one.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int
from numba import njit

from simscale.scene import RoadKind, RoadMap

Array = np.ndarray

HEADING_LOOKAHEAD = 0.5
"""A snapped vehicle looks at the point this far along its lane (`get_nearest_pose_from_position`), m."""

LANE, CONNECTOR, INTERSECTION = int(RoadKind.LANE), int(RoadKind.CONNECTOR), int(RoadKind.INTERSECTION)


@dataclass(frozen=True, kw_only=True)
class Snaps:
    """Where each of `v` vehicles would stand on the lane that it is on."""

    lane: Int[Array, " v"]  # element of the map; -1 for a vehicle on none, whose numbers below are arbitrary
    station: Float[Array, " v"]  # along the whole centre line, m
    pose: Float[Array, "v 3"]  # x, y, yaw
    distance: Float[Array, " v"]  # from the vehicle's centre, m
    in_intersection: Bool[Array, " v"]


def snaps_of(road: RoadMap, xy: Float[Array, "v 2"], yaw: Float[Array, " v"]) -> Snaps:
    """Snaps vehicles (centres in the world frame, headings).

    QUIRK (scoring.md 5.2): of several lanes, the smallest difference of headings wins, not wrapped, so that near +-pi
    the wrong lane may win.
    """
    count = len(yaw)
    lane, found = np.full(count, -1), np.zeros((count, 5))
    in_intersection = np.zeros(count, dtype=bool)
    held = np.zeros((count, len(road)), dtype=bool)
    rings, lines = (road.xy, road.start), (road.centre_xy, road.centre_start)
    _snap_all(road.kind, *rings, *lines, xy, yaw, held, lane, found, in_intersection)
    return Snaps(
        lane=lane,
        station=found[:, 0],
        pose=found[:, 1:4],
        distance=found[:, 4],
        in_intersection=in_intersection,
    )


@njit(cache=True)
@no_type_check
def _strictly_inside(xy, begin, end, x, y):
    """Whether a ring holds a point that is not on its edges."""
    inside, j = False, end - 1
    for i in range(begin, end):
        ax, ay, bx, by = xy[j, 0], xy[j, 1], xy[i, 0], xy[i, 1]
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if side == 0.0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return False
        if (by > y) != (ay > y) and (side > 0.0) == (by > ay):
            inside = not inside
        j = i
    return inside


@njit(cache=True)
@no_type_check
def _point_at(xy, begin, end, station):
    """The point of a polyline at a station, held at both ends."""
    left = max(station, 0.0)
    for i in range(begin, end - 1):
        dx, dy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
        length = np.sqrt(dx * dx + dy * dy)
        if left < length:
            return xy[i, 0] + left / length * dx, xy[i, 1] + left / length * dy
        left -= length
    return xy[end - 1, 0], xy[end - 1, 1]


@njit(cache=True)
@no_type_check
def _snap_to(xy, begin, end, x, y):
    """Station, pose and distance of the nearest point of a polyline; its heading is that of the next half metre."""
    best, station, passed = np.inf, 0.0, 0.0
    for i in range(begin, end - 1):
        dx, dy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
        px, py = x - xy[i, 0], y - xy[i, 1]
        length = np.sqrt(dx * dx + dy * dy)
        share = 0.0 if length == 0.0 else min(max((px * dx + py * dy) / (length * length), 0.0), 1.0)
        away = np.hypot(px - share * dx, py - share * dy)
        if away < best:
            best, station = away, passed + share * length
        passed += length
    here_x, here_y = _point_at(xy, begin, end, station)
    there_x, there_y = _point_at(xy, begin, end, station + HEADING_LOOKAHEAD)
    if here_x == there_x and here_y == there_y:  # at the lane's end: the heading of the last half metre
        behind_x, behind_y = _point_at(xy, begin, end, station - HEADING_LOOKAHEAD)
        return station, here_x, here_y, np.arctan2(here_y - behind_y, here_x - behind_x), best
    return station, here_x, here_y, np.arctan2(there_y - here_y, there_x - here_x), best


@njit(cache=True)
@no_type_check
def _holds(xy, begin, end, points, held, column):
    """Sets a column of `held` for the points that lie strictly inside one ring."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for i in range(begin, end):
        low_x, low_y = min(low_x, xy[i, 0]), min(low_y, xy[i, 1])
        high_x, high_y = max(high_x, xy[i, 0]), max(high_y, xy[i, 1])
    for v in range(len(points)):
        x, y = points[v, 0], points[v, 1]
        near = low_x <= x <= high_x and low_y <= y <= high_y
        held[v, column] = near and _strictly_inside(xy, begin, end, x, y)


@njit(cache=True)
@no_type_check
def _snap_all(kind, ring_xy, ring_start, line_xy, line_start, xy, yaw, held, lane, found, in_intersection):
    """Fills `lane`, `found` (station, x, y, yaw, distance) and `in_intersection`; `held` `[v m]` is room."""
    for m in range(len(kind)):
        if (kind[m] == LANE or kind[m] == CONNECTOR or kind[m] == INTERSECTION) and ring_start[m + 1] > ring_start[m]:
            _holds(ring_xy, ring_start[m], ring_start[m + 1], xy, held, m)
    for v in range(len(yaw)):
        wanted = CONNECTOR
        for m in range(len(kind)):
            if held[v, m] and kind[m] == LANE:
                wanted = LANE
            in_intersection[v] = in_intersection[v] or (held[v, m] and kind[m] == INTERSECTION)
        if wanted == CONNECTOR and not in_intersection[v]:
            continue
        least = np.inf
        for m in range(len(kind)):
            if held[v, m] and kind[m] == wanted and line_start[m + 1] - line_start[m] >= 2:
                station, x, y, heading, away = _snap_to(line_xy, line_start[m], line_start[m + 1], xy[v, 0], xy[v, 1])
                if abs(heading - yaw[v]) < least:
                    least, lane[v] = abs(heading - yaw[v]), m
                    found[v, 0], found[v, 1], found[v, 2], found[v, 3], found[v, 4] = station, x, y, heading, away


def exact_snaps_of(road: RoadMap, xy: Float[Array, "v 2"], yaw: Float[Array, " v"]) -> Snaps:
    """The same by Shapely, slowly."""
    lane, found = np.full(len(yaw), -1), np.zeros((len(yaw), 5))
    in_intersection = np.array([bool(_holding(road, point, RoadKind.INTERSECTION)) for point in xy], dtype=bool)
    for v in range(len(yaw)):
        lanes = _holding(road, xy[v], RoadKind.LANE)
        if not lanes and in_intersection[v]:
            lanes = _holding(road, xy[v], RoadKind.CONNECTOR)
        lanes = [m for m in lanes if len(road.centre_line(m)) >= 2]
        snaps = [_exact_snap_to(road, m, xy[v]) for m in lanes]
        if snaps:
            chosen = min(range(len(snaps)), key=lambda n: abs(snaps[n][3] - yaw[v]))
            lane[v], found[v] = lanes[chosen], snaps[chosen]
    return Snaps(
        lane=lane,
        station=found[:, 0],
        pose=found[:, 1:4],
        distance=found[:, 4],
        in_intersection=in_intersection,
    )


def _exact_snap_to(road: RoadMap, lane: int, xy: Float[Array, "2"]) -> tuple[float, float, float, float, float]:
    line, point = shapely.LineString(road.centre_line(lane)), shapely.Point(xy)
    station = float(line.project(point))
    here, there = line.interpolate(station), line.interpolate(station + HEADING_LOOKAHEAD)
    behind, before = here, there
    if there.equals(here):
        behind, before = line.interpolate(max(station - HEADING_LOOKAHEAD, 0.0)), here
    yaw = float(np.arctan2(before.y - behind.y, before.x - behind.x))
    return station, here.x, here.y, yaw, point.distance(here)


def _holding(road: RoadMap, xy: Float[Array, "2"], kind: RoadKind) -> list[int]:
    """Elements of a kind whose polygons strictly hold a point, in the order of the map."""
    elements = [int(m) for m in road.of_kind(kind) if road.start[m + 1] - road.start[m] >= 3]
    near = [m for m in elements if ((road.ring(m).min(axis=0) <= xy) & (xy <= road.ring(m).max(axis=0))).all()]
    return [m for m in near if shapely.contains_xy(shapely.Polygon(road.ring(m)), *xy)]
