"""What the auxiliary heads are taught: the vehicles around the ego, and a semantic map of the ground ahead.

Both are in the ego frame (rear axle, x forward, y left). Agrees with `TransfuserTargetBuilder` of the reference
(planners.md, section 1.4). Plain NumPy, so that samples can be made where there is no torch.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numba import njit

from simscale.dataset.raster import draw_line, fill_polygon
from simscale.geometry.boxes import corners_of
from simscale.geometry.se2 import to_child
from simscale.scene import CarState, RoadKind, RoadMap, TrackKind, Tracks

Array = np.ndarray


class BevClass(IntEnum):
    """What a cell of the semantic map shows; a higher class is painted over a lower one."""

    NOTHING = 0
    ROAD = 1
    WALKWAY = 2
    CENTRE_LINE = 3
    STATIC_OBJECT = 4
    VEHICLE = 5
    PEDESTRIAN = 6


ROAD_KINDS = (RoadKind.LANE, RoadKind.INTERSECTION, RoadKind.DRIVABLE)
"""The reference's, and (ours) DRIVABLE: nuPlan has none, and maps without it lack half of their lanes' polygons."""
LINE_KINDS = (RoadKind.LANE, RoadKind.CONNECTOR)
STATIC_KINDS = (TrackKind.CZONE_SIGN, TrackKind.BARRIER, TrackKind.TRAFFIC_CONE, TrackKind.GENERIC_OBJECT)


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """Reach and resolution; the defaults are the reference's."""

    agents: int = 30  # the nearest
    agent_range: float = 32.0  # a vehicle further ahead or aside is not a target, m
    map_range: float = 32.0  # an element of the road map with no part in this radius is not drawn, m
    rows: int = 128  # of the semantic map, from the rear axle forward
    columns: int = 256  # from right to left, the ego in the middle
    cell: float = 0.25  # m


TARGETS = TargetConfig()


def agent_targets(
    tracks: Tracks, ego: CarState, *, config: TargetConfig = TARGETS
) -> tuple[Float32[Array, "n 5"], Bool[Array, " n"]]:
    """The vehicles nearest to the ego, nearest first, and which rows hold one; the others are 0.

    Args:
        tracks: One instant [a 1].
        ego: One state [].
        config: Reach and number.

    Returns:
        x, y, heading (ego frame), length, width; and whether the row holds a vehicle.
    """
    xy, yaw = to_child(tracks.xy[:, 0], tracks.yaw[:, 0], frame_xy=ego.xy, frame_yaw=float(ego.yaw))
    seen = tracks.valid[:, 0] & (tracks.kind == TrackKind.VEHICLE) & (np.abs(xy) <= config.agent_range).all(axis=1)
    found = np.flatnonzero(seen)
    found = found[np.argsort(np.hypot(*xy[found].T), kind="stable")][: config.agents]
    states = np.zeros((config.agents, 5), dtype=np.float32)
    states[: len(found)] = np.column_stack([xy, yaw, tracks.size[:, :2]])[found]
    return states, np.arange(config.agents) < len(found)


def bev_semantic_map(
    road: RoadMap, tracks: Tracks, ego: CarState, *, config: TargetConfig = TARGETS
) -> UInt8[Array, "rows columns"]:
    """The ground ahead of the ego as classes (`BevClass`): row 0 at the rear axle, column 0 rightmost.

    Args:
        road: The map around the ego.
        tracks: One instant [a 1].
        ego: One state [].
        config: Reach and resolution.
    """
    canvas = np.zeros((config.rows, config.columns), dtype=np.uint8)
    pose = np.array([*ego.xy, float(ego.yaw)])
    near = _near(road.xy, road.start, road.centre_xy, road.centre_start, pose, config.map_range)
    for kinds, label in ((ROAD_KINDS, BevClass.ROAD), ((RoadKind.WALKWAY,), BevClass.WALKWAY)):
        chosen = np.flatnonzero(near & np.isin(road.kind, kinds))
        _paint(canvas, road.xy, road.start, chosen, pose, config.cell, int(label), True)
    chosen = np.flatnonzero(near & np.isin(road.kind, LINE_KINDS))
    _paint(canvas, road.centre_xy, road.centre_start, chosen, pose, config.cell, int(BevClass.CENTRE_LINE), False)

    corners = corners_of(tracks.xy[:, 0], tracks.yaw[:, 0], tracks.size[:, 0], tracks.size[:, 1]).reshape(-1, 2)
    start = np.arange(len(tracks.kind) + 1) * 4
    for kinds, label in (
        (STATIC_KINDS, BevClass.STATIC_OBJECT),
        ((TrackKind.VEHICLE,), BevClass.VEHICLE),
        ((TrackKind.PEDESTRIAN,), BevClass.PEDESTRIAN),
    ):
        chosen = np.flatnonzero(tracks.valid[:, 0] & np.isin(tracks.kind, kinds))
        _paint(canvas, corners, start, chosen, pose, config.cell, int(label), True)
    return canvas


@njit(cache=True)
@no_type_check
def _paint(canvas, xy, start, chosen, pose, cell, label, filled):
    """Paints polygons or lines `chosen` of a ragged set; cells by truncation towards 0, as the reference's."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    for m in chosen:
        n = start[m + 1] - start[m]
        row, column = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        for i in range(n):
            dx, dy = xy[start[m] + i, 0] - pose[0], xy[start[m] + i, 1] - pose[1]
            row[i] = int((dx * cos + dy * sin) / cell)
            column[i] = int((dy * cos - dx * sin) / cell + canvas.shape[1] / 2)
        if filled and n >= 3:
            fill_polygon(canvas, row, column, label)
        elif not filled and n >= 2:
            draw_line(canvas, row, column, label)


@njit(cache=True)
@no_type_check
def _near(xy, start, line_xy, line_start, pose, reach):
    """Which elements have a part within `reach` of the ego: of their polygon, or of their line where they have none."""
    near = np.zeros(len(start) - 1, dtype=np.bool_)
    for m in range(len(near)):
        if start[m + 1] - start[m] >= 3:
            near[m] = _reaches(xy, start[m], start[m + 1], pose, reach, True)
        else:
            near[m] = _reaches(line_xy, line_start[m], line_start[m + 1], pose, reach, False)
    return near


@njit(cache=True)
@no_type_check
def _reaches(xy, begin, end, pose, reach, closed):
    inside = False
    for i in range(begin, end):
        j = i - 1 if i > begin else (end - 1 if closed else begin)
        ax, ay, bx, by = xy[j, 0] - pose[0], xy[j, 1] - pose[1], xy[i, 0] - pose[0], xy[i, 1] - pose[1]
        dx, dy = bx - ax, by - ay
        squared = dx * dx + dy * dy
        u = 0.0 if squared == 0.0 else min(max(-(ax * dx + ay * dy) / squared, 0.0), 1.0)
        if (ax + u * dx) ** 2 + (ay + u * dy) ** 2 <= reach * reach:
            return True
        if (ay > 0.0) != (by > 0.0) and ax - ay * dx / dy > 0.0:
            inside = not inside
    return closed and inside
