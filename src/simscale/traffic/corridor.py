"""Corridors: the strip that a vehicle sweeps along its path, and where a box first lies in it.

Paths of many agents are one ragged table of samples `SPACING` apart in arc length, so that the sample at a station is
found by division. A box is met where the cross-section of the strip first touches it; far from the box the search
strides as far as the box is away.
"""

from typing import no_type_check

import numpy as np
from numba import njit

Array = np.ndarray

SPACING = 0.5
"""Distance between samples of a path, m (ours)."""
BISECTIONS = 5
"""Halvings that refine a meeting point: SPACING / 2^5 is 1.6 cm."""

# Columns of a path's samples: place (m), direction of travel (unit), heading of the body (rad, unwrapped), and the
# fastest off the log's timing (m/s).
X, Y, TANGENT_X, TANGENT_Y, YAW, FREE_SPEED = range(6)
COLUMNS = 6


@njit(cache=True)
@no_type_check
def place_at(samples, begin, end, station):
    """Pose and direction of travel at a station of the path in rows `begin` to `end - 1`: x, y, tangent x, y, yaw."""
    segment = min(max(int(station / SPACING), 0), end - begin - 2)
    u = station / SPACING - segment
    a = begin + segment
    b = a + 1
    x = samples[a, X] + u * (samples[b, X] - samples[a, X])
    y = samples[a, Y] + u * (samples[b, Y] - samples[a, Y])
    tx = samples[a, TANGENT_X] + u * (samples[b, TANGENT_X] - samples[a, TANGENT_X])
    ty = samples[a, TANGENT_Y] + u * (samples[b, TANGENT_Y] - samples[a, TANGENT_Y])
    return x, y, tx, ty, samples[a, YAW] + u * (samples[b, YAW] - samples[a, YAW])


@njit(cache=True)
@no_type_check
def _touches(dx, dy, tx, ty, cos, sin, half_length, half_width, half_strip):
    """Whether the cross-section through a point at (dx, dy) from a box's middle touches the box."""
    along, aside = dx * cos + dy * sin, dy * cos - dx * sin
    step_along, step_aside = tx * sin - ty * cos, ty * sin + tx * cos
    low, high = -half_strip, half_strip
    if abs(step_along) < 1e-9:
        if abs(along) > half_length:
            return False
    else:
        a, b = (-half_length - along) / step_along, (half_length - along) / step_along
        low, high = max(low, min(a, b)), min(high, max(a, b))
    if abs(step_aside) < 1e-9:
        if abs(aside) > half_width:
            return False
    else:
        a, b = (-half_width - aside) / step_aside, (half_width - aside) / step_aside
        low, high = max(low, min(a, b)), min(high, max(a, b))
    return low <= high


@njit(cache=True)
@no_type_check
def first_meeting(samples, begin, end, first, last, half_strip, x, y, yaw, length, width):
    """Station between `first` and `last` where the strip first touches a box; infinite where it does not."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    half_length, half_width = 0.5 * length, 0.5 * width
    far = half_strip + np.sqrt(half_length * half_length + half_width * half_width)
    station, clear = first, first
    while station <= last:
        px, py, tx, ty, _ = place_at(samples, begin, end, station)
        dx, dy = px - x, py - y
        away = np.sqrt(dx * dx + dy * dy) - far
        if away <= 0.0 and _touches(dx, dy, tx, ty, cos, sin, half_length, half_width, half_strip):
            break
        clear = station
        station += max(away, SPACING)
    if station > last:
        return np.inf
    for _ in range(BISECTIONS):
        middle = 0.5 * (clear + station)
        px, py, tx, ty, _yaw = place_at(samples, begin, end, middle)
        if _touches(px - x, py - y, tx, ty, cos, sin, half_length, half_width, half_strip):
            station = middle
        else:
            clear = middle
    return station
