"""What a vehicle will sweep: strips along lane paths, exactly as the reference's polygons.

A lane path is a polyline by arc length. A strip is a piece of it buffered by half a vehicle's width with flat caps; a
footprint is the strip that a vehicle covers within its headway, united with the vehicle's own box. Shapely does the
geometry: this is the slow and exact form, to which any faster one has to be equal.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float
from shapely.geometry.base import BaseGeometry

from simscale.geometry.angles import unwrap_along, wrap
from simscale.geometry.polylines import stations_of, yaw_along

Array = np.ndarray

SAME_STATION = 1e-8
"""A vertex that is at most this far behind the next one is dropped (`np.isclose` in `create_path_from_se2`), m."""

SIMPLIFY_TOLERANCE = 1e-5
"""Tolerance of `simplify_occupancy_map_geometries`, m."""


@dataclass(frozen=True, kw_only=True)
class LanePath:
    """The usable path of one lane: vertices at strictly rising stations."""

    xy: Float[Array, "n 2"]  # m
    station: Float[Array, " n"]  # arc length from the lane's start, m
    yaw: Float[Array, " n"]  # unwrapped, rad

    @property
    def end(self) -> float:
        """Station of the last usable vertex, m."""
        return float(self.station[-1])

    def xy_at(self, station: Float[Array, "*b"] | float) -> Float[Array, "*b 2"]:
        """Points at the given stations, held at both ends."""
        return np.stack([np.interp(station, self.station, self.xy[:, axis]) for axis in (0, 1)], axis=-1)

    def yaw_at(self, station: Float[Array, "*b"] | float) -> Float[Array, "*b"]:
        """Headings at the given stations, interpolated between those of the vertices."""
        yaw = np.interp(np.atleast_1d(station), self.station, self.yaw)
        return wrap(yaw).reshape(np.shape(station))


def lane_path_of(centre_line: Float[Array, "n 2"]) -> LanePath | None:
    """The part of a centre line that a reactive vehicle uses (`create_path_from_se2`).

    QUIRK (scoring.md 5.3): the reference pairs n vertices with n-1 "is repeated" flags, so the last vertex is lost and
    the path ends one vertex before the lane does; of two vertices in one place the first is dropped.

    Returns:
        The path; None where fewer than two vertices are left (the reference fails there).
    """
    station = stations_of(centre_line)
    kept = np.flatnonzero(np.diff(station) > SAME_STATION)
    if len(kept) < 2:
        return None
    return LanePath(xy=centre_line[kept], station=station[kept], yaw=unwrap_along(yaw_along(centre_line)[kept]))


def strip_of(path: LanePath, start: float, end: float, *, width: float) -> BaseGeometry:
    """The piece of the path between two stations (held at its ends), `width` wide, with flat ends; may be empty."""
    ends = np.clip([start, end], path.station[0], path.station[-1])
    first, last = np.searchsorted(path.station, ends)
    ends_xy = path.xy_at(ends)
    piece = np.concatenate([ends_xy[:1], path.xy[first:last], ends_xy[1:]])
    return shapely.LineString(piece).buffer(width / 2, cap_style="flat")


def corridor_of(path: LanePath, station: float, *, width: float) -> BaseGeometry:
    """What a vehicle may still drive over: the strip from its centre to the path's end (`get_path_to_go`).

    QUIRK: beyond the path's end nothing is left to go, and the reference looks at the path's last segment instead.
    """
    start = station if station < path.end else float(path.station[-2])
    return strip_of(path, start, path.end, width=width)


def footprint_of(
    path: LanePath, station: float, *, length: float, width: float, ahead: float, box: BaseGeometry
) -> BaseGeometry:
    """The strip from the rear bumper to `ahead` metres before the front one, united with the box.

    The reference's `projected_footprint`, where `ahead` is speed times headway.
    """
    strip = strip_of(path, station - length / 2, station + length / 2 + ahead, width=width)
    return simplified(shapely.union_all([strip, box]))


def box_polygon(xy: Float[Array, "2"], yaw: float, *, length: float, width: float) -> shapely.Polygon:
    """A box around `xy` as a polygon, in plain numbers: arrays are slow for one box alone."""
    x, y = xy.tolist()
    forward_x, forward_y = math.cos(yaw) * length / 2, math.sin(yaw) * length / 2
    left_x, left_y = -math.sin(yaw) * width / 2, math.cos(yaw) * width / 2
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return shapely.Polygon(
        [(x + f * forward_x + side * left_x, y + f * forward_y + side * left_y) for f, side in signs]
    )


def simplified(polygon: BaseGeometry) -> BaseGeometry:
    """A polygon as traffic sees it, without vertices on straight edges."""
    return polygon.simplify(SIMPLIFY_TOLERANCE)
