"""Paint on the road as coverage: the share of each texel that is painted, at six resolutions, in tiles.

Texels are 5 cm wide at the finest level and 1.6 m at the coarsest; only tiles that hold paint exist, so a town takes
a few megabytes. A pixel takes samples along its footprint at the level that is as fine as it is narrow: lines neither
flicker far away nor fray near by, where the half-covered contour of the finest level is the edge.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, UInt8
from numba import njit

from simscale.town.scenery import AreaKind, Areas, PaintLines

Array = np.ndarray

TEXEL = 0.05
"""At level 0, m."""
LEVELS = 6
SHIFT, TILE = 6, 64
"""Texels along the side of a tile, and its logarithm."""
NEAR_CELL = 1.6
"""Side of the cells that know whether there is paint in or next to them, m."""
PIECE = 1.5
"""Lines are drawn in pieces no longer than this, m."""


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Coverage in tiles; texel (0, 0) of every level has its corner at `origin`."""

    origin: Float[Array, "2"]  # m
    index: Int32[Array, " i"]  # slot of each tile, -1 where it is bare; levels one after the other, rows of tiles
    first: Int[Array, "l 2"]  # of each level: where it begins in `index`, and its tiles in a row
    texel: UInt8[Array, "s t t"]  # 255 is all painted
    near: Bool[Array, "nh nw"]  # paint in or next to a cell of `NEAR_CELL`


def paint_of(areas: Areas, lines: PaintLines, low: Float[Array, "2"], high: Float[Array, "2"]) -> Paint:
    """Draws all paint between two corners."""
    side = TILE * TEXEL
    coarsest = side * 2 ** (LEVELS - 1)
    tiles = [(np.ceil((high - low) / coarsest).astype(int) * 2 ** (LEVELS - 1 - level)) for level in range(LEVELS)]
    pieces, quads = _pieces(lines), _painted_rings(areas)
    slot = np.full((int(tiles[0][1]), int(tiles[0][0])), -1, dtype=np.int32)
    used = 0
    for bounds in (_bounds_of_pieces(pieces), _bounds_of_rings(quads)):
        used = _claim(bounds, low, side, slot, used)
    fine = np.zeros((used, TILE, TILE), dtype=np.uint8)
    _draw_pieces(pieces, low, TEXEL, slot, fine)
    for ring in quads:
        _draw_ring(ring, low, TEXEL, slot, fine)
    levels, slots = [fine], [slot]
    for _ in range(LEVELS - 1):
        coarse_slot, coarse = _halved(slots[-1], levels[-1])
        slots.append(coarse_slot)
        levels.append(coarse)
    begin = np.cumsum([0] + [len(level) for level in levels])
    index = [np.where(s >= 0, s + b, -1).astype(np.int32).ravel() for s, b in zip(slots, begin, strict=False)]
    offsets = np.cumsum([0] + [len(part) for part in index])[:-1]
    return Paint(
        origin=low,
        index=np.concatenate(index),
        first=np.stack([offsets, [s.shape[1] for s in slots]], axis=-1).astype(np.int64),
        texel=np.concatenate(levels),
        near=_near(slot, fine, low),
    )


def _pieces(lines: PaintLines) -> Float[Array, "n 9"]:
    """Short straight pieces: start, direction, length, station of the start, half width, dash, period."""
    rows = [np.zeros((0, 9))]
    for i in range(len(lines.width)):
        xy = lines.xy[lines.start[i] : lines.start[i + 1]]
        if len(xy) < 2:
            continue
        step = np.diff(xy, axis=0)
        length = np.hypot(step[:, 0], step[:, 1])
        station = np.concatenate([[0.0], np.cumsum(length)[:-1]])
        count = np.maximum(np.ceil(length / PIECE).astype(int), 1)
        which = np.repeat(np.arange(len(step)), count)
        within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        share = within / count[which]
        along = step[which] / np.maximum(length[which], 1e-9)[:, None]
        begin = xy[:-1][which] + share[:, None] * step[which]
        column = np.ones(len(which))
        rows.append(
            np.column_stack(
                [
                    begin,
                    along,
                    length[which] / count[which],
                    station[which] + share * length[which],
                    column * lines.width[i] / 2,
                    column * lines.dash[i],
                    column * (lines.dash[i] + lines.gap[i]),
                ]
            )
        )
    return np.concatenate(rows)


def _painted_rings(areas: Areas) -> list[Array]:
    painted = np.flatnonzero(areas.kind >= AreaKind.WHITE_PAINT)
    return [np.ascontiguousarray(areas.xy[areas.start[i] : areas.start[i + 1]]) for i in painted]


def _bounds_of_pieces(pieces: Array) -> Float[Array, "n 4"]:
    end = pieces[:, :2] + pieces[:, 2:4] * pieces[:, 4:5]
    reach = pieces[:, 6:7] + 2 * TEXEL
    return np.concatenate([np.minimum(pieces[:, :2], end) - reach, np.maximum(pieces[:, :2], end) + reach], axis=1)


def _bounds_of_rings(rings: list[Array]) -> Float[Array, "n 4"]:
    bounds = [np.concatenate([ring.min(0) - TEXEL, ring.max(0) + TEXEL]) for ring in rings]
    return np.stack(bounds) if bounds else np.zeros((0, 4))


@njit(cache=True, error_model="numpy")
@no_type_check
def _claim(bounds, low, side, slot, used):
    rows, columns = slot.shape
    for b in range(len(bounds)):
        for row in range(
            max(int((bounds[b, 1] - low[1]) / side), 0), min(int((bounds[b, 3] - low[1]) / side) + 1, rows)
        ):
            for column in range(
                max(int((bounds[b, 0] - low[0]) / side), 0), min(int((bounds[b, 2] - low[0]) / side) + 1, columns)
            ):
                if slot[row, column] < 0:
                    slot[row, column] = used
                    used += 1
    return used


@njit(cache=True, error_model="numpy")
@no_type_check
def _overlap(low, high, middle, width):
    """Share of the interval of this width around a middle that lies between two bounds."""
    return max(min(high, middle + width / 2) - max(low, middle - width / 2), 0.0) / width


@njit(cache=True, error_model="numpy")
@no_type_check
def _dashed(station, width, dash, period):
    """Share of an interval of a dashed line that is painted: the integral of the pattern over it."""
    a, b = (station - width / 2) / period, (station + width / 2) / period
    painted_b = np.floor(b) * dash + min((b - np.floor(b)) * period, dash)
    painted_a = np.floor(a) * dash + min((a - np.floor(a)) * period, dash)
    return (painted_b - painted_a) / width


@njit(cache=True, error_model="numpy")
@no_type_check
def _add(slot, texel, row, column, share):
    tile_row, tile_column = row >> 6, column >> 6
    if share <= 0.0 or row < 0 or column < 0 or tile_row >= slot.shape[0] or tile_column >= slot.shape[1]:
        return
    s = slot[tile_row, tile_column]
    if s >= 0:
        value = texel[s, row & 63, column & 63] + int(255.0 * share + 0.5)
        texel[s, row & 63, column & 63] = min(value, 255)


@njit(cache=True, error_model="numpy")
@no_type_check
def _draw_pieces(pieces, low, size, slot, texel):
    for p in range(len(pieces)):
        x0, y0, cx, cy, length, station, half, dash, period = pieces[p]
        # a texel measured across a slanted line is wider than its side
        width = size * (abs(cx) + abs(cy))
        reach = half + width
        low_x, high_x = min(x0, x0 + cx * length) - reach, max(x0, x0 + cx * length) + reach
        low_y, high_y = min(y0, y0 + cy * length) - reach, max(y0, y0 + cy * length) + reach
        for row in range(int((low_y - low[1]) / size), int((high_y - low[1]) / size) + 1):
            for column in range(int((low_x - low[0]) / size), int((high_x - low[0]) / size) + 1):
                dx = low[0] + (column + 0.5) * size - x0
                dy = low[1] + (row + 0.5) * size - y0
                along, across = dx * cx + dy * cy, -dx * cy + dy * cx
                share = _overlap(-half, half, across, width)
                if share > 0.0:
                    share *= _overlap(0.0, length, along, width)
                    if dash > 0.0 and share > 0.0:
                        share *= _dashed(station + along, width, dash, period)
                    _add(slot, texel, row, column, share)


@njit(cache=True, error_model="numpy")
@no_type_check
def _draw_ring(ring, low, size, slot, texel):
    """Sixteen points a texel, by the even-odd rule."""
    n = len(ring)
    for row in range(int((ring[:, 1].min() - low[1]) / size), int((ring[:, 1].max() - low[1]) / size) + 1):
        for column in range(int((ring[:, 0].min() - low[0]) / size), int((ring[:, 0].max() - low[0]) / size) + 1):
            hits = 0
            for k in range(16):
                x = low[0] + (column + (k % 4 + 0.5) / 4) * size
                y = low[1] + (row + (k // 4 + 0.5) / 4) * size
                inside = False
                j = n - 1
                for i in range(n):
                    if (ring[i, 1] > y) != (ring[j, 1] > y):
                        at = ring[j, 0] + (y - ring[j, 1]) * (ring[i, 0] - ring[j, 0]) / (ring[i, 1] - ring[j, 1])
                        inside = inside != (x < at)
                    j = i
                hits += inside
            _add(slot, texel, row, column, hits / 16.0)


def _halved(slot: Int32[Array, "r c"], texel: UInt8[Array, "s t t"]) -> tuple[Array, Array]:
    """The next coarser level: four texels become their mean."""
    held = slot >= 0
    any_child = held[::2, ::2] | held[1::2, ::2] | held[::2, 1::2] | held[1::2, 1::2]
    coarse_slot = np.full(any_child.shape, -1, dtype=np.int32)
    coarse_slot[any_child] = np.arange(any_child.sum(), dtype=np.int32)
    coarse = np.zeros((int(any_child.sum()), TILE, TILE), dtype=np.uint8)
    _fill_halved(slot, texel, coarse_slot, coarse)
    return coarse_slot, coarse


@njit(cache=True, error_model="numpy")
@no_type_check
def _fill_halved(slot, texel, coarse_slot, coarse):
    for tile_row in range(slot.shape[0]):
        for tile_column in range(slot.shape[1]):
            s = slot[tile_row, tile_column]
            if s < 0:
                continue
            c = coarse_slot[tile_row // 2, tile_column // 2]
            row0, column0 = 32 * (tile_row % 2), 32 * (tile_column % 2)
            for row in range(32):
                for column in range(32):
                    total = (
                        int(texel[s, 2 * row, 2 * column])
                        + int(texel[s, 2 * row + 1, 2 * column])
                        + int(texel[s, 2 * row, 2 * column + 1])
                        + int(texel[s, 2 * row + 1, 2 * column + 1])
                    )
                    coarse[c, row0 + row, column0 + column] = (total + 2) // 4


def _near(slot: Array, texel: Array, low: Array) -> Bool[Array, "nh nw"]:
    """Cells of half a tile's side with paint in them or in a neighbour."""
    rows, columns = slot.shape
    quarter = texel.reshape(-1, 2, 32, 2, 32).max(axis=(2, 4)) > 0
    near = np.zeros((2 * rows, 2 * columns), dtype=np.bool_)
    for row, column in np.argwhere(slot >= 0):
        near[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = quarter[slot[row, column]]
    wide = np.pad(near, 1)
    return np.logical_or.reduce(
        [wide[i : i + near.shape[0], j : j + near.shape[1]] for i in range(3) for j in range(3)]
    )
