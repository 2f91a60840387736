"""Which polygons hold a point, asked many times: each ring's edges lie sorted in slabs across its longer side.

A ring of thousands of vertices then costs a handful of edges a question. The slabs only leave out what cannot matter:
the answer is that of the plain even-odd rule, except that a point on an edge is outside (`contains` of the
reference's geometry library is strict).
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

Array = np.ndarray

EDGES_PER_SLAB = 2
"""Vertices of a ring for each of its slabs (ours): a strip's two sides leave two edges of each in one."""

UNCOUNTED: Any = {"cache": True, "_nrt": False}
"""Options of kernels that read tuples of arrays inside hot loops and allocate nothing: without counting references to
every array of a tuple each time it is taken apart, they are ten times as fast."""


class RingIndex(NamedTuple):
    """Rings as arrays that kernels take as one argument.

    A ring that is wider than high has its slabs side by side along x; its edges are kept with x and y exchanged, so
    that one test serves both.
    """

    xy: Array  # [p 2] open rings
    start: Array  # [m+1]
    bounds: Array  # [m 4] low x, low y, high x, high y
    wide: Array  # [m] whether the slabs lie along x
    slabs_per_m: Array  # [m]
    slab_of_ring: Array  # [m+1] first slab of each ring
    edge_of_slab: Array  # [s+1] first entry of each slab in `edge`
    edge: Array  # [e 4] where an edge starts and ends, across and along the slabs' axis


def ring_index(xy: Float[Array, "p 2"], start: Int[Array, " m1"]) -> RingIndex:
    """Builds the index of ragged open rings; a ring of fewer than three vertices holds nothing."""
    xy = np.ascontiguousarray(xy, dtype=np.float64)
    start = np.ascontiguousarray(start, dtype=np.int64)
    return RingIndex(xy, start, *_slabs(xy, start))


def ring_bounds(xy: Float[Array, "p 2"], start: Int[Array, " m1"]) -> Float[Array, "m 4"]:
    """Low x, low y, high x, high y of every ring; those of an empty ring are inverted and meet nothing."""
    return _bounds(np.ascontiguousarray(xy, dtype=np.float64), np.ascontiguousarray(start, dtype=np.int64))


@njit(cache=True)
@no_type_check
def _bounds(xy, start):
    rings = len(start) - 1
    bounds = np.empty((rings, 4))
    for m in range(rings):
        bounds[m, 0], bounds[m, 1], bounds[m, 2], bounds[m, 3] = np.inf, np.inf, -np.inf, -np.inf
        for i in range(start[m], start[m + 1]):
            bounds[m, 0], bounds[m, 1] = min(bounds[m, 0], xy[i, 0]), min(bounds[m, 1], xy[i, 1])
            bounds[m, 2], bounds[m, 3] = max(bounds[m, 2], xy[i, 0]), max(bounds[m, 3], xy[i, 1])
    return bounds


@njit(**UNCOUNTED)
@no_type_check
def slab_at(v, low, slabs_per_m, count):
    """Slab of a coordinate, the first or the last beyond the ends; it never falls where the coordinate grows."""
    return min(max(int((v - low) * slabs_per_m), 0), count - 1)


@njit(cache=True)
@no_type_check
def _slabs(xy, start):
    """Bounds, and the edges of each ring by slab: counted first, then filled in."""
    bounds = _bounds(xy, start)
    rings = len(start) - 1
    wide, slabs_per_m = np.zeros(rings, np.bool_), np.zeros(rings)
    slab_of_ring = np.zeros(rings + 1, np.int64)
    for m in range(rings):
        vertices = start[m + 1] - start[m]
        count = max(1, vertices // EDGES_PER_SLAB)
        slab_of_ring[m + 1] = slab_of_ring[m] + count
        width, height = bounds[m, 2] - bounds[m, 0], bounds[m, 3] - bounds[m, 1]
        wide[m] = width > height
        if vertices >= 3 and max(width, height) > 0.0:
            slabs_per_m[m] = count / max(width, height)
    edge_of_slab = np.zeros(slab_of_ring[rings] + 1, np.int64)
    edge = np.empty((0, 4))
    for filling in range(2):
        if filling:
            for s in range(slab_of_ring[rings]):
                edge_of_slab[s + 1] += edge_of_slab[s]
            edge = np.empty((edge_of_slab[-1], 4))
            free = edge_of_slab.copy()
        else:
            free = edge_of_slab
        for m in range(rings):
            count = slab_of_ring[m + 1] - slab_of_ring[m]
            across, along = (1, 0) if wide[m] else (0, 1)
            low = bounds[m, along]
            for i in range(start[m], start[m + 1]):
                j = i - 1 if i > start[m] else start[m + 1] - 1
                v0, v1 = xy[j, along], xy[i, along]
                first = slab_at(min(v0, v1), low, slabs_per_m[m], count)
                last = slab_at(max(v0, v1), low, slabs_per_m[m], count)
                for s in range(slab_of_ring[m] + first, slab_of_ring[m] + last + 1):
                    if filling:
                        e = free[s]
                        edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3] = xy[j, across], v0, xy[i, across], v1
                        free[s] += 1
                    else:
                        free[s + 1] += 1
    return bounds, wide, slabs_per_m, slab_of_ring, edge_of_slab, edge


@njit(**UNCOUNTED)
@no_type_check
def ring_holds(index, m, x, y):
    """Whether a point lies strictly inside ring `m`."""
    bounds = index.bounds
    if not (bounds[m, 0] < x < bounds[m, 2] and bounds[m, 1] < y < bounds[m, 3]):
        return False
    u, v, low = (y, x, bounds[m, 0]) if index.wide[m] else (x, y, bounds[m, 1])
    first = index.slab_of_ring[m]
    slab = first + slab_at(v, low, index.slabs_per_m[m], index.slab_of_ring[m + 1] - first)
    edge = index.edge
    inside = False
    for e in range(index.edge_of_slab[slab], index.edge_of_slab[slab + 1]):
        u0, v0, u1, v1 = edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3]
        crosses = (v0 > v) != (v1 > v)
        if not crosses and v != v0 and v != v1:
            continue
        side = (u1 - u0) * (v - v0) - (u - u0) * (v1 - v0)
        if side == 0.0 and min(u0, u1) <= u <= max(u0, u1) and min(v0, v1) <= v <= max(v0, v1):
            return False
        if crosses and (side > 0.0) == (v1 > v0):
            inside = not inside
    return inside
