"""What lies under a point of the road, mostly by looking it up: a grid whose cells know the polygons that cover them.

A polygon either covers a cell wholly, misses it, or cuts it. Only a cut one must be asked where in the cell a point
lies, so the answers are those of the polygons themselves, and the grid only saves asking.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool
from numba import njit

from simscale.scoring.ring_index import UNCOUNTED, RingIndex, ring_holds

Array = np.ndarray

CELL = 1.0
"""Side of a cell, m (ours): a lane's width is three and a half."""
REACH = 100.0
"""Half side of the grid, m (ours); beyond it every polygon is asked."""
MARGIN = 1e-6
"""A polygon whose edge passes so close cuts a cell, m: rounding never puts a point into a cell it is not asked in."""
STEEP = 1e-3
"""An edge that spans no more along x is taken to be upright, m: its slope would cost digits."""

DRIVABLE, ON_ROUTE, INTERSECTION, LANE = 1, 2, 4, 8
"""What a polygon can be, as bits."""
NO_LANE, SOME_LANES = -1, -2
"""Of a cell that no lane meets, or that more than one meets or one cuts."""


class RoadGrid(NamedTuple):
    """The road's polygons by cell, as arrays that kernels take as one argument."""

    rings: RingIndex
    meaning: Array  # [m] bits of each polygon
    low: Array  # [2] corner of the grid, m
    cells: Array  # [2] cells along x and y
    entry_of_cell: Array  # [c+1] first entry of each cell
    ring: Array  # [e] polygons that cover or cut a cell
    covers: Array  # [e] which of the two
    known: Array  # [c] bits that hold all over a cell
    open: Array  # [c] further bits that hold somewhere in a cell
    lane: Array  # [c] the one lane that covers a cell and that no other meets, or `NO_LANE`, `SOME_LANES`


def road_grid(
    rings: RingIndex,
    *,
    drivable: Bool[Array, " m"],
    on_route: Bool[Array, " m"],
    intersection: Bool[Array, " m"],
    lane: Bool[Array, " m"],
) -> RoadGrid:
    """Lays the grid over polygons whose frame has its origin where the drive begins."""
    meaning = (DRIVABLE * drivable + ON_ROUTE * on_route + INTERSECTION * intersection + LANE * lane).astype(np.uint8)
    return RoadGrid(rings, meaning, *_grid(rings, meaning))


@njit(cache=True)
@no_type_check
def _grid(rings, meaning):
    low, cells = _extent(rings)
    cut = np.zeros((cells[0], cells[1]), np.bool_)  # by the ring at hand
    span = np.empty((cells[0], 2), np.int64)  # its first and last cut row, by column
    cell_of, ring_of = np.empty(4096, np.int32), np.empty(4096, np.int32)
    entries = 0
    for m in range(len(meaning)):
        if rings.start[m + 1] - rings.start[m] < 3:
            continue
        first, last = _columns(rings.bounds[m], low, cells)
        for column in range(first, last + 1):
            # What goes on beyond the grid may cover it from its first or up to its last row.
            span[column, 0] = 0 if rings.bounds[m, 1] < low[1] else cells[1]
            span[column, 1] = cells[1] - 1 if rings.bounds[m, 3] > low[1] + cells[1] * CELL else -1
        _cut_cells(rings, m, low, cut, span)
        for column in range(first, last + 1):
            bottom, top = span[column, 0], span[column, 1]
            while entries + max(top - bottom + 1, 0) > len(cell_of):
                cell_of, ring_of = _doubled(cell_of), _doubled(ring_of)
            entries = _column(rings, m, low, column, bottom, top, cut, cell_of, ring_of, entries)
    return low, cells, *_by_cell(cell_of, ring_of, entries, meaning, cells[0] * cells[1])


@njit(cache=True)
@no_type_check
def _doubled(values):
    longer = np.empty(2 * len(values), np.int32)
    for i in range(len(values)):
        longer[i] = values[i]
    return longer


@njit(**UNCOUNTED)
@no_type_check
def _column(rings, m, low, column, bottom, top, cut, cell_of, ring_of, entries):
    """Notes the cells of a column that a ring covers, or cuts (as -1 - m), and wipes its cuts out."""
    covered, asked = False, False
    for row in range(bottom, top + 1):
        if cut[column, row]:
            cut[column, row] = False
            asked = False
            ring_of[entries] = -1 - m
        else:
            if not asked:  # up to the next cut cell all are alike
                covered = ring_holds(rings, m, low[0] + (column + 0.5) * CELL, low[1] + (row + 0.5) * CELL)
                asked = True
            if not covered:
                continue
            ring_of[entries] = m
        cell_of[entries] = column * cut.shape[1] + row
        entries += 1
    return entries


@njit(cache=True)
@no_type_check
def _by_cell(cell_of, ring_of, entries, meaning, count):
    """Sorts what is noted by cell, rings in their order, and sums it up."""
    entry_of_cell = np.zeros(count + 1, np.int32)
    for e in range(entries):
        entry_of_cell[cell_of[e] + 1] += 1
    for c in range(count):
        entry_of_cell[c + 1] += entry_of_cell[c]
    free = entry_of_cell.copy()
    ring, covers = np.empty(entries, np.int32), np.empty(entries, np.bool_)
    known, open_, lane = np.zeros(count, np.uint8), np.zeros(count, np.uint8), np.empty(count, np.int32)
    for c in range(count):
        lane[c] = NO_LANE
    for e in range(entries):
        c, m, covered = cell_of[e], ring_of[e], ring_of[e] >= 0
        if covered:
            known[c] |= meaning[m]
        else:
            m = -1 - m
            open_[c] |= meaning[m]
        if meaning[m] & LANE:
            lane[c] = m if covered and lane[c] == NO_LANE else SOME_LANES
        ring[free[c]], covers[free[c]] = m, covered
        free[c] += 1
    return entry_of_cell, ring, covers, known, open_, lane


@njit(cache=True)
@no_type_check
def _extent(rings):
    """The grid covers all rings, but reaches no farther than `REACH`."""
    low, cells = np.zeros(2), np.zeros(2, np.int64)
    for d in range(2):
        lowest, highest = np.inf, -np.inf
        for m in range(len(rings.bounds)):
            lowest, highest = min(lowest, rings.bounds[m, d]), max(highest, rings.bounds[m, d + 2])
        low[d] = max(lowest - CELL, -REACH)
        cells[d] = max(int((min(highest + CELL, REACH) - low[d]) / CELL) + 1, 0) if lowest <= highest else 0
    return low, cells


@njit(**UNCOUNTED)
@no_type_check
def _clipped(value, count):
    """A number of cells as an index of one of `count`, or -1 or `count` beyond them; also for huge values."""
    return -1 if value < 0.0 else (count if value >= count else int(value))


@njit(**UNCOUNTED)
@no_type_check
def _columns(bounds, low, cells):
    """First and last column that a ring reaches into."""
    first = max(_clipped((bounds[0] - MARGIN - low[0]) / CELL, cells[0]), 0)
    last = min(_clipped((bounds[2] + MARGIN - low[0]) / CELL, cells[0]), cells[0] - 1)
    return first, last


@njit(**UNCOUNTED)
@no_type_check
def _cut_cells(rings, m, low, cut, span):
    """Marks the cells that edges of a ring pass through, column by column."""
    xy, (columns, rows) = rings.xy, cut.shape
    for i in range(rings.start[m], rings.start[m + 1]):
        j = i - 1 if i > rings.start[m] else rings.start[m + 1] - 1
        ax, ay, bx, by = xy[j, 0], xy[j, 1], xy[i, 0], xy[i, 1]
        if ax > bx:
            ax, ay, bx, by = bx, by, ax, ay
        first = max(_clipped((ax - MARGIN - low[0]) / CELL, columns), 0)
        last = min(_clipped((bx + MARGIN - low[0]) / CELL, columns), columns - 1)
        upright = bx - ax <= STEEP
        rise = 0.0 if upright else (by - ay) / (bx - ax)
        for column in range(first, last + 1):
            y0, y1 = ay, by
            if not upright and first < last:
                y0 = ay + (max(ax, low[0] + column * CELL - MARGIN) - ax) * rise
                y1 = ay + (min(bx, low[0] + (column + 1) * CELL + MARGIN) - ax) * rise
            bottom = max(_clipped((min(y0, y1) - MARGIN - low[1]) / CELL, rows), 0)
            top = min(_clipped((max(y0, y1) + MARGIN - low[1]) / CELL, rows), rows - 1)
            if bottom <= top:
                span[column, 0], span[column, 1] = min(span[column, 0], bottom), max(span[column, 1], top)
            for row in range(bottom, top + 1):
                cut[column, row] = True


@njit(**UNCOUNTED)
@no_type_check
def cell_at(grid, x, y):
    """Number of the cell of a point; -1 beyond the grid."""
    across, up = (x - grid.low[0]) / CELL, (y - grid.low[1]) / CELL
    if not (0.0 <= across < grid.cells[0] and 0.0 <= up < grid.cells[1]):
        return -1
    return int(across) * grid.cells[1] + int(up)


@njit(**UNCOUNTED)
@no_type_check
def is_on(grid, bit, cell, x, y):
    """Whether a point of a cell lies on any polygon with this bit."""
    beyond = cell < 0
    if not beyond and grid.known[cell] & bit:
        return True
    if not beyond and not grid.open[cell] & bit:
        return False
    first, last = (0, len(grid.meaning)) if beyond else (grid.entry_of_cell[cell], grid.entry_of_cell[cell + 1])
    for e in range(first, last):
        m = e if beyond else grid.ring[e]
        if grid.meaning[m] & bit and ring_holds(grid.rings, m, x, y):
            return True
    return False
