"""Groups of segments (lines, or the rings of polygons) that kernels ask for distances: a broad phase by boxes.

Segments are taken in short runs, each with its bounding box; a question looks into the runs whose boxes can matter.
The answers are those of looking at every segment. Boxes of cars are asked about in their own frames, where a box is
two intervals.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

Array = np.ndarray

RUN = 8
"""Segments in a run (ours)."""


class Segments(NamedTuple):
    """`g` groups of segments as arrays that kernels take as one argument."""

    ends: Array  # [m 4] x and y of the first end, x and y of the second, m
    run: Array  # [c+1] first segment of each run
    bounds: Array  # [c 4] low x, low y, high x, high y of each run
    group: Array  # [g+1] first run of each group


def segments_of(ends: Float[Array, "m 4"], start: Int[Array, " g1"]) -> Segments:
    """Segments of groups, `ends[start[i]:start[i + 1]]` the i-th."""
    return Segments(np.ascontiguousarray(ends), *_runs(np.ascontiguousarray(ends), np.ascontiguousarray(start)))


def segments_of_lines(lines: Float[Array, "q n 2"]) -> Segments:
    """One group a line; segment `i` of a line runs from its vertex `i` to `i + 1`."""
    pieces = lines.shape[1] - 1
    ends = np.concatenate([lines[:, :-1], lines[:, 1:]], axis=-1).reshape(-1, 4)
    return segments_of(ends, np.arange(len(lines) + 1) * pieces)


def segments_of_rings(rings: list[Float[Array, "_ 2"]]) -> Segments:
    """One group an open ring."""
    ends = [np.concatenate([ring, np.roll(ring, -1, axis=0)], axis=-1) for ring in rings]
    count = np.cumsum([0] + [len(ring) for ring in rings])
    return segments_of(np.concatenate([np.zeros((0, 4)), *ends]), count)


@njit(cache=True)
@no_type_check
def _runs(ends, start):
    groups = len(start) - 1
    group = np.zeros(groups + 1, np.int64)
    for g in range(groups):
        group[g + 1] = group[g] + (start[g + 1] - start[g] + RUN - 1) // RUN
    run, bounds = np.empty(group[groups] + 1, np.int64), np.empty((group[groups], 4))
    c = 0
    for g in range(groups):
        for first in range(start[g], start[g + 1], RUN):
            last = min(first + RUN, start[g + 1])
            run[c] = first
            bounds[c, 0] = min(ends[first:last, 0].min(), ends[first:last, 2].min())
            bounds[c, 1] = min(ends[first:last, 1].min(), ends[first:last, 3].min())
            bounds[c, 2] = max(ends[first:last, 0].max(), ends[first:last, 2].max())
            bounds[c, 3] = max(ends[first:last, 1].max(), ends[first:last, 3].max())
            c += 1
    run[c] = len(ends)
    return run, bounds, group


@njit(cache=True)
@no_type_check
def _away(bounds, c, x, y, reach):
    """Squared distance from a run's bounding box of a square with half side `reach` around a point: a lower bound."""
    dx = max(bounds[c, 0] - x, x - bounds[c, 2]) - reach
    dy = max(bounds[c, 1] - y, y - bounds[c, 3]) - reach
    return max(dx, 0.0) ** 2 + max(dy, 0.0) ** 2


@njit(cache=True)
@no_type_check
def _along(ends, i, x, y):
    """Share of segment `i` up to the point of it that is nearest to (x, y), and the squared distance."""
    dx, dy = ends[i, 2] - ends[i, 0], ends[i, 3] - ends[i, 1]
    px, py = x - ends[i, 0], y - ends[i, 1]
    squared = dx * dx + dy * dy
    u = 0.0 if squared == 0.0 else min(max((px * dx + py * dy) / squared, 0.0), 1.0)
    ex, ey = px - u * dx, py - u * dy
    return u, ex * ex + ey * ey


@njit(cache=True)
@no_type_check
def nearest_along(segments, g, x, y):
    """Segment of a group that is nearest to a point (the first such), and the share of it up to the nearest point."""
    ends, run = segments.ends, segments.run
    enough = np.inf
    for c in range(segments.group[g], segments.group[g + 1]):
        i = run[c]
        enough = min(enough, (ends[i, 0] - x) ** 2 + (ends[i, 1] - y) ** 2)
    best, at, share = np.inf, -1, 0.0
    for c in range(segments.group[g], segments.group[g + 1]):
        if _away(segments.bounds, c, x, y, 0.0) > min(best, enough):
            continue
        for i in range(run[c], run[c + 1]):
            u, squared = _along(ends, i, x, y)
            if squared < best:
                best, at, share = squared, i, u
    return at, share


@njit(cache=True)
@no_type_check
def rings_hold(segments, g, x, y):
    """Whether the rings of a group hold a point, by the even-odd rule; one on an edge may fall on either side."""
    ends, bounds = segments.ends, segments.bounds
    inside = False
    for c in range(segments.group[g], segments.group[g + 1]):
        if y < bounds[c, 1] or y > bounds[c, 3] or x > bounds[c, 2]:
            continue
        for i in range(segments.run[c], segments.run[c + 1]):
            if (ends[i, 1] > y) != (ends[i, 3] > y):
                rise = (ends[i, 2] - ends[i, 0]) / (ends[i, 3] - ends[i, 1])
                if x < ends[i, 0] + (y - ends[i, 1]) * rise:
                    inside = not inside
    return inside


@njit(cache=True)
@no_type_check
def _square_off(x, y, half_length, half_width):
    """Squared distance of a point, in a box's own frame, from the box; 0 inside."""
    return max(abs(x) - half_length, 0.0) ** 2 + max(abs(y) - half_width, 0.0) ** 2


@njit(cache=True)
@no_type_check
def _segment_off_box(x0, y0, x1, y1, half_length, half_width):
    """Squared distance of a segment, in a box's own frame, from the box; 0 where they share a point."""
    dx, dy = x1 - x0, y1 - y0
    overlap = min(x0, x1) <= half_length and max(x0, x1) >= -half_length
    overlap = overlap and min(y0, y1) <= half_width and max(y0, y1) >= -half_width
    if overlap and abs(x0 * dy - y0 * dx) <= half_length * abs(dy) + half_width * abs(dx):
        return 0.0  # neither the box's axes nor the segment's normal separates them
    best = min(_square_off(x0, y0, half_length, half_width), _square_off(x1, y1, half_length, half_width))
    squared = dx * dx + dy * dy
    if squared == 0.0:
        return best
    for front in (-1.0, 1.0):
        for left in (-1.0, 1.0):
            px, py = front * half_length - x0, left * half_width - y0
            u = min(max((px * dx + py * dy) / squared, 0.0), 1.0)
            best = min(best, (px - u * dx) ** 2 + (py - u * dy) ** 2)
    return best


@njit(cache=True)
@no_type_check
def rings_off_box(segments, g, box, enough):
    """Squared distance of the polygon of a group from a box (x, y, unit vector forward, half length, half width).

    0 where they overlap or touch. Once nothing within `enough` (squared) is left, any number beyond it may be returned.
    """
    x, y, ax, ay, half_length, half_width = box
    reach = half_length + half_width
    ends = segments.ends
    best = np.inf
    for c in range(segments.group[g], segments.group[g + 1]):
        if _away(segments.bounds, c, x, y, reach) > min(best, enough):
            continue
        for i in range(segments.run[c], segments.run[c + 1]):
            x0, y0, x1, y1 = ends[i, 0] - x, ends[i, 1] - y, ends[i, 2] - x, ends[i, 3] - y
            squared = _segment_off_box(
                x0 * ax + y0 * ay, y0 * ax - x0 * ay, x1 * ax + y1 * ay, y1 * ax - x1 * ay, half_length, half_width
            )
            if squared == 0.0:
                return 0.0
            best = min(best, squared)
    return 0.0 if rings_hold(segments, g, x, y) else best


@njit(cache=True)
@no_type_check
def box_off_box(one, two):
    """Squared distance of two boxes (x, y, unit vector forward, half length, half width); 0 where they touch."""
    if _boxes_meet(one, two):
        return 0.0
    return min(_corners_off_box(one, two), _corners_off_box(two, one))  # of convex shapes, a corner is nearest


@njit(cache=True)
@no_type_check
def _boxes_meet(one, two):
    dx, dy, ax, ay, bx, by = two[0] - one[0], two[1] - one[1], one[2], one[3], two[2], two[3]
    c, s = abs(ax * bx + ay * by), abs(ax * by - ay * bx)
    if abs(dx * ax + dy * ay) > one[4] + two[4] * c + two[5] * s:
        return False
    if abs(dy * ax - dx * ay) > one[5] + two[4] * s + two[5] * c:
        return False
    if abs(dx * bx + dy * by) > two[4] + one[4] * c + one[5] * s:
        return False
    return not abs(dy * bx - dx * by) > two[5] + one[4] * s + one[5] * c


@njit(cache=True)
@no_type_check
def _corners_off_box(one, two):
    best = np.inf
    for front in (-one[4], one[4]):
        for left in (-one[5], one[5]):
            x = one[0] + front * one[2] - left * one[3] - two[0]
            y = one[1] + front * one[3] + left * one[2] - two[1]
            best = min(best, _square_off(x * two[2] + y * two[3], y * two[2] - x * two[3], two[4], two[5]))
    return best
