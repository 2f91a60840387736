"""Which polygons hold a point, asked many times: a grid over polygons, and slabs over the edges of each polygon.

A cell of the grid lists the rings whose bounding boxes meet it. A ring's edges are sorted into horizontal slabs, so
that a ring of thousands of vertices costs a handful of edges a question. Both only leave out what cannot matter: the
answer is that of the plain even-odd rule, except that a point on an edge is outside (`contains` of the reference's
geometry library is strict).
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

Array = np.ndarray

CELL = 8.0
"""Side of a grid cell, m (ours): about two lanes wide."""
EDGES_PER_SLAB = 4
"""Vertices of a ring for each of its slabs (ours)."""


class RingIndex(NamedTuple):
    """Rings as arrays that kernels take as one argument."""

    xy: Array  # [p 2] open rings
    start: Array  # [m+1]
    bounds: Array  # [m 4] low x, low y, high x, high y
    slab_of_ring: Array  # [m+1] first slab of each ring
    edge_of_slab: Array  # [s+1] first entry of each slab in `edge`
    edge: Array  # [e] numbers of vertices; an edge ends at its vertex and starts at the one before it
    before: Array  # [p] vertex before each vertex of its ring
    ring_of_cell: Array  # [c+1] first entry of each cell in `ring`
    ring: Array  # [r] rings whose bounding boxes meet a cell
    low: Array  # [2] corner of the grid
    cells: Array  # [2] cells along x and y


def ring_index(xy: Float[Array, "p 2"], start: Int[Array, " m1"]) -> RingIndex:
    """Builds the index of ragged open rings; a ring of fewer than three vertices holds nothing."""
    xy = np.ascontiguousarray(xy, dtype=np.float64)
    start = np.ascontiguousarray(start, dtype=np.int64)
    return RingIndex(xy, start, *_slabs(xy, start), *_cells(xy, start))


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


@njit(cache=True)
@no_type_check
def _slab(y, low, high, count):
    if not high > low:
        return 0
    return min(max(int((y - low) / (high - low) * count), 0), count - 1)


@njit(cache=True)
@no_type_check
def _slabs(xy, start):
    """Bounds, and the edges of each ring by slab: counted first, then filled in."""
    bounds = _bounds(xy, start)
    rings = len(start) - 1
    slab_of_ring = np.zeros(rings + 1, np.int64)
    before = np.empty(len(xy), np.int64)
    for m in range(rings):
        slab_of_ring[m + 1] = slab_of_ring[m] + max(1, (start[m + 1] - start[m]) // EDGES_PER_SLAB)
        for i in range(start[m], start[m + 1]):
            before[i] = i - 1 if i > start[m] else start[m + 1] - 1
    edge_of_slab = np.zeros(slab_of_ring[rings] + 1, np.int64)
    edge = np.empty(0, np.int64)
    for filling in range(2):
        if filling:
            edge_of_slab = np.cumsum(edge_of_slab)
            edge = np.empty(edge_of_slab[-1], np.int64)
            free = edge_of_slab.copy()
        else:
            free = edge_of_slab
        for m in range(rings):
            count = slab_of_ring[m + 1] - slab_of_ring[m]
            for i in range(start[m], start[m + 1]):
                y0, y1 = xy[before[i], 1], xy[i, 1]
                first = _slab(min(y0, y1), bounds[m, 1], bounds[m, 3], count)
                last = _slab(max(y0, y1), bounds[m, 1], bounds[m, 3], count)
                for s in range(slab_of_ring[m] + first, slab_of_ring[m] + last + 1):
                    if filling:
                        edge[free[s]] = i
                        free[s] += 1
                    else:
                        free[s + 1] += 1
    return bounds, slab_of_ring, edge_of_slab, edge, before


@njit(cache=True)
@no_type_check
def _cells(xy, start):
    """Rings by cell of a grid over all vertices: counted first, then filled in."""
    bounds = _bounds(xy, start)
    low, cells = np.zeros(2), np.zeros(2, np.int64)
    if len(xy) > 0:
        for d in range(2):
            low[d] = xy[:, d].min()
            cells[d] = int((xy[:, d].max() - low[d]) / CELL) + 1
    ring_of_cell = np.zeros(cells[0] * cells[1] + 1, np.int64)
    ring = np.empty(0, np.int64)
    for filling in range(2):
        if filling:
            ring_of_cell = np.cumsum(ring_of_cell)
            ring = np.empty(ring_of_cell[-1], np.int64)
            free = ring_of_cell.copy()
        else:
            free = ring_of_cell
        for m in range(len(start) - 1):
            if start[m + 1] - start[m] < 3:
                continue
            x0, x1 = int((bounds[m, 0] - low[0]) / CELL), int((bounds[m, 2] - low[0]) / CELL)
            y0, y1 = int((bounds[m, 1] - low[1]) / CELL), int((bounds[m, 3] - low[1]) / CELL)
            for x in range(x0, x1 + 1):
                for y in range(y0, y1 + 1):
                    c = x * cells[1] + y
                    if filling:
                        ring[free[c]] = m
                        free[c] += 1
                    else:
                        free[c + 1] += 1
    return ring_of_cell, ring, low, cells


@njit(cache=True)
@no_type_check
def cell_at(index, x, y):
    """Number of the grid cell of a point; -1 outside."""
    if not (x >= index.low[0] and y >= index.low[1]):
        return -1
    column, row = int((x - index.low[0]) / CELL), int((y - index.low[1]) / CELL)
    if column >= index.cells[0] or row >= index.cells[1]:
        return -1
    return column * index.cells[1] + row


@njit(cache=True)
@no_type_check
def ring_holds(index, m, x, y):
    """Whether a point lies strictly inside ring `m`."""
    bounds = index.bounds
    if not (bounds[m, 0] < x < bounds[m, 2] and bounds[m, 1] < y < bounds[m, 3]):
        return False
    xy = index.xy
    first = index.slab_of_ring[m]
    slab = first + _slab(y, bounds[m, 1], bounds[m, 3], index.slab_of_ring[m + 1] - first)
    inside = False
    for e in range(index.edge_of_slab[slab], index.edge_of_slab[slab + 1]):
        i = index.edge[e]
        j = index.before[i]
        x0, y0, x1, y1 = xy[j, 0], xy[j, 1], xy[i, 0], xy[i, 1]
        crosses = (y0 > y) != (y1 > y)
        if not crosses and y != y0 and y != y1:
            continue
        side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        if side == 0.0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
            return False
        if crosses and (side > 0.0) == (y1 > y0):
            inside = not inside
    return inside
