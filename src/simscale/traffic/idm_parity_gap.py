"""Distances between rings, and whether a vehicle's way is free: what the reference asks of Shapely, in plain loops.

A ring covers every point that it winds around. What a vehicle shows to others is two rings, its strip and its box.
Whoever is nearer than a micrometre's thousandth touches.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.traffic.idm_parity_ring import STATION, X, Y, path_piece, pose_at, segment_at, strip_ring

Array = np.ndarray

TOUCH = 1e-9
"""Rings this near touch, m."""

CHUNK = 16
"""So many segments of a path share one bounding box."""

SURE = 0.95
"""Nearer to the middle of a corridor than this share of half its width, a ring is in it, however its sides bend."""

NEAR = 1.05
"""Farther than this share, it is outside."""

NO, YES, UNSURE = range(3)

STRIP, BOX = range(2)
LENGTH, WIDTH, TARGET_SPEED = range(3)


class Lanes(NamedTuple):
    """The `n` drivers and their paths, which are `p` rows one after the other."""

    path: Array  # [p 4] station, x, y, yaw
    chunk: Array  # [c 4] bounds of each `CHUNK` segments of a path
    start: Array  # [n+1 2] first row of each path, and of its chunks
    driver: Array  # [n 3] length and width, m, target speed, m/s


class Seen(NamedTuple):
    """What the drivers (rows) and the ego (the row before the last) show to each other: a strip and a box each.

    The last row is room for one corridor: its strip, and its middle in place of the box.
    """

    ring: Array  # [m 2 v 2]
    edges: Array  # [m 2] how many edges are valid
    bounds: Array  # [m 2 4]: low x, low y, high x, high y
    there: Array  # [m]


@njit(cache=True)
@no_type_check
def bound(seen, j):
    """Sets the bounds of a row's rings that have been filled; an empty ring's are nowhere."""
    for p in range(2):
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for v in range(seen.edges[j, p]):
            x, y = seen.ring[j, p, v, 0], seen.ring[j, p, v, 1]
            low_x, low_y, high_x, high_y = min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y)
        seen.bounds[j, p, 0], seen.bounds[j, p, 1] = low_x, low_y
        seen.bounds[j, p, 2], seen.bounds[j, p, 3] = high_x, high_y


@njit(cache=True)
@no_type_check
def _apart(low_x, low_y, high_x, high_y, ax, ay, bx, by):
    """Squared distance between an upright box and that around a segment (or between two low and high corners)."""
    x = max(low_x - max(ax, bx), min(ax, bx) - high_x, 0.0)
    y = max(low_y - max(ay, by), min(ay, by) - high_y, 0.0)
    return x * x + y * y


@njit(cache=True)
@no_type_check
def winds(seen, j, q, x, y):
    """Whether a ring winds around a point at all."""
    b = seen.bounds
    if not (b[j, q, 0] <= x <= b[j, q, 2] and b[j, q, 1] <= y <= b[j, q, 3]):
        return False
    turns = 0
    for e in range(seen.edges[j, q]):
        ax, ay, bx, by = (
            seen.ring[j, q, e, 0],
            seen.ring[j, q, e, 1],
            seen.ring[j, q, e + 1, 0],
            seen.ring[j, q, e + 1, 1],
        )
        side = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
        if ay <= y < by and side > 0.0:
            turns += 1
        elif by <= y < ay and side < 0.0:
            turns -= 1
    return turns != 0


@njit(cache=True)
@no_type_check
def _foot(px, py, ax, ay, bx, by):
    """Squared distance from a point to a segment, and the nearest share of the segment."""
    dx, dy = bx - ax, by - ay
    squared = dx * dx + dy * dy
    u = 0.0
    if squared > 0.0:
        u = min(max(((px - ax) * dx + (py - ay) * dy) / squared, 0.0), 1.0)
    ex, ey = px - ax - u * dx, py - ay - u * dy
    return ex * ex + ey * ey, u


@njit(cache=True)
@no_type_check
def _segments_gap(ax, ay, bx, by, cx, cy, dx, dy):
    """Squared distance between two segments, and the nearest share of the first."""
    rx, ry, sx, sy = bx - ax, by - ay, dx - cx, dy - cy
    across = rx * sy - ry * sx
    side_c, side_d = rx * (cy - ay) - ry * (cx - ax), rx * (dy - ay) - ry * (dx - ax)
    side_a, side_b = sx * (ay - cy) - sy * (ax - cx), sx * (by - cy) - sy * (bx - cx)
    if side_c * side_d < 0.0 and side_a * side_b < 0.0:
        return 0.0, ((cx - ax) * sy - (cy - ay) * sx) / across
    best, share = _foot(cx, cy, ax, ay, bx, by)
    gap, u = _foot(dx, dy, ax, ay, bx, by)
    if gap < best:
        best, share = gap, u
    gap, _ = _foot(ax, ay, cx, cy, dx, dy)
    if gap < best:
        best, share = gap, 0.0
    gap, _ = _foot(bx, by, cx, cy, dx, dy)
    if gap < best:
        best, share = gap, 1.0
    return best, share


@njit(cache=True)
@no_type_check
def _rings_gap(seen, i, p, j, q, best):
    """Squared distance between two rings, or `best` if that is smaller."""
    ring, b = seen.ring, seen.bounds
    low_x, low_y, high_x, high_y = b[j, q, 0], b[j, q, 1], b[j, q, 2], b[j, q, 3]
    if seen.edges[i, p] == 0 or seen.edges[j, q] == 0:
        return best
    if _apart(low_x, low_y, high_x, high_y, b[i, p, 0], b[i, p, 1], b[i, p, 2], b[i, p, 3]) >= best:
        return best
    for e in range(seen.edges[i, p]):
        ax, ay, bx, by = ring[i, p, e, 0], ring[i, p, e, 1], ring[i, p, e + 1, 0], ring[i, p, e + 1, 1]
        if _apart(low_x, low_y, high_x, high_y, ax, ay, bx, by) >= best:
            continue
        for f in range(seen.edges[j, q]):
            cx, cy, dx, dy = ring[j, q, f, 0], ring[j, q, f, 1], ring[j, q, f + 1, 0], ring[j, q, f + 1, 1]
            if _apart(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by), cx, cy, dx, dy) < best:
                gap, _ = _segments_gap(ax, ay, bx, by, cx, cy, dx, dy)
                best = min(best, gap)
                if best <= TOUCH * TOUCH:
                    return 0.0
    held = winds(seen, j, q, ring[i, p, 0, 0], ring[i, p, 0, 1]) or winds(
        seen, i, p, ring[j, q, 0, 0], ring[j, q, 0, 1]
    )
    return 0.0 if held else best


@njit(cache=True)
@no_type_check
def gap_between(seen, i, j, best):
    """Squared distance between what two rows show, or `best` if that is smaller."""
    for p in range(2):
        for q in range(2):
            best = _rings_gap(seen, i, p, j, q, best)
    return best


@njit(cache=True)
@no_type_check
def corridor_meets(lanes, i, station, seen, j):
    """Whether the rest of driver `i`'s way, as wide as it is, touches what row `j` shows.

    The corridor's middle decides nearly always; its ring is drawn only for what is about half a width away from it.
    """
    path, begin, end = lanes.path, lanes.start[i, 0], lanes.start[i + 1, 0]
    first = max(station, path[begin, STATION])
    if first >= path[end - 1, STATION]:
        first = path[end - 2, STATION]  # QUIRK: with nothing left to go, the reference looks at the last segment
    x, y, _ = pose_at(path, begin, end, first)
    for q in range(2):
        if winds(seen, j, q, x, y):
            return True
    found = _middle_meets(lanes, i, segment_at(path, begin, end, first), x, y, seen, j)
    if found != UNSURE:
        return found == YES
    room = len(seen.ring) - 1
    middle = seen.ring[room, BOX]
    count = path_piece(path, begin, end, first, path[end - 1, STATION], middle)
    seen.edges[room, STRIP] = strip_ring(middle, count, 0.5 * lanes.driver[i, WIDTH], seen.ring[room, STRIP])
    bound(seen, room)
    return gap_between(seen, room, j, 4.0 * TOUCH * TOUCH) == 0.0


@njit(cache=True)
@no_type_check
def _middle_meets(lanes, i, segment, x, y, seen, j):
    """What the middle of a corridor that starts at `x, y` on `segment` tells."""
    path, chunk, begin, end = lanes.path, lanes.chunk, lanes.start[i, 0], lanes.start[i + 1, 0]
    half, b = 0.5 * lanes.driver[i, WIDTH], seen.bounds
    reach = (NEAR * half) ** 2
    low_x, low_y = min(b[j, 0, 0], b[j, 1, 0]), min(b[j, 0, 1], b[j, 1, 1])
    high_x, high_y = max(b[j, 0, 2], b[j, 1, 2]), max(b[j, 0, 3], b[j, 1, 3])
    last_x, last_y, answer = path[end - 1, X], path[end - 1, Y], NO
    for c in range(lanes.start[i, 1] + (segment - begin) // CHUNK, lanes.start[i + 1, 1]):
        if _apart(low_x, low_y, high_x, high_y, chunk[c, 0], chunk[c, 1], chunk[c, 2], chunk[c, 3]) > reach:
            continue
        first = begin + (c - lanes.start[i, 1]) * CHUNK
        for s in range(max(segment, first), min(first + CHUNK, end - 1)):
            ax, ay, bx, by = path[s, X], path[s, Y], path[s + 1, X], path[s + 1, Y]
            if s == segment:
                ax, ay = x, y
            if _apart(low_x, low_y, high_x, high_y, ax, ay, bx, by) > reach:
                continue
            found = _segment_meets(ax, ay, bx, by, x, y, last_x, last_y, half, seen, j)
            if found == YES:
                return YES
            answer = max(answer, found)
    return answer


@njit(cache=True)
@no_type_check
def _segment_meets(ax, ay, bx, by, first_x, first_y, last_x, last_y, half, seen, j):
    """What one segment of a corridor's middle tells.

    Beside the segment a ring is in the corridor for sure; but not so near the corridor's ends, where the flat cap of a
    bend may cut it off.
    """
    reach, sure, cap = (NEAR * half) ** 2, (SURE * half) ** 2, half**2
    low_x, high_x, low_y, high_y = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
    ring, answer = seen.ring, NO
    for q in range(BOX, STRIP - 1, -1):  # the box first: it has fewer edges
        for e in range(seen.edges[j, q]):
            cx, cy, dx, dy = ring[j, q, e, 0], ring[j, q, e, 1], ring[j, q, e + 1, 0], ring[j, q, e + 1, 1]
            if _apart(low_x, low_y, high_x, high_y, cx, cy, dx, dy) > reach:
                continue
            gap, share = _segments_gap(ax, ay, bx, by, cx, cy, dx, dy)
            if gap > reach:
                continue
            px, py = ax + share * (bx - ax), ay + share * (by - ay)
            from_first = (px - first_x) ** 2 + (py - first_y) ** 2
            from_last = (px - last_x) ** 2 + (py - last_y) ** 2
            if gap <= sure and 0.0 < share < 1.0 and from_first > cap and from_last > cap:
                return YES
            answer = UNSURE
    return answer
