"""Footprints of NAVSIM's reactive vehicles as rings of vertices, without a polygon library.

The reference buffers a piece of a lane path with flat caps by GEOS. GEOS walks along the left side and back along the
right one: outside a bend it adds both ends of the shifted segments (and an arc between them in a sharp bend), inside
it adds the point where they cross. The same walk is written here, to the last digit, except for what GEOS does after
it: a ring that crosses itself in a very tight bend stays as it is, which covers the same area where every winding
counts. Two rules of the reference are left out. GEOS drops vertices closer than a hundredth of half the width, which
no lane has. The reference drops those less than 1e-5 m off a straight edge: where a lane is nearly but not quite
straight, a gap may differ by as much.

Rings are closed: `n` edges have `n + 1` vertices. Paths are rows of station, x, y, unwrapped yaw.
"""

from typing import no_type_check

import numpy as np
from numba import njit

ARC_STEP = np.pi / 2 / 16
"""Angle between the vertices of an arc: 16 segments a quarter, Shapely's default, rad."""

SAME_CORNER = 1e-3
"""Ends of shifted segments nearer than this share of half the width become one vertex."""

CLOSING = 80
"""Where shifted segments inside a bend are too short to cross, the ring turns back this share of 1/(1 + it) early."""

STATION, X, Y, YAW = range(4)


@njit(cache=True)
@no_type_check
def segment_at(path, begin, end, station):
    """The last vertex of a path (rows `begin` to `end - 1`) at or before a station; the first where there is none."""
    low, high = begin, end
    while high - low > 1:
        middle = (low + high) // 2
        if path[middle, STATION] <= station:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
@no_type_check
def pose_at(path, begin, end, station):
    """x, y and unwrapped yaw at a station, held at both ends: `np.interp`, to the last bit."""
    j = segment_at(path, begin, end, station)
    if j == end - 1 or station <= path[j, STATION]:
        return path[j, X], path[j, Y], path[j, YAW]
    past, length = station - path[j, STATION], path[j + 1, STATION] - path[j, STATION]
    x = (path[j + 1, X] - path[j, X]) / length * past + path[j, X]
    y = (path[j + 1, Y] - path[j, Y]) / length * past + path[j, Y]
    yaw = (path[j + 1, YAW] - path[j, YAW]) / length * past + path[j, YAW]
    return x, y, yaw


@njit(cache=True)
@no_type_check
def path_piece(path, begin, end, first, last, piece):
    """Fills `piece` with the polyline between two stations, repeated points dropped; returns its number of points."""
    piece[0, 0], piece[0, 1], _ = pose_at(path, begin, end, first)
    count = 1
    for v in range(segment_at(path, begin, end, first), end):
        if path[v, STATION] >= last:
            break
        if path[v, STATION] >= first:
            piece[count, 0], piece[count, 1] = path[v, X], path[v, Y]
            count = _counted(piece, count)
    piece[count, 0], piece[count, 1], _ = pose_at(path, begin, end, last)
    return _counted(piece, count)


@njit(cache=True)
@no_type_check
def _counted(piece, count):
    """Number of points with the one that was just put behind `count` others, which counts unless it repeats."""
    if piece[count - 1, 0] == piece[count, 0] and piece[count - 1, 1] == piece[count, 1]:
        return count
    return count + 1


@njit(cache=True)
@no_type_check
def strip_ring(piece, count, half, ring):
    """Fills `ring` with a polyline of `count` points buffered by `half` with flat caps; returns its number of edges."""
    if count < 2:
        return 0
    n = 0
    for step in range(1, -2, -2):  # the left side of the polyline, then the left side of the way back
        at = 0 if step > 0 else count - 1
        x, y = piece[at + step, 0], piece[at + step, 1]
        dx, dy = x - piece[at, 0], y - piece[at, 1]
        size = np.sqrt(dx * dx + dy * dy)
        ux, uy = half * dx / size, half * dy / size
        for i in range(2, count):
            ex, ey = piece[at + i * step, 0] - x, piece[at + i * step, 1] - y
            size = np.sqrt(ex * ex + ey * ey)
            vx, vy = half * ex / size, half * ey / size
            turn = dx * ey - dy * ex
            if turn < 0.0:
                n += _outer_corner(x, y, ux, uy, vx, vy, half, ring, n)
            elif turn > 0.0:
                n += _inner_corner(x, y, dx, dy, ex, ey, ux, uy, vx, vy, half, ring, n)
            x, y = piece[at + i * step, 0], piece[at + i * step, 1]
            dx, dy, ux, uy = ex, ey, vx, vy
        ring[n, 0], ring[n, 1] = x - uy, y + ux
        ring[n + 1, 0], ring[n + 1, 1] = x + uy, y - ux
        n += 2
    ring[n, 0], ring[n, 1] = ring[0, 0], ring[0, 1]
    return n


@njit(cache=True)
@no_type_check
def _outer_corner(x, y, ux, uy, vx, vy, half, ring, n):
    """Adds both ends of the shifted segments and the arc between them (`addOutsideTurn`); returns how many vertices."""
    ring[n, 0], ring[n, 1] = x - uy, y + ux
    apart = np.hypot(vx - ux, vy - uy)
    if apart < half * SAME_CORNER:
        return 1
    added = 1
    if apart > half * ARC_STEP / 3:  # else the arc is too short for a vertex of its own
        first, last = np.arctan2(ux, -uy), np.arctan2(vx, -vy)
        if first <= last:
            first += 2 * np.pi
        steps = int((first - last) / ARC_STEP + 0.5)
        for s in range(1, steps):
            angle = first - s * ((first - last) / steps)
            ring[n + added, 0], ring[n + added, 1] = x + half * np.cos(angle), y + half * np.sin(angle)
            added += 1
    ring[n + added, 0], ring[n + added, 1] = x - vy, y + vx
    return added + 1


@njit(cache=True)
@no_type_check
def _inner_corner(x, y, dx, dy, ex, ey, ux, uy, vx, vy, half, ring, n):
    """Adds where the shifted segments cross, or a way round through the corner (`addInsideTurn`)."""
    turn = dx * ey - dy * ex
    # From the start of one shifted segment to that of the other.
    bx, by = dx - vy + uy, dy + vx - ux
    along, after = (bx * ey - by * ex) / turn, (bx * dy - by * dx) / turn
    if 0.0 <= along <= 1.0 and 0.0 <= after <= 1.0:
        ring[n, 0], ring[n, 1] = x - dx - uy + along * dx, y - dy + ux + along * dy
        return 1
    ring[n, 0], ring[n, 1] = x - uy, y + ux
    if np.hypot(vx - ux, vy - uy) < half * SAME_CORNER:
        return 1
    share = CLOSING / (CLOSING + 1)
    ring[n + 1, 0], ring[n + 1, 1] = x - share * uy, y + share * ux
    ring[n + 2, 0], ring[n + 2, 1] = x - share * vy, y + share * vx
    ring[n + 3, 0], ring[n + 3, 1] = x - vy, y + vx
    return 4


@njit(cache=True)
@no_type_check
def box_ring(x, y, yaw, length, width, ring):
    """Fills `ring` with a box; returns its number of edges."""
    fx, fy = np.cos(yaw) * length / 2, np.sin(yaw) * length / 2
    sx, sy = -np.sin(yaw) * width / 2, np.cos(yaw) * width / 2
    ring[0, 0], ring[0, 1] = x + fx + sx, y + fy + sy
    ring[1, 0], ring[1, 1] = x - fx + sx, y - fy + sy
    ring[2, 0], ring[2, 1] = x - fx - sx, y - fy - sy
    ring[3, 0], ring[3, 1] = x + fx - sx, y + fy - sy
    ring[4, 0], ring[4, 1] = ring[0, 0], ring[0, 1]
    return 4


@njit(cache=True)
@no_type_check
def vertices_needed(path, begin, end):
    """The most vertices that a strip along a path (rows `begin` to `end - 1`) can have."""
    total = 4 * 16 + 16  # both caps, and a piece that starts or ends with a tiny segment of any direction
    for v in range(begin + 1, end - 1):
        dx, dy = path[v, X] - path[v - 1, X], path[v, Y] - path[v - 1, Y]
        ex, ey = path[v + 1, X] - path[v, X], path[v + 1, Y] - path[v, Y]
        turn = abs(np.arctan2(dx * ey - dy * ex, dx * ex + dy * ey))
        total += 8 + int(turn / ARC_STEP + 1.0)
    return total


@njit(cache=True)
@no_type_check
def bound_chunks(path, begin, end, size, bounds, row):
    """Sets `bounds` from `row` on to those of each `size` segments of a path (rows `begin` to `end - 1`)."""
    for s in range(begin, end - 1):
        c = row + (s - begin) // size
        if (s - begin) % size == 0:
            bounds[c, 0], bounds[c, 1], bounds[c, 2], bounds[c, 3] = np.inf, np.inf, -np.inf, -np.inf
        for v in range(s, s + 2):
            bounds[c, 0], bounds[c, 1] = min(bounds[c, 0], path[v, X]), min(bounds[c, 1], path[v, Y])
            bounds[c, 2], bounds[c, 3] = max(bounds[c, 2], path[v, X]), max(bounds[c, 3], path[v, Y])
