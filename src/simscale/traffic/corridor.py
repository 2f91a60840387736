"""Corridors: the strip that a vehicle sweeps along its path, and where a box first lies in it.

Paths of many agents are one ragged table of samples `SPACING` apart in arc length, so that the sample at a station is
found by division. A box is met where the cross-section of the strip first touches it; far from the box the search
strides as far as the box is away.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

Array = np.ndarray

SPACING = 0.5
"""Distance between samples of a path, m (ours)."""
BISECTIONS = 5
"""Halvings that refine a meeting point: SPACING / 2^5 is 1.6 cm."""


class Paths(NamedTuple):
    """Paths of `a` agents; samples of agent `i` are `start[i]` to `start[i + 1] - 1` (none: it has no path)."""

    start: Array  # [a+1]
    x: Array  # [p] m
    y: Array
    tangent_x: Array  # [p] direction of travel, unit
    tangent_y: Array
    yaw: Array  # [p] heading of the body, unwrapped along each path, rad
    free_speed: Array  # [p] fastest off the log's timing, m/s
    length: Array  # [a] m
    light_start: Array  # [a+1] ragged too: the lights on each path
    light_station: Array  # [n] where the governed element begins, m
    light_row: Array  # [n] row in the scene's lights


@njit(cache=True)
@no_type_check
def place_at(paths, agent, station):
    """Pose and direction of travel at a station: x, y, tangent x, tangent y, yaw."""
    begin = paths.start[agent]
    last = paths.start[agent + 1] - begin - 2
    segment = min(max(int(station / SPACING), 0), last)
    u = station / SPACING - segment
    a = begin + segment
    b = a + 1
    x = paths.x[a] + u * (paths.x[b] - paths.x[a])
    y = paths.y[a] + u * (paths.y[b] - paths.y[a])
    tx = paths.tangent_x[a] + u * (paths.tangent_x[b] - paths.tangent_x[a])
    ty = paths.tangent_y[a] + u * (paths.tangent_y[b] - paths.tangent_y[a])
    return x, y, tx, ty, paths.yaw[a] + u * (paths.yaw[b] - paths.yaw[a])


@njit(cache=True)
@no_type_check
def _crosses(along, aside, step_along, step_aside, half_length, half_width, reach):
    """Whether the segment (along, aside) +- reach * step, in a box's own frame, touches the box."""
    low, high = -reach, reach
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
def first_meeting(paths, agent, begin, end, half_strip, x, y, yaw, length, width):
    """Station between `begin` and `end` where the strip first touches a box; infinite where it does not."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    half_length, half_width = 0.5 * length, 0.5 * width
    far = half_strip + np.sqrt(half_length * half_length + half_width * half_width)
    station, clear = begin, begin
    while station <= end:
        px, py, tx, ty, _ = place_at(paths, agent, station)
        dx, dy = px - x, py - y
        away = np.sqrt(dx * dx + dy * dy) - far
        if away <= 0.0 and _touches(dx, dy, tx, ty, cos, sin, half_length, half_width, half_strip):
            break
        clear = station
        station += max(away, SPACING)
    if station > end:
        return np.inf
    for _ in range(BISECTIONS):
        if clear == station:
            break
        middle = 0.5 * (clear + station)
        px, py, tx, ty, _yaw = place_at(paths, agent, middle)
        if _touches(px - x, py - y, tx, ty, cos, sin, half_length, half_width, half_strip):
            station = middle
        else:
            clear = middle
    return station


@njit(cache=True)
@no_type_check
def _touches(dx, dy, tx, ty, cos, sin, half_length, half_width, half_strip):
    along, aside = dx * cos + dy * sin, -dx * sin + dy * cos
    step_along, step_aside = -ty * cos + tx * sin, ty * sin + tx * cos
    return _crosses(along, aside, step_along, step_aside, half_length, half_width, half_strip)
