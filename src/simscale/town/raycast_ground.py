"""The ground as rasters that a ray can ask: how far is the kerb, the grass, the paving, and is the sun hidden.

Borders are signed distances (negative inside) on a raster of `CELL`: interpolated between its points they give smooth
edges at any resolution, a bound for marching to the kerb, and the share of a pixel on either side. Paint needs finer
rasters (`raycast_paint`). Shadows of things that stand still fall on the road's plane and are drawn once, as coverage.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import shapely
from jaxtyping import Float, Int16, UInt8
from numba import njit

from simscale.town.scenery import AreaKind, Areas, PaintColour, PaintLines

Array = np.ndarray

CELL = 0.25
"""Of all rasters of this file, m."""
BAND = 2.0
"""Distances are exact up to here, and this beyond, m."""
MM = 1000.0
"""Distances are whole millimetres."""
ROAD, GRASS, PAVING, YELLOW = 0, 1, 2, 3
"""Channels: distance to the road (everything that is not raised), to what is not grass, to paving; and whether the
nearest paint is yellow."""
SHADOW_LEVELS = 4


@dataclass(frozen=True, kw_only=True)
class GroundRaster:
    """Rasters over a rectangle; beyond it everything is grass."""

    origin: Float[Array, "2"]  # middle of cell (0, 0), m
    border: Int16[Array, "h w 4"]  # signed distances, mm; row = y


def extent_of(points: list[Array], *, margin: float) -> tuple[Array, Array]:
    """Corners of the rectangle around all points [n 2], with a margin, on whole cells."""
    xy = np.concatenate([np.zeros((1, 2)), *points])
    low, high = xy.min(0) - margin, xy.max(0) + margin
    return np.floor(low / CELL) * CELL, np.ceil(high / CELL) * CELL


def ground_raster(areas: Areas, lines: PaintLines, low: Float[Array, "2"], high: Float[Array, "2"]) -> GroundRaster:
    """Draws the borders of all areas between two corners."""
    width, height = (np.round((high - low) / CELL).astype(int) + 1).tolist()
    border = np.empty((height, width, 4), dtype=np.int16)
    road = _visible(areas, (AreaKind.ASPHALT, AreaKind.PAVING))
    bare = _visible(areas, (AreaKind.ASPHALT, AreaKind.PAVING, AreaKind.PAVEMENT))
    border[..., ROAD] = _signed(road, low, (height, width))
    border[..., GRASS] = _signed(bare, low, (height, width))
    border[..., PAVING] = _signed(_visible(areas, (AreaKind.PAVING,)), low, (height, width))
    border[..., YELLOW] = _yellow(areas, lines, low, (height, width))
    return GroundRaster(origin=low, border=border)


def rings_of_area(areas: Areas, index: int) -> Float[Array, "_ 2"]:
    """Ring of one area."""
    return areas.xy[areas.start[index] : areas.start[index + 1]]


def _visible(areas: Areas, kinds: tuple[AreaKind, ...]) -> shapely.Geometry:
    """Where the topmost area is of one of these kinds."""
    shape: shapely.Geometry = shapely.Polygon()
    ground = np.flatnonzero(areas.kind < AreaKind.WHITE_PAINT)
    wanted = np.isin(areas.kind[ground], [int(kind) for kind in kinds])
    runs = np.split(ground, np.flatnonzero(np.diff(wanted)) + 1) if len(ground) else []
    for run in runs:
        polygons = [shapely.Polygon(rings_of_area(areas, int(i))).buffer(0) for i in run]
        layer = shapely.union_all(polygons)
        own = areas.kind[run[0]] in [int(kind) for kind in kinds]
        shape = shape.union(layer) if own else shape.difference(layer)
    return shape


def _edges(shape: shapely.Geometry) -> Float[Array, "e 4"]:
    """Edges x0 y0 x1 y1 of all rings, holes too."""
    edges = [np.zeros((0, 4))]
    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                xy = np.asarray(ring.coords)[:, :2]
                edges.append(np.concatenate([xy[:-1], xy[1:]], axis=1))
    return np.concatenate(edges)


def _signed(shape: shapely.Geometry, low: Array, size: tuple[int, int]) -> Int16[Array, "h w"]:
    flip = np.zeros(size, dtype=np.bool_)
    distance = np.full(size, BAND, dtype=np.float32)
    _draw_edges(np.ascontiguousarray(_edges(shape)), low, CELL, BAND, flip, distance)
    inside = np.logical_xor.accumulate(flip, axis=1)
    return np.round(np.where(inside, -distance, distance) * MM).astype(np.int16)


@njit(cache=True, error_model="numpy")
@no_type_check
def _draw_edges(edges, low, cell, band, flip, distance):
    """Marks where rows cross edges, and lowers the distance of all points near them."""
    height, width = flip.shape
    for e in range(len(edges)):
        x0, y0 = (edges[e, 0] - low[0]) / cell, (edges[e, 1] - low[1]) / cell
        x1, y1 = (edges[e, 2] - low[0]) / cell, (edges[e, 3] - low[1]) / cell
        down, up = min(y0, y1), max(y0, y1)
        for row in range(max(int(np.ceil(down)), 0), min(int(np.ceil(up)), height)):
            x = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
            column = min(max(int(np.ceil(x)), 0), width - 1)
            flip[row, column] = not flip[row, column]
        reach = band / cell
        dx, dy = x1 - x0, y1 - y0
        squared = max(dx * dx + dy * dy, 1e-12)
        for row in range(max(int(down - reach), 0), min(int(up + reach) + 2, height)):
            for column in range(max(int(min(x0, x1) - reach), 0), min(int(max(x0, x1) + reach) + 2, width)):
                px, py = column - x0, row - y0
                u = min(max((px * dx + py * dy) / squared, 0.0), 1.0)
                d = cell * np.sqrt((px - u * dx) ** 2 + (py - u * dy) ** 2)
                if d < distance[row, column]:
                    distance[row, column] = d


def _yellow(areas: Areas, lines: PaintLines, low: Array, size: tuple[int, int]) -> Int16[Array, "h w"]:
    """1 near yellow paint; nobody paints white within half a metre of it."""
    near = np.zeros(size, dtype=np.int16)
    rings = [rings_of_area(areas, int(i)) for i in np.flatnonzero(areas.kind == AreaKind.YELLOW_PAINT)]
    yellow = np.flatnonzero(lines.colour == PaintColour.YELLOW)
    paths = [lines.xy[lines.start[i] : lines.start[i + 1]] for i in yellow]
    parts = [shapely.Polygon(ring) for ring in rings] + [shapely.LineString(path) for path in paths if len(path) > 1]
    if parts:
        shape = shapely.union_all([part.buffer(0.6) for part in parts])
        near[_signed(shape, low, size) < 0] = 1
    return near


def shadow_raster(
    rings: list[Float[Array, "_ 2"]], ellipses: Float[Array, "n 6"], low: Float[Array, "2"], size: tuple[int, int]
) -> list[UInt8[Array, "_ _"]]:
    """Share of each cell that lies in shadow, 0 to 255, and the same at half the resolution, and so on.

    Args:
        rings: Convex counter-clockwise outlines of shadows on the road's plane, m.
        ellipses: Shadows of crowns: centre, half axes as two vectors, m.
        low: Middle of cell (0, 0).
        size: Rows and columns.
    """
    cover = np.zeros(size, dtype=np.uint8)
    for ring in rings:
        _draw_convex(np.ascontiguousarray(ring), low, CELL, cover)
    _draw_ellipses(ellipses, low, CELL, cover)
    levels = [cover]
    for _ in range(SHADOW_LEVELS - 1):
        fine = levels[-1]
        even = fine[: fine.shape[0] // 2 * 2, : fine.shape[1] // 2 * 2].astype(np.uint16)
        coarse = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) // 4
        levels.append(coarse.astype(np.uint8))
    return levels


@njit(cache=True, error_model="numpy")
@no_type_check
def _draw_convex(ring, low, cell, cover):
    height, width = cover.shape
    n = len(ring)
    first_row = max(int((ring[:, 1].min() - low[1]) / cell) - 1, 0)
    last_row = min(int((ring[:, 1].max() - low[1]) / cell) + 2, height - 1)
    first_column = max(int((ring[:, 0].min() - low[0]) / cell) - 1, 0)
    last_column = min(int((ring[:, 0].max() - low[0]) / cell) + 2, width - 1)
    for row in range(first_row, last_row + 1):
        y = low[1] + row * cell
        for column in range(first_column, last_column + 1):
            x = low[0] + column * cell
            share = 1.0
            for i in range(n):
                j = (i + 1) % n
                ex, ey = ring[j, 0] - ring[i, 0], ring[j, 1] - ring[i, 1]
                length = np.sqrt(ex * ex + ey * ey)
                if length < 1e-9:
                    continue
                inward = (ex * (y - ring[i, 1]) - ey * (x - ring[i, 0])) / length
                part = min(max(inward / cell + 0.5, 0.0), 1.0)
                share -= 1.0 - part  # two edges that both cut the cell: a thin shadow covers what lies between
                if share <= 0.0:
                    break
            value = int(255.0 * min(max(share, 0.0), 1.0) + 0.5)
            if value > cover[row, column]:
                cover[row, column] = value


@njit(cache=True, error_model="numpy")
@no_type_check
def _draw_ellipses(ellipses, low, cell, cover):
    height, width = cover.shape
    for e in range(len(ellipses)):
        cx, cy, ax, ay, bx, by = ellipses[e]
        reach_x, reach_y = abs(ax) + abs(bx), abs(ay) + abs(by)
        cross = ax * by - ay * bx
        smaller = min(np.sqrt(ax * ax + ay * ay), np.sqrt(bx * bx + by * by))
        for row in range(
            max(int((cy - reach_y - low[1]) / cell), 0), min(int((cy + reach_y - low[1]) / cell) + 2, height)
        ):
            y = low[1] + row * cell - cy
            for column in range(
                max(int((cx - reach_x - low[0]) / cell), 0), min(int((cx + reach_x - low[0]) / cell) + 2, width)
            ):
                x = low[0] + column * cell - cx
                u, v = (x * by - y * bx) / cross, (ax * y - ay * x) / cross
                radius = np.sqrt(u * u + v * v)
                # a ragged rim: leaves
                angle = np.arctan2(v, u)
                rim = 1.0 - 0.07 * (1.0 + np.sin(7.0 * angle + e)) - 0.04 * (1.0 + np.sin(17.0 * angle + 3.0 * e))
                share = min(max((rim - radius) * smaller / cell + 0.5, 0.0), 1.0)
                value = int(255.0 * 0.92 * share)
                if value > cover[row, column]:
                    cover[row, column] = value
