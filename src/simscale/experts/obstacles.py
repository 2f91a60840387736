"""What is in the way: objects as points on the outlines of their forecast boxes, projected on the road once.

A point is in the way of a path when it lies in the corridor that the car sweeps there, widened a little with time.
Paths share the road's stations, so one projection serves them all (ours).
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.experts.paths import SPACING, Paths, Road
from simscale.geometry.polygons import contains, ragged
from simscale.scene import Tracks

Array = np.ndarray

OUTLINE = np.array([(x, y) for x in np.linspace(-1, 1, 9) for y in (-1, 1)] + [(-1, 0), (1, 0)], dtype=np.float64)
"""Points on the outline of a box of half sides 1: on a bus of 18 m 2.3 m apart, closer than a car is wide."""
STANDS = 0.1
"""Objects slower than this stand, m/s."""
FAR_ASIDE = 8.0
"""Objects that never come closer to the road than this (plus half their diagonal) are left out, m."""


class Obstacles(NamedTuple):
    """The `a` objects that come near the road, at `t` samples, as arrays that kernels take as one argument."""

    station: Array  # [a t o] of outline points along the road, m; infinite where a point is off its ends
    offset: Array  # [a t o] to the left of the road, m
    along: Array  # [a t] speed along the road, m/s
    moving: Array  # [a]


class Margins(NamedTuple):
    """Half the width of the corridor, and what is added to it, m."""

    half: float
    static: float
    moving: float
    growth: float  # per sample


@njit(cache=True)
@no_type_check
def _nearest_vertex(xy, x, y, first, last):
    best, at = np.inf, first
    for i in range(first, last):
        d = (xy[i, 0] - x) ** 2 + (xy[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    return at, best


@njit(cache=True)
@no_type_check
def _on_road(xy, yaw, centre, heading, size, velocity, outline, far, spacing):
    """Station, offset `[a t o]` of outline points, and speed along the road `[a t]`; and who comes near `[a]`."""
    agents, samples = heading.shape
    station = np.full((agents, samples, len(outline)), np.inf)
    offset = np.zeros((agents, samples, len(outline)))
    along = np.zeros((agents, samples))
    near = np.zeros(agents, dtype=np.bool_)
    for a in range(agents):
        half = 0.5 * np.hypot(size[a, 0], size[a, 1])
        window = int(half / spacing) + 2
        for t in range(samples):
            middle, squared = _nearest_vertex(xy, centre[a, t, 0], centre[a, t, 1], 0, len(xy))
            if squared > (far + half) ** 2:
                continue
            near[a] = True
            along[a, t] = velocity[a, t, 0] * np.cos(yaw[middle]) + velocity[a, t, 1] * np.sin(yaw[middle])
            c, s = np.cos(heading[a, t]), np.sin(heading[a, t])
            first, last = max(middle - window, 0), min(middle + window + 1, len(xy))
            for o in range(len(outline)):
                u, v = outline[o, 0] * size[a, 0] / 2, outline[o, 1] * size[a, 1] / 2
                x, y = centre[a, t, 0] + c * u - s * v, centre[a, t, 1] + s * u + c * v
                i, _ = _nearest_vertex(xy, x, y, first, last)
                dx, dy = x - xy[i, 0], y - xy[i, 1]
                ahead = dx * np.cos(yaw[i]) + dy * np.sin(yaw[i])
                if (i == 0 and ahead < -spacing) or (i == len(xy) - 1 and ahead > spacing):
                    continue
                station[a, t, o] = i * spacing + ahead
                offset[a, t, o] = dy * np.cos(yaw[i]) - dx * np.sin(yaw[i])
    return station, offset, along, near


def obstacles_of(road: Road, forecast: Tracks) -> Obstacles:
    """Objects [a t] seen from the road, without those that stay away from it."""
    station, offset, along, near = _on_road(
        road.xy,
        road.yaw,
        np.ascontiguousarray(forecast.xy),
        np.ascontiguousarray(forecast.yaw),
        np.ascontiguousarray(forecast.size),
        np.ascontiguousarray(forecast.velocity),
        OUTLINE,
        FAR_ASIDE,
        SPACING,
    )
    moving = forecast.speed[near, 0] > STANDS
    return Obstacles(station[near], offset[near], along[near], moving)


@njit(cache=True)
@no_type_check
def in_the_way(obstacles, path_station, path_offset, margins, spacing):
    """Station along one path `[a t o]` of the outline points in its corridor; infinite for all others."""
    agents, samples, points = obstacles.station.shape
    blocked = np.full((agents, samples, points), np.inf)
    last = len(path_station) - 1
    for a in range(agents):
        for t in range(samples):
            margin = margins.moving + margins.growth * t if obstacles.moving[a] else margins.static
            for o in range(points):
                at = obstacles.station[a, t, o] / spacing
                if at > last:
                    continue
                i = min(max(int(at), 0), last - 1)
                share = at - i
                rise = path_offset[i + 1] - path_offset[i]
                aside = abs(obstacles.offset[a, t, o] - path_offset[i] - max(share, 0.0) * rise)
                if aside * spacing <= (margins.half + margin) * np.hypot(spacing, rise):
                    blocked[a, t, o] = path_station[i] + share * (path_station[i + 1] - path_station[i])
    return blocked


def stop_stations(paths: Paths, red_lights: list[Float[Array, "_ 2"]], *, width: float) -> Float[Array, "q s"]:
    """Where a car of this width would enter each red lane along each path; infinite where it would not."""
    left = np.stack([-np.sin(paths.yaw), np.cos(paths.yaw)], axis=-1)
    points = np.stack([paths.xy + side * width / 2 * left for side in (-1.0, 0.0, 1.0)], axis=-2)
    inside = np.any(contains(*ragged(red_lights), points), axis=2)
    first = np.argmax(inside, axis=1)
    entry = np.take_along_axis(paths.station, np.maximum(first - 1, 0), axis=1)
    return np.where(np.any(inside, axis=1), entry, np.inf)
