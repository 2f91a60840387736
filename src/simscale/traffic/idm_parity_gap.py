"""Distances between rings, and whether a vehicle's way is free: what the reference asks of Shapely, in plain loops.

A ring covers every point that it winds around. What a vehicle shows to others is two rings, its strip and its box.
Whoever is nearer than a micrometre's thousandth touches.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.traffic.idm_parity_ring import STATION, X, Y, interpolated, path_piece, segment_at, strip_ring

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


class Lanes(NamedTuple):
    """The paths of `n` drivers and their widths."""

    path: Array  # [p 4] of all of them, one after the other
    start: Array  # [n+1] first row of each
    chunk: Array  # [c 4] bounds of `CHUNK` segments
    chunk_start: Array  # [n+1]
    size: Array  # [n 2] length and width


class Seen(NamedTuple):
    """What the drivers (rows) and the ego (last row) show to each other: two rings each."""

    ring: Array  # [m 2 v 2]
    edges: Array  # [m 2] how many edges are valid
    bounds: Array  # [m 2 4]: low x, low y, high x, high y
    there: Array  # [m]


class Scratch(NamedTuple):
    """Room for one corridor."""

    piece: Array  # [v 2]
    ring: Array  # [v 2]


@njit(cache=True)
@no_type_check
def bound(seen, j, p):
    """Sets the bounds of one ring that has been filled; an empty ring's are nowhere."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for v in range(seen.edges[j, p]):
        x, y = seen.ring[j, p, v, 0], seen.ring[j, p, v, 1]
        low_x, low_y, high_x, high_y = min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y)
    seen.bounds[j, p, 0], seen.bounds[j, p, 1] = low_x, low_y
    seen.bounds[j, p, 2], seen.bounds[j, p, 3] = high_x, high_y


@njit(cache=True)
@no_type_check
def _bounds_gap(ax0, ay0, ax1, ay1, bx0, by0, bx1, by1):
    """Squared distance between two upright boxes."""
    x = max(ax0 - bx1, bx0 - ax1, 0.0)
    y = max(ay0 - by1, by0 - ay1, 0.0)
    return x * x + y * y


@njit(cache=True)
@no_type_check
def winds(ring, edges, x, y):
    """Whether a ring winds around a point at all."""
    turns = 0
    for e in range(edges):
        ax, ay, bx, by = ring[e, 0], ring[e, 1], ring[e + 1, 0], ring[e + 1, 1]
        if ay <= y < by and (bx - ax) * (y - ay) - (x - ax) * (by - ay) > 0.0:
            turns += 1
        elif by <= y < ay and (bx - ax) * (y - ay) - (x - ax) * (by - ay) < 0.0:
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
def _rings_gap(one, edges, other, other_edges, bounds, best):
    """Squared distance between two rings, or `best` if that is smaller; `bounds` are the other's."""
    for e in range(edges):
        ax, ay, bx, by = one[e, 0], one[e, 1], one[e + 1, 0], one[e + 1, 1]
        low_x, high_x, low_y, high_y = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        if _bounds_gap(low_x, low_y, high_x, high_y, bounds[0], bounds[1], bounds[2], bounds[3]) >= best:
            continue
        for f in range(other_edges):
            cx, cy, dx, dy = other[f, 0], other[f, 1], other[f + 1, 0], other[f + 1, 1]
            apart = _bounds_gap(low_x, low_y, high_x, high_y, min(cx, dx), min(cy, dy), max(cx, dx), max(cy, dy))
            if apart < best:
                gap, _ = _segments_gap(ax, ay, bx, by, cx, cy, dx, dy)
                best = min(best, gap)
                if best <= TOUCH * TOUCH:
                    return 0.0
    if edges == 0 or other_edges == 0:
        return best
    held = winds(other, other_edges, one[0, 0], one[0, 1]) or winds(one, edges, other[0, 0], other[0, 1])
    return 0.0 if held else best


@njit(cache=True)
@no_type_check
def gap_between(seen, i, j, best):
    """Squared distance between what two rows show, or `best` if that is smaller."""
    for p in range(2):
        a = seen.bounds[i, p]
        for q in range(2):
            b = seen.bounds[j, q]
            if _bounds_gap(a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]) < best:
                best = _rings_gap(seen.ring[i, p], seen.edges[i, p], seen.ring[j, q], seen.edges[j, q], b, best)
    return best


@njit(cache=True)
@no_type_check
def corridor_meets(lanes, i, station, seen, j, scratch):
    """Whether the rest of driver `i`'s way, as wide as it is, touches what row `j` shows.

    The corridor's middle decides nearly always; its ring is drawn only for what is about half a width away from it.
    """
    begin, end = lanes.start[i], lanes.start[i + 1]
    path = lanes.path
    first = max(station, path[begin, STATION])
    if first >= path[end - 1, STATION]:
        first = path[end - 2, STATION]  # QUIRK: with nothing left to go, the reference looks at the last segment
    half = 0.5 * lanes.size[i, 1]
    x, y = interpolated(path, begin, end, X, first), interpolated(path, begin, end, Y, first)
    for q in range(2):
        b = seen.bounds[j, q]
        if b[0] <= x <= b[2] and b[1] <= y <= b[3] and winds(seen.ring[j, q], seen.edges[j, q], x, y):
            return True
    found = _middle_meets(lanes, i, segment_at(path, begin, end, first), x, y, half, seen, j)
    if found != UNSURE:
        return found == YES
    count = path_piece(path, begin, end, first, path[end - 1, STATION], scratch.piece)
    edges = strip_ring(scratch.piece, count, half, scratch.ring)
    for q in range(2):
        b = seen.bounds[j, q]
        near = 4.0 * TOUCH * TOUCH
        if _rings_gap(scratch.ring, edges, seen.ring[j, q], seen.edges[j, q], b, near) == 0.0:
            return True
    return False


@njit(cache=True)
@no_type_check
def _middle_meets(lanes, i, segment, x, y, half, seen, j):
    """What the middle of a corridor that starts at `x, y` on `segment` tells."""
    begin, end = lanes.start[i], lanes.start[i + 1]
    path, reach = lanes.path, NEAR * half
    low_x = min(seen.bounds[j, 0, 0], seen.bounds[j, 1, 0]) - reach
    low_y = min(seen.bounds[j, 0, 1], seen.bounds[j, 1, 1]) - reach
    high_x = max(seen.bounds[j, 0, 2], seen.bounds[j, 1, 2]) + reach
    high_y = max(seen.bounds[j, 0, 3], seen.bounds[j, 1, 3]) + reach
    answer = NO
    for c in range((segment - begin) // CHUNK, lanes.chunk_start[i + 1] - lanes.chunk_start[i]):
        b = lanes.chunk[lanes.chunk_start[i] + c]
        if b[2] < low_x or b[0] > high_x or b[3] < low_y or b[1] > high_y:
            continue
        for s in range(max(segment, begin + c * CHUNK), min(begin + (c + 1) * CHUNK, end - 1)):
            ax, ay, bx, by = path[s, X], path[s, Y], path[s + 1, X], path[s + 1, Y]
            if s == segment:
                ax, ay = x, y
            if max(ax, bx) < low_x or min(ax, bx) > high_x or max(ay, by) < low_y or min(ay, by) > high_y:
                continue
            found = _segment_meets(ax, ay, bx, by, x, y, path[end - 1, X], path[end - 1, Y], half, seen, j)
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
    answer = NO
    for q in range(1, -1, -1):  # the box first: it has fewer edges
        ring = seen.ring[j, q]
        for e in range(seen.edges[j, q]):
            cx, cy, dx, dy = ring[e, 0], ring[e, 1], ring[e + 1, 0], ring[e + 1, 1]
            apart = _bounds_gap(low_x, low_y, high_x, high_y, min(cx, dx), min(cy, dy), max(cx, dx), max(cy, dy))
            if apart > reach:
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
