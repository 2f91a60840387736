"""Paints polygons and lines into a grid of cells, cell for cell as the reference's OpenCV does.

A vertex is a cell, not a point: polygons have integer corners, and their outline belongs to them. A cell is filled if
its index lies in the polygon (even-odd), or on one of its edges drawn as a digital line. Lines are two cells wide: each
piece is the rectangle within one cell of it, whose outline belongs to it too, and both its ends get a small plus.

Axes: rows count forward, columns count to the left; OpenCV's x is our row and its y our column.
"""

from typing import no_type_check

import numpy as np
from numba import njit

Array = np.ndarray

ONE = 65536
"""One cell in OpenCV's fixed-point numbers, in which it keeps the corners of thick lines."""
LINE_WIDTH = 2
"""Width of lines, cells; `_thick_piece` draws this width and no other."""


@njit(cache=True)
@no_type_check
def fill_polygon(canvas, row, column, label):
    """Paints the polygon with corners `(row[i], column[i])`, integers, and its outline."""
    rows, columns = canvas.shape
    n = len(row)
    begin, end = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)  # columns that each edge crosses
    first, slope = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)  # row at the first of them, rows a column
    for i in range(n):
        r0, c0, r1, c1 = row[i - 1], column[i - 1], row[i], column[i]
        _digital_line(canvas, r0, c0, r1, c1, label)
        begin[i], end[i] = min(c0, c1), max(c0, c1)
        # an edge that leaves the canvas gets the slope of what is left of it, in whole cells
        r0, cut0, r1, cut1, _ = _clipped(rows, columns, r0, c0, r1, c1)
        if cut0 != cut1:
            c0, c1 = cut0, cut1
        slope[i] = 0 if c0 == c1 else int((r1 - r0) * ONE / (c1 - c0))
        low_r, low_c = (r0, c0) if c0 < c1 else (r1, c1)
        first[i] = low_r * ONE + (begin[i] - low_c) * slope[i]
    crossing = np.empty(n, dtype=np.int64)
    for c in range(max(begin.min(), 0), min(end.max(), columns)):
        count = 0
        for i in range(n):
            if begin[i] <= c < end[i]:
                value, k = first[i] + slope[i] * (c - begin[i]), count
                while k > 0 and crossing[k - 1] > value:
                    crossing[k] = crossing[k - 1]
                    k -= 1
                crossing[k] = value
                count += 1
        for k in range(0, count - 1, 2):
            for r in range(max(-(-crossing[k] // ONE), 0), min(crossing[k + 1] // ONE, rows - 1) + 1):
                canvas[r, c] = label


@njit(cache=True)
@no_type_check
def _digital_line(canvas, r0, c0, r1, c1, label):
    """Bresenham's line from the end with the smaller row; halves round towards that end."""
    rows, columns = canvas.shape
    r0, c0, r1, c1, visible = _clipped(rows, columns, r0, c0, r1, c1)
    if not visible:
        return
    if r1 < r0:
        r0, c0, r1, c1 = r1, c1, r0, c0
    dr, dc = r1 - r0, abs(c1 - c0)
    side = 1 if c1 >= c0 else -1
    long, short = max(dr, dc), min(dr, dc)
    for k in range(long + 1):
        # the smallest m with 2 short k <= long (2 m + 1)
        m = 0 if long == 0 else -((long - 2 * short * k) // (2 * long))
        if dr >= dc:
            canvas[r0 + k, c0 + side * m] = label
        else:
            canvas[r0 + m, c0 + side * k] = label


@njit(cache=True)
@no_type_check
def _clipped(rows, columns, r0, c0, r1, c1):
    """The part of a line on the canvas, its ends cut to whole cells: columns first, then rows."""
    if (c0 < 0 and c1 < 0) or (c0 >= columns and c1 >= columns) or (r0 < 0 and r1 < 0) or (r0 >= rows and r1 >= rows):
        return r0, c0, r1, c1, False
    if c0 < 0 or c0 >= columns:
        at = 0 if c0 < 0 else columns - 1
        r0, c0 = r0 + int((at - c0) * (r1 - r0) / (c1 - c0)), at
    if c1 < 0 or c1 >= columns:
        at = 0 if c1 < 0 else columns - 1
        r1, c1 = r1 + int((at - c1) * (r1 - r0) / (c1 - c0)), at
    if (r0 < 0 and r1 < 0) or (r0 >= rows and r1 >= rows):
        return r0, c0, r1, c1, False
    if r0 < 0 or r0 >= rows:
        at = 0 if r0 < 0 else rows - 1
        r0, c0 = at, c0 + int((at - r0) * (c1 - c0) / (r1 - r0))
    if r1 < 0 or r1 >= rows:
        at = 0 if r1 < 0 else rows - 1
        r1, c1 = at, c1 + int((at - r1) * (c1 - c0) / (r1 - r0))
    return r0, c0, r1, c1, True


@njit(cache=True)
@no_type_check
def draw_line(canvas, row, column, label):
    """Paints the open polyline through cells `(row[i], column[i])`, two cells wide."""
    # OpenCV first cuts each piece, in whole cells, to the canvas and as many cells around it as the line is wide
    rim = LINE_WIDTH
    rows, columns = canvas.shape[0] + 2 * rim, canvas.shape[1] + 2 * rim
    for i in range(1, len(row)):
        r0, c0, r1, c1, visible = _clipped(
            rows, columns, row[i - 1] + rim, column[i - 1] + rim, row[i] + rim, column[i] + rim
        )
        if visible:
            _thick_piece(canvas, r0 - rim, c0 - rim, r1 - rim, c1 - rim, label)


@njit(cache=True)
@no_type_check
def _thick_piece(canvas, r0, c0, r1, c1, label):
    """The rectangle within one cell of a piece, in fixed-point numbers, and a plus at each end."""
    _plus(canvas, r0, c0, label)
    _plus(canvas, r1, c1, label)
    length = np.hypot(r1 - r0, c1 - c0)
    if length == 0:
        return
    aside_r, aside_c = round((c1 - c0) * ONE / length), round((r0 - r1) * ONE / length)
    row, column = np.empty(4, dtype=np.int64), np.empty(4, dtype=np.int64)
    row[0], column[0] = r0 * ONE + aside_r, c0 * ONE + aside_c
    row[1], column[1] = r0 * ONE - aside_r, c0 * ONE - aside_c
    row[2], column[2] = r1 * ONE - aside_r, c1 * ONE - aside_c
    row[3], column[3] = r1 * ONE + aside_r, c1 * ONE + aside_c
    _fill_convex(canvas, row, column, label)


@njit(cache=True)
@no_type_check
def _fill_convex(canvas, row, column, label):
    """Paints a convex polygon with fixed-point corners; its two sides are followed column by column."""
    rows, columns = canvas.shape
    n = len(row)
    for i in range(n):
        _fixed_line(canvas, row[i - 1], column[i - 1], row[i], column[i], label)
    start = column.argmin()
    lowest, highest = (column.min() + ONE // 2) // ONE, (column.max() + ONE // 2) // ONE
    at, until = np.array([start, start]), np.array([lowest, lowest])
    reached, slope = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for c in range(lowest, min(highest, columns - 1) + 1):
        for side in range(2):
            if c >= until[side]:  # on to the first corner that lies in a further column
                for _ in range(n):
                    after = (at[side] + 1) % n if side == 0 else (at[side] + n - 1) % n
                    end = (column[after] + ONE // 2) // ONE
                    if end > c:
                        reached[side], until[side] = row[at[side]], end
                        slope[side] = int((2 * (row[after] - row[at[side]]) + end - c) / (2 * (end - c)))
                        at[side] = after
                        break
                    at[side] = after
        if c >= 0:
            low, high = min(reached[0], reached[1]), max(reached[0], reached[1])
            for r in range(max((low + ONE // 2) // ONE, 0), min((high + ONE // 2) // ONE, rows - 1) + 1):
                canvas[r, c] = label
        reached += slope


@njit(cache=True)
@no_type_check
def _fixed_line(canvas, r0, c0, r1, c1, label):
    """A digital line between fixed-point ends: one cell for each cell along its longer axis."""
    rows, columns = canvas.shape
    r0, c0, r1, c1, visible = _clipped(rows * ONE, columns * ONE, r0, c0, r1, c1)
    if not visible:
        return
    along_rows = abs(r1 - r0) > abs(c1 - c0)
    if (r1 < r0) if along_rows else (c1 < c0):
        r0, c0, r1, c1 = r1, c1, r0, c0
    long, short = (r1 - r0, c1 - c0) if along_rows else (c1 - c0, r1 - r0)
    step = int(short * ONE / (long | 1))
    _dot(canvas, (r1 + ONE // 2) // ONE, (c1 + ONE // 2) // ONE, label)
    r, c = r0 + ONE // 2, c0 + ONE // 2
    for _ in range(long // ONE + 1):
        _dot(canvas, r // ONE, c // ONE, label)
        r, c = (r + ONE, c + step) if along_rows else (r + step, c + ONE)


@njit(cache=True)
@no_type_check
def _plus(canvas, r, c, label):
    _dot(canvas, r, c, label)
    _dot(canvas, r + 1, c, label)
    _dot(canvas, r - 1, c, label)
    _dot(canvas, r, c + 1, label)
    _dot(canvas, r, c - 1, label)


@njit(cache=True)
@no_type_check
def _dot(canvas, r, c, label):
    if 0 <= r < canvas.shape[0] and 0 <= c < canvas.shape[1]:
        canvas[r, c] = label
