"""Curves that a car can follow: no jump in heading, none in curvature, straight at both ends.

A turn is a fillet whose curvature rises, stays and falls (a driver who winds the wheel in and out); a street that
wanders is a quintic. Both end with curvature 0, so pieces and parallel lanes join smoothly.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import resample, stations_of

Array = np.ndarray

SPACING = 0.5
"""Distance between the points of a curve, m."""
FINE = 0.05
"""Distance between the points from which a curve is resampled, m."""
WINDING = 0.3
"""Share of a turn's length in which the wheel is wound in, and the same again for out."""
LEAST_TURN = 0.5
"""Below this change of heading, rad, two directions are joined by a quintic, not by a fillet."""


def join(
    start: Float[Array, "2"],
    start_yaw: float,
    end: Float[Array, "2"],
    end_yaw: float,
    *,
    longest_leg: float = np.inf,
    bulge: float = 0.0,
) -> Float[Array, "n 2"]:
    """A curve from one directed point to another.

    Args:
        start: First point.
        start_yaw: Heading there, rad.
        end: Last point.
        end_yaw: Heading there, rad.
        longest_leg: A turn begins at most this far before the corner of its two straights, m.
        bulge: How far a quintic wanders to the left of its way and back, m.
    """
    if abs(wrap(np.float64(end_yaw - start_yaw))) > LEAST_TURN:
        line = _fillet(start, start_yaw, end, end_yaw, longest_leg)
    else:
        line = _quintic(start, start_yaw, end, end_yaw, bulge)
    line = resample(line, spacing=SPACING)
    line[0], line[-1] = start, end
    return line


def headings_of(
    line: Float[Array, "n 2"], *, start_yaw: float | None = None, end_yaw: float | None = None
) -> Float[Array, " n"]:
    """Heading of a curve at each of its points, by central differences; at the ends as given where it is known."""
    slope = np.gradient(line, axis=0)
    yaw = np.arctan2(slope[:, 1], slope[:, 0])
    if start_yaw is not None:
        yaw[0] = start_yaw
    if end_yaw is not None:
        yaw[-1] = end_yaw
    return yaw


def beside(
    line: Float[Array, "n 2"], yaw: Float[Array, " n"], offset: Float[Array, " n"] | float
) -> Float[Array, "n 2"]:
    """The curve shifted to its left by `offset`, m, point by point."""
    return line + np.broadcast_to(np.asarray(offset), yaw.shape)[:, None] * direction(yaw + np.pi / 2)


def curvature_of(line: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """Curvature at each point of a curve with even spacing, 1/m, left is positive."""
    station = stations_of(line)
    return np.gradient(np.unwrap(headings_of(line)), station)


@lru_cache(maxsize=64)
def _unit_turn(turn: float) -> Float[Array, "n 2"]:
    """A turn by `turn` from the origin along x, of length 1."""
    station = np.linspace(0.0, 1.0, 801)
    bending = np.minimum(1.0, np.minimum(station, 1.0 - station) / WINDING)
    yaw = np.concatenate([[0.0], np.cumsum((bending[1:] + bending[:-1]) / 2)])
    yaw *= turn / yaw[-1]
    step = direction((yaw[1:] + yaw[:-1]) / 2) / (len(station) - 1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(step, axis=0)])


def _fillet(start: Array, start_yaw: float, end: Array, end_yaw: float, longest_leg: float) -> Array:
    ahead, onward = direction(np.float64(start_yaw)), direction(np.float64(end_yaw))
    turn = float(wrap(np.float64(end_yaw - start_yaw)))
    before, after = np.linalg.solve(np.stack([ahead, onward], axis=1), end - start)
    leg = min(before, after, longest_leg)
    assert leg > 0, "the two straights of a turn must meet between its ends"
    unit = _unit_turn(round(turn, 12))
    unit_leg = unit[-1, 1] / np.sin(turn)
    corner = start + before * ahead
    first = corner - leg * ahead
    across = direction(np.float64(start_yaw + np.pi / 2))
    arc = first + (leg / unit_leg) * (unit[:, :1] * ahead + unit[:, 1:] * across)
    lead_in = start + np.arange(0.0, before - leg, FINE)[:, None] * ahead
    lead_out = arc[-1] + np.arange(FINE, after - leg, FINE)[:, None] * onward
    return np.concatenate([lead_in, arc, lead_out, end[None]])


def _quintic(start: Array, start_yaw: float, end: Array, end_yaw: float, bulge: float) -> Array:
    chord = end - start
    length = float(np.hypot(*chord))
    u = np.linspace(0.0, 1.0, max(int(length / FINE), 2))[:, None]
    rise = u**3 * (10 - 15 * u + 6 * u**2)
    leave = u - 6 * u**3 + 8 * u**4 - 3 * u**5
    arrive = -4 * u**3 + 7 * u**4 - 3 * u**5
    tangents = length * (leave * direction(np.float64(start_yaw)) + arrive * direction(np.float64(end_yaw)))
    left = np.array([-chord[1], chord[0]]) / length
    return start + rise * chord + tangents + bulge * (4 * u * (1 - u)) ** 3 * left
