"""Lanes that a path follows: map matching of a driven path, and where the road goes on from there.

Matching is a shortest path over (point, lane) pairs: each point of the path pays for its distance and angle to the
lane it is given to, each change of lane pays unless the map says that one lane follows the other. A point may also
be given to no lane at all, so that a detour over a car park leaves a gap and no nonsense.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from simscale.geometry.angles import wrap
from simscale.geometry.polylines import stations_of, without_repeats, yaw_along
from simscale.scene.road import RoadKind, RoadMap

Array = np.ndarray

POINT_SPACING = 1.0
"""Distance between the points of a path that are matched, m (ours)."""
MAX_OFFSET = 3.5
"""A lane whose centre line is farther than this from a point is no candidate, m (ours)."""
MAX_ANGLE = np.radians(60)
"""Nor is one that points elsewhere (ours)."""
OFFSET_SCALE, ANGLE_SCALE = 1.0, np.radians(20)
"""A point pays (offset / scale)^2 + (angle / scale)^2, so one lane width costs about 10 (ours)."""
NO_LANE_COST = 14.0
"""What a point pays that is given to no lane (ours)."""
SUCCESSOR_COST, NEIGHBOUR_COST, JUMP_COST = 0.0, 4.0, 30.0
"""What a change costs: to a successor, within a road block, to any other lane (ours)."""
ROUTE_BEYOND = 200.0
"""How far a stored route goes on past the last matched lane, m (ours)."""


@njit(cache=True)
@no_type_check
def _cost_of_lanes(points, yaw, lines, starts, max_offset, max_angle, offset_scale, angle_scale):
    """Cost `[point, lane]` of giving a point to a lane; infinite where the lane is no candidate."""
    cost = np.full((len(points), len(starts) - 1), np.inf)
    for lane in range(len(starts) - 1):
        begin, end = starts[lane], starts[lane + 1]
        if end - begin < 2:
            continue
        low_x, high_x = lines[begin:end, 0].min() - max_offset, lines[begin:end, 0].max() + max_offset
        low_y, high_y = lines[begin:end, 1].min() - max_offset, lines[begin:end, 1].max() + max_offset
        for p in range(len(points)):
            x, y = points[p, 0], points[p, 1]
            if not (low_x <= x <= high_x and low_y <= y <= high_y):
                continue
            best, heading = max_offset * max_offset, 0.0
            for i in range(begin, end - 1):
                dx, dy = lines[i + 1, 0] - lines[i, 0], lines[i + 1, 1] - lines[i, 1]
                px, py = x - lines[i, 0], y - lines[i, 1]
                squared = dx * dx + dy * dy
                if squared == 0.0:
                    continue
                u = min(max((px * dx + py * dy) / squared, 0.0), 1.0)
                d = (px - u * dx) ** 2 + (py - u * dy) ** 2
                if d < best:
                    best, heading = d, np.arctan2(dy, dx)
            if best < max_offset * max_offset:
                angle = abs((yaw[p] - heading + np.pi) % (2 * np.pi) - np.pi)
                if angle < max_angle:
                    cost[p, lane] = best / offset_scale**2 + (angle / angle_scale) ** 2
    return cost


@njit(cache=True)
@no_type_check
def _cheapest_sequence(cost, change, no_lane, jump):
    """Lane of each point (-1: none) on the cheapest way through `cost [n l]` with changes `change [l l]`."""
    points, lanes = cost.shape
    total = np.full((points, lanes + 1), np.inf)
    origin = np.full((points, lanes + 1), -1)
    total[0, :lanes] = cost[0]
    total[0, lanes] = no_lane
    for p in range(1, points):
        cheapest = np.argmin(total[p - 1])
        for b in range(lanes + 1):
            own = no_lane if b == lanes else cost[p, b]
            if own == np.inf:
                continue
            best, best_a = total[p - 1, b], b
            if total[p - 1, cheapest] + jump < best:
                best, best_a = total[p - 1, cheapest] + jump, cheapest
            if b < lanes:
                for a in range(lanes):
                    candidate = total[p - 1, a] + change[a, b]
                    if candidate < best:
                        best, best_a = candidate, a
            total[p, b] = best + own
            origin[p, b] = best_a
    sequence = np.empty(points, dtype=np.int64)
    at = np.argmin(total[points - 1])
    for p in range(points - 1, -1, -1):
        sequence[p] = -1 if at == lanes else at
        at = origin[p, at]
    return sequence


def lane_of_each(road: RoadMap, xy: Float[Array, "n 2"], yaw: Float[Array, " n"]) -> Int[Array, " n"]:
    """Lane or connector under each point of a driven path; -1 where it follows none."""
    lanes = road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    if len(lanes) == 0 or len(xy) == 0:
        return np.full(len(xy), -1)
    lengths = road.centre_start[lanes + 1] - road.centre_start[lanes]
    lines = np.concatenate([np.zeros((0, 2)), *[road.centre_line(int(lane)) for lane in lanes]])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    cost = _cost_of_lanes(
        np.ascontiguousarray(xy),
        np.ascontiguousarray(yaw),
        lines,
        starts,
        MAX_OFFSET,
        MAX_ANGLE,
        OFFSET_SCALE,
        ANGLE_SCALE,
    )
    near = np.flatnonzero(np.isfinite(cost).any(axis=0))
    if len(near) == 0:
        return np.full(len(xy), -1)
    found = _cheapest_sequence(
        np.ascontiguousarray(cost[:, near]), _change_costs(road, lanes[near]), NO_LANE_COST, JUMP_COST
    )
    return np.where(found >= 0, lanes[near][np.maximum(found, 0)], -1)


def _change_costs(road: RoadMap, lanes: Int[Array, " l"]) -> Float[Array, "l l"]:
    group = road.group[lanes]
    change = np.full((len(lanes), len(lanes)), JUMP_COST)
    change[(group[:, None] == group[None, :]) & (group[:, None] >= 0)] = NEIGHBOUR_COST
    place = np.full(len(road), -1)
    place[lanes] = np.arange(len(lanes))
    edges = place[road.next_lane]
    edges = edges[(edges >= 0).all(axis=1)]
    change[edges[:, 0], edges[:, 1]] = SUCCESSOR_COST
    np.fill_diagonal(change, 0.0)
    return change


def matched_lanes(road: RoadMap, xy: Float[Array, "t 2"], yaw: Float[Array, " t"]) -> Int[Array, " r"]:
    """Lanes and connectors that a path drives over, in order, gaps left out.

    Args:
        road: The map.
        xy: Points along the path in driving order, m; standing is fine.
        yaw: Heading at each, rad.
    """
    station = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    keep = np.unique(np.searchsorted(station, np.arange(0.0, station[-1] + POINT_SPACING, POINT_SPACING)))
    keep = keep[keep < len(xy)]
    lanes = lane_of_each(road, xy[keep], yaw[keep])
    lanes = lanes[lanes >= 0]
    sequence = lanes[np.concatenate([[True], lanes[1:] != lanes[:-1]])] if len(lanes) else lanes
    return _with_short_links(road, sequence)


def _with_short_links(road: RoadMap, sequence: Int[Array, " r"]) -> Int[Array, " r"]:
    """Fills in a lane so short that no point fell on it."""
    filled: list[int] = []
    for lane in sequence:
        if filled and lane not in (after := road.successors(filled[-1])):
            filled += [int(link) for link in after if lane in road.successors(int(link))][:1]
        filled.append(int(lane))
    return np.array(filled, dtype=np.int64)


def straightest_successor(road: RoadMap, lane: int) -> int:
    """The successor that turns least from end to end of lane and successor; -1 where the lane ends."""
    best, least = -1, np.inf
    here = yaw_along(road.centre_line(lane))[-1]
    for successor in road.successors(lane):
        turn = abs(float(wrap(yaw_along(road.centre_line(int(successor)))[-1] - here)))
        if turn < least:
            best, least = int(successor), turn
    return best


def extended(road: RoadMap, lanes: Int[Array, " r"], *, length: float) -> Int[Array, " n"]:
    """The lanes, continued by the smallest turn at every fork for `length` m, or until the map or a circle ends it."""
    going = [int(lane) for lane in lanes]
    gone = 0.0
    while going and gone < length:
        following = straightest_successor(road, going[-1])
        if following < 0 or following in going:
            break
        going.append(following)
        gone += stations_of(road.centre_line(following))[-1]
    return np.array(going, dtype=np.int64)


def path_of(road: RoadMap, lanes: Int[Array, " r"], *, blend: float = 15.0) -> Float[Array, "n 2"]:
    """Centre lines of a lane sequence, joined.

    Where the next lane does not start at the end of the last one (a lane change, a gap in the map), the step to the
    side is spread over `blend` m of the following lane, so that the path has no kink.
    """
    path = np.zeros((0, 2))
    for lane in lanes:
        line = road.centre_line(int(lane))
        if len(line) < 2:
            continue
        path = line if len(path) == 0 else _joined(path, line, blend)
    return without_repeats(path, closer_than=1e-3)


def _joined(path: Float[Array, "n 2"], line: Float[Array, "m 2"], blend: float) -> Float[Array, "k 2"]:
    gap = line[0] - path[-1]
    if np.hypot(*gap) < 0.5:
        return np.concatenate([path, line])
    ahead = np.array([np.cos(yaw_along(path)[-1]), np.sin(yaw_along(path)[-1])])
    if gap @ ahead > 0 and abs(gap @ np.array([-ahead[1], ahead[0]])) < 0.5:
        return np.concatenate([path, line])
    # A lane change: the two lanes run side by side. Keep what lies before the new lane, then drift onto it.
    behind = (path - line[0]) @ (line[1] - line[0]) < 0
    kept = path[behind] if behind.any() else path[:1]
    station = stations_of(line)
    moved = line[station > min(blend, station[-1] * 0.9)]
    return np.concatenate([kept, moved if len(moved) else line[-1:]])


def route_of(road: RoadMap, xy: Float[Array, "t 2"], yaw: Float[Array, " t"]) -> Int[Array, " r"]:
    """The lanes that the human drove over, and from the last of them on the smallest turn (pipeline.md 1)."""
    return extended(road, matched_lanes(road, xy, yaw), length=ROUTE_BEYOND)
