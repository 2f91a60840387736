"""A ray on its way: down to the ground and its kerbs, and through the grid from cell to cell to the first thing.

A cell is looked into only where the ray is lower than what stands there. The same walk answers what a pixel sees, what
a LiDAR beam meets, and whether the sun is hidden (any hit will do).
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_jit import inner
from simscale.town.raycast_shapes import (
    BAR,
    BUILDING,
    CONE,
    CROWN,
    CYCLIST,
    MISS,
    PERSON,
    SIGN,
    VEHICLE,
    enter_box,
    hit_bar,
    hit_building,
    hit_cone,
    hit_crown,
    hit_cyclist,
    hit_person,
    hit_vehicle,
    on_sign,
)
from simscale.town.scenery import KERB

NOTHING = -1
"""Instead of a thing: the ray met the ground or left the world."""
ON_ROAD, ON_TOP, ON_KERB = 0, 1, 2
"""Where a ray meets the ground: the road's plane, raised ground, or the face of a kerb."""
_CELL = 0.25
_BAND = 2.0


@inner
@no_type_check
def border_at(border, x0, y0, x, y, channel):
    """Signed distance to a border, m, interpolated; far outside beyond the raster."""
    u, v = (x - x0) / _CELL, (y - y0) / _CELL
    if not (0.0 <= u < border.shape[1] - 1 and 0.0 <= v < border.shape[0] - 1):
        return _BAND
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    a = border[j, i, channel] + fu * (border[j, i + 1, channel] - border[j, i, channel])
    b = border[j + 1, i, channel] + fu * (border[j + 1, i + 1, channel] - border[j + 1, i, channel])
    return (a + fv * (b - a)) * 0.001


@inner
@no_type_check
def hit_ground(border, x0, y0, ox, oy, oz, dx, dy, dz):
    """Where a ray meets the ground; `MISS` for one that does not go down."""
    if dz > -1e-9:
        return MISS, ON_ROAD
    t = (KERB - oz) / dz
    if t < 0.0:
        t = 0.0  # a ray that starts below the top of the kerbs
    away = -border_at(border, x0, y0, ox + t * dx, oy + t * dy, 0)
    if away <= 0.0 and oz >= KERB:
        return t, ON_TOP
    road = -oz / dz
    flat = np.sqrt(dx * dx + dy * dy)
    for _ in range(24):
        # nothing raised is nearer than `away`
        if away * 0.999 >= (road - t) * flat:
            return road, ON_ROAD
        if away < 0.004:
            return t, ON_KERB
        t += 0.98 * away / flat
        if t >= road:
            return road, ON_ROAD
        away = -border_at(border, x0, y0, ox + t * dx, oy + t * dy, 0)
    return road, ON_ROAD


@inner
@no_type_check
def passes(item, i, ox, oy, dx, dy, flat, low, high):
    """Whether a ray that is between `low` and `high` here passes over, below or beside a thing's disc."""
    if item[i, 6] > high or item[i, 7] < low:
        return True
    aside = (ox - item[i, 0]) * dy - (oy - item[i, 1]) * dx
    return aside * aside > (item[i, 4] * item[i, 4] + item[i, 5] * item[i, 5]) * flat


@inner
@no_type_check
def hit_thing(item, tag, i, ox, oy, oz, dx, dy, dz, best):
    """Distance to one thing, if it is nearer than `best`, and the part of it."""
    px, py = ox - item[i, 0], oy - item[i, 1]
    half, wide = item[i, 4], item[i, 5]
    c, s = item[i, 2], item[i, 3]
    lx, ly = c * px + s * py, c * py - s * px
    ldx, ldy = c * dx + s * dy, c * dy - s * dx
    near, far, face = enter_box(lx, ly, oz, ldx, ldy, dz, -half, half, -wide, wide, item[i, 6], item[i, 7])
    if near > far or far <= 0.0 or near >= best:
        return MISS, 0
    kind = tag[i, 0]
    if kind == BUILDING:
        near, face = hit_building(item, i, ly, oz, ldy, dz, near, far, face)
    elif kind == BAR:
        return hit_bar(item, i, lx, ly, oz, ldx, ldy, dz, near), 0
    elif kind == CROWN:
        return hit_crown(item, i, lx, ly, oz, ldx, ldy, dz)
    elif kind == VEHICLE:
        return hit_vehicle(item, i, lx, ly, oz, ldx, ldy, dz)
    elif kind == PERSON:
        return hit_person(item, i, lx, ly, oz, ldx, ldy, dz)
    elif kind == CYCLIST:
        return hit_cyclist(item, i, lx, ly, oz, ldx, ldy, dz)
    elif kind == CONE:
        return hit_cone(item, i, lx, ly, oz, ldx, ldy, dz)
    elif kind == SIGN:
        v = (oz + near * dz - 0.5 * (item[i, 6] + item[i, 7])) / (0.5 * (item[i, 7] - item[i, 6]))
        if not on_sign(tag[i, 3], (ly + near * ldy) / wide, v):
            return MISS, 0
    if near <= 0.0:
        return MISS, 0
    return near, face


@inner
@no_type_check
def walk(
    grid, start, thing, top, head, after, which, agent_top, item, tag, ox, oy, oz, dx, dy, dz, limit, any_hit, skip
):
    """First thing nearer than `limit`: its distance, row and part.

    Args:
        grid: Corner x and y, side of a cell, greatest height of all.
        start: Things of each cell that stand still, with `thing` and `top`.
        thing: See `start`.
        top: See `start`.
        head: Agents of each cell as lists, with `after`, `which` and `agent_top`.
        after: See `head`.
        which: See `head`.
        agent_top: See `head`.
        item: Rows of things.
        tag: Rows of things.
        ox: Origin, with oy, oz.
        oy: See `ox`.
        oz: See `ox`.
        dx: Unit direction, with dy, dz.
        dy: See `dx`.
        dz: See `dx`.
        limit: How far to go.
        any_hit: 1.0 to be content with the first hit found; these two are no whole numbers, or Numba compiles the
            function once for each.
        skip: 1.0 to look at agents only.
    """
    rows, columns = top.shape
    side = grid[2]
    best, found, part = limit, NOTHING, 0
    # into the rectangle of cells
    ix = 1.0 / dx if dx != 0.0 else 1e30
    iy = 1.0 / dy if dy != 0.0 else 1e30
    ax, bx = (grid[0] - ox) * ix, (grid[0] + columns * side - ox) * ix
    ay, by = (grid[1] - oy) * iy, (grid[1] + rows * side - oy) * iy
    enter = max(min(ax, bx), min(ay, by), 0.0)
    leave = min(max(ax, bx), max(ay, by))
    if dz > 0.0:
        leave = min(leave, (grid[3] - oz) / dz)
    elif oz > grid[3]:
        enter = max(enter, (grid[3] - oz) / dz) if dz < 0.0 else leave
    if enter >= leave:
        return limit, NOTHING, 0
    t = enter
    column = min(max(int((ox + t * dx - grid[0]) / side), 0), columns - 1)
    row = min(max(int((oy + t * dy - grid[1]) / side), 0), rows - 1)
    step_x, step_y = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
    next_x = (grid[0] + (column + (1 if dx > 0 else 0)) * side - ox) * ix if dx != 0.0 else MISS
    next_y = (grid[1] + (row + (1 if dy > 0 else 0)) * side - oy) * iy if dy != 0.0 else MISS
    delta_x, delta_y = abs(side * ix), abs(side * iy)
    last = NOTHING
    flat = dx * dx + dy * dy
    while True:
        out = min(next_x, next_y)
        low, high = oz + dz * t, oz + dz * min(out, best)
        if dz < 0.0:
            low, high = high, low
        k = row * columns + column
        if low <= top[row, column] and skip == 0.0:
            for n in range(start[k], start[k + 1]):
                i = thing[n]
                if i == last or passes(item, i, ox, oy, dx, dy, flat, low, high):
                    continue
                h, p = hit_thing(item, tag, i, ox, oy, oz, dx, dy, dz, best)
                if h < best:
                    best, found, part = h, i, p
                    if any_hit > 0.0:
                        return best, found, part
                last = i
        if low <= agent_top[row, column]:
            n = head[k]
            while n >= 0:
                i = which[n]
                n = after[n]
                if passes(item, i, ox, oy, dx, dy, flat, low, high):
                    continue
                h, p = hit_thing(item, tag, i, ox, oy, oz, dx, dy, dz, best)
                if h < best:
                    best, found, part = h, i, p
                    if any_hit > 0.0:
                        return best, found, part
        if best <= out or out >= leave:
            return best, found, part
        t = out
        if next_x < next_y:
            column += step_x
            next_x += delta_x
            if column < 0 or column >= columns:
                return best, found, part
        else:
            row += step_y
            next_y += delta_y
            if row < 0 or row >= rows:
                return best, found, part


@inner
@no_type_check
def meet(
    border, place, grid, start, thing, top, head, after, which, agent_top, item, tag, ox, oy, oz, dx, dy, dz, limit
):
    """What a ray meets first: distance, row of the thing or `NOTHING`, and its part, or where on the ground."""
    t, level = hit_ground(border, place[0], place[1], ox, oy, oz, dx, dy, dz)
    t = min(t, limit)
    h, i, part = walk(
        grid, start, thing, top, head, after, which, agent_top, item, tag, ox, oy, oz, dx, dy, dz, t, 0.0, 0.0
    )
    if i >= 0:
        return h, i, part
    return (t, NOTHING, level) if t < limit else (MISS, NOTHING, level)
