"""Polygons as rings of vertices: point tests, ragged storage, rings without holes.

A ragged set of polygons is one flat `xy [p 2]` and `start [m+1]`; ring `i` is `xy[start[i]:start[i+1]]`, open (its
first vertex is not repeated). An element without a polygon has an empty ring, which contains nothing.
"""

from typing import no_type_check

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int
from numba import njit

Array = np.ndarray


def ragged(rings: list[Float[Array, "_ 2"]]) -> tuple[Float[Array, "p 2"], Int[Array, " m1"]]:
    """Joins rings into one flat array and their offsets."""
    start = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])]).astype(np.int64)
    xy = np.concatenate([np.zeros((0, 2)), *rings]).astype(np.float64)
    return xy, start


@njit(cache=True)
@no_type_check
def inside_ring(x: float, y: float, xy: Array, begin: int, end: int) -> bool:
    """Whether a point lies inside one ring by the even-odd rule; a point on an edge may fall on either side."""
    inside = False
    j = end - 1
    for i in range(begin, end):
        if (xy[i, 1] > y) != (xy[j, 1] > y):
            cross = xy[j, 0] + (y - xy[j, 1]) * (xy[i, 0] - xy[j, 0]) / (xy[i, 1] - xy[j, 1])
            if x < cross:
                inside = not inside
        j = i
    return inside


@njit(cache=True)
@no_type_check
def _contains(xy, start, points):
    held = np.zeros((len(points), len(start) - 1), dtype=np.bool_)
    for m in range(len(start) - 1):
        begin, end = start[m], start[m + 1]
        if end - begin < 3:
            continue
        low_x, high_x = xy[begin:end, 0].min(), xy[begin:end, 0].max()
        low_y, high_y = xy[begin:end, 1].min(), xy[begin:end, 1].max()
        for p in range(len(points)):
            x, y = points[p, 0], points[p, 1]
            if low_x <= x <= high_x and low_y <= y <= high_y:
                held[p, m] = inside_ring(x, y, xy, begin, end)
    return held


def contains(xy: Float[Array, "p 2"], start: Int[Array, " m1"], points: Float[Array, "*b 2"]) -> Bool[Array, "*b m"]:
    """Which polygons hold which points."""
    flat = np.ascontiguousarray(points.reshape(-1, 2), dtype=np.float64)
    held = _contains(np.ascontiguousarray(xy, dtype=np.float64), np.ascontiguousarray(start), flat)
    return held.reshape(*points.shape[:-1], len(start) - 1)


def rings_without_holes(area: shapely.Geometry) -> list[Float[Array, "_ 2"]]:
    """Simple rings that cover an area exactly; a polygon with holes is cut through each hole until none has one."""
    rings: list[Array] = []
    todo = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon" and part.area > 0]
    while todo:
        polygon = todo.pop()
        if not polygon.interiors:
            rings.append(np.asarray(polygon.exterior.coords)[:-1, :2])
            continue
        cut = shapely.Polygon(polygon.interiors[0]).representative_point().x
        low_x, low_y, high_x, high_y = polygon.bounds
        for left, right in ((low_x - 1.0, cut), (cut, high_x + 1.0)):
            half = polygon.intersection(shapely.box(left, low_y - 1.0, right, high_y + 1.0))
            todo += [part for part in shapely.get_parts(half) if part.geom_type == "Polygon" and part.area > 0]
    return rings
