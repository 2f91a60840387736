"""Polylines by arc length: length, interpolation, projection, resampling."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.geometry.angles import wrap

Array = np.ndarray

STRETCH = 16
"""Segments of a line that a projection takes or leaves together (ours)."""


def stations_of(xy: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """Arc length from the first vertex to each vertex, m."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])


def yaw_along(xy: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """Heading at each vertex: towards the next one; the last repeats the one before it."""
    step = np.diff(xy, axis=0)
    yaw = np.arctan2(step[:, 1], step[:, 0])
    return np.append(yaw, yaw[-1])


def without_repeats(xy: Float[Array, "n d"], *, closer_than: float = 1e-6) -> Float[Array, "m d"]:
    """Drops each vertex that lies on the one kept before it (in its first two coordinates)."""
    if len(xy) == 0:
        return xy
    keep = [0]
    for i in range(1, len(xy)):
        if np.hypot(*(xy[i, :2] - xy[keep[-1], :2])) > closer_than:
            keep.append(i)
    return xy[keep]


def resample(xy: Float[Array, "n 2"], *, spacing: float) -> Float[Array, "m 2"]:
    """Points at most `spacing` apart at equal steps of arc length; both ends are kept."""
    station = stations_of(xy)
    count = max(int(np.ceil(station[-1] / spacing)), 1) + 1
    return at_station(xy, np.linspace(0.0, station[-1], count))


def at_station(xy: Float[Array, "n 2"], station: Float[Array, "*s"]) -> Float[Array, "*s 2"]:
    """Points at the given arc lengths, held at both ends."""
    own = stations_of(xy)
    return np.stack([np.interp(station, own, xy[:, 0]), np.interp(station, own, xy[:, 1])], axis=-1)


def yaw_at_station(xy: Float[Array, "n 2"], station: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Heading of the segment that holds each arc length."""
    own = stations_of(xy)
    segment = np.clip(np.searchsorted(own, station, side="right") - 1, 0, len(xy) - 2)
    step = np.diff(xy, axis=0)
    return wrap(np.arctan2(step[segment, 1], step[segment, 0]))


@njit(cache=True)
@no_type_check
def _project(xy, station, points):
    """The nearest segment of each point; stretches of the line that lie farther than the best so far are left out.

    What is left out is farther by more than rounding, and the rest is tried in order: the first nearest is found.
    """
    n, segments = len(points), len(xy) - 1
    stretches = (segments + STRETCH - 1) // STRETCH
    low_x, high_x, low_y, high_y = _stretch_bounds(xy, stretches)
    away = np.empty(stretches)  # squared distance to a stretch's bounding box
    out = np.empty((n, 2))
    nearest = 0
    for p in range(n):
        x, y = points[p, 0], points[p, 1]
        known = _squared_distance(xy, nearest, x, y) if segments > 0 else np.inf  # its neighbour was nearest there
        for c in range(stretches):
            dx, dy = max(max(low_x[c] - x, x - high_x[c]), 0.0), max(max(low_y[c] - y, y - high_y[c]), 0.0)
            away[c] = dx * dx + dy * dy
        best, nearest = np.inf, 0
        for c in range(stretches):
            if away[c] * (1.0 - 1e-9) > known + 1e-12:
                continue
            for i in range(c * STRETCH, min((c + 1) * STRETCH, segments)):
                d = _squared_distance(xy, i, x, y)
                if d < best:
                    best, nearest = d, i
            known = min(known, best)
        out[p, 0], out[p, 1] = _station_and_side(xy, station, nearest, best, x, y)
    return out


@njit(cache=True)
@no_type_check
def _stretch_bounds(xy, stretches):
    low_x, high_x = np.empty(stretches), np.empty(stretches)
    low_y, high_y = np.empty(stretches), np.empty(stretches)
    for c in range(stretches):
        first = c * STRETCH
        low_x[c] = high_x[c] = xy[first, 0]
        low_y[c] = high_y[c] = xy[first, 1]
        for i in range(first + 1, min(first + STRETCH + 1, len(xy))):
            low_x[c], high_x[c] = min(low_x[c], xy[i, 0]), max(high_x[c], xy[i, 0])
            low_y[c], high_y[c] = min(low_y[c], xy[i, 1]), max(high_y[c], xy[i, 1])
    return low_x, high_x, low_y, high_y


@njit(cache=True)
@no_type_check
def _share(xy, i, x, y):
    """Where on segment `i` the point nearest to (x, y) lies, from 0 at its start to 1 at its end."""
    dx, dy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
    squared = dx * dx + dy * dy
    return 0.0 if squared == 0.0 else min(max(((x - xy[i, 0]) * dx + (y - xy[i, 1]) * dy) / squared, 0.0), 1.0)


@njit(cache=True)
@no_type_check
def _squared_distance(xy, i, x, y):
    u = _share(xy, i, x, y)
    ex = x - xy[i, 0] - u * (xy[i + 1, 0] - xy[i, 0])
    ey = y - xy[i, 1] - u * (xy[i + 1, 1] - xy[i, 1])
    return ex * ex + ey * ey


@njit(cache=True)
@no_type_check
def _station_and_side(xy, station, i, squared_distance, x, y):
    if len(xy) < 2:
        return 0.0, squared_distance
    dx, dy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
    left = dx * (y - xy[i, 1]) - dy * (x - xy[i, 0]) >= 0
    distance = np.sqrt(squared_distance)
    return station[i] + _share(xy, i, x, y) * np.sqrt(dx * dx + dy * dy), distance if left else -distance


def project(xy: Float[Array, "n 2"], points: Float[Array, "*b 2"]) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """Nearest point on the polyline (the first, where several are equally near).

    Returns:
        Arc length of the nearest point, and the distance to it, positive to the left, m.
    """
    flat = np.ascontiguousarray(points.reshape(-1, 2), dtype=np.float64)
    found = _project(np.ascontiguousarray(xy, dtype=np.float64), stations_of(xy), flat)
    return found[:, 0].reshape(points.shape[:-1]), found[:, 1].reshape(points.shape[:-1])
