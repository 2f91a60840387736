"""Polylines by arc length: length, interpolation, projection, resampling."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.geometry.angles import wrap

Array = np.ndarray


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
    n = len(points)
    out = np.empty((n, 2))
    for p in range(n):
        best, best_s, best_side = np.inf, 0.0, 1.0
        for i in range(len(xy) - 1):
            dx, dy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
            px, py = points[p, 0] - xy[i, 0], points[p, 1] - xy[i, 1]
            squared = dx * dx + dy * dy
            u = 0.0 if squared == 0.0 else min(max((px * dx + py * dy) / squared, 0.0), 1.0)
            ex, ey = px - u * dx, py - u * dy
            d = ex * ex + ey * ey
            if d < best:
                best, best_s = d, station[i] + u * np.sqrt(squared)
                best_side = 1.0 if dx * py - dy * px >= 0 else -1.0
        out[p, 0], out[p, 1] = best_s, best_side * np.sqrt(best)
    return out


def project(xy: Float[Array, "n 2"], points: Float[Array, "*b 2"]) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """Nearest point on the polyline (the first, where several are equally near).

    Returns:
        Arc length of the nearest point, and the distance to it, positive to the left, m.
    """
    flat = np.ascontiguousarray(points.reshape(-1, 2), dtype=np.float64)
    found = _project(np.ascontiguousarray(xy, dtype=np.float64), stations_of(xy), flat)
    return found[:, 0].reshape(points.shape[:-1]), found[:, 1].reshape(points.shape[:-1])
