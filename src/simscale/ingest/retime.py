"""Gives the poses of a log with uneven sweep times the times at which they were taken.

ScenarioNet takes nuScenes' ego poses from every fifth message of a 50 Hz stream and labels them 0.1 s apart. Where the
stream lost a message, one step took 0.12 s and looks a fifth too fast; the stream starts up to 0.2 s away from the
first label; and where it ends before the log, the last poses come from another source with exact labels: the car seems
to jump back by metres, at 19 m/s. So (all ours): each step gets the 20 ms of the messages it lost, the whole stream is
shifted until it meets the exact last poses where the car passes them, and a smooth curve through the poses at those
times is read off on the grid. The driven path stays where it was; only when the car is where changes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import project, stations_of

Array = np.ndarray

MESSAGE = 0.02
"""Period of the stream that the poses were taken from, s."""
USUAL_WINDOW = 9
"""Steps over which the usual speed is a running median (ours)."""
MOVING = 1.0
"""Slower than this, m/s, a lost message shifts the car by millimetres and hides in the noise (ours)."""
MAX_LOST = 5
"""Most messages lost in one step (ours)."""
TAIL_STEPS = 10
"""The poses from another source are at most this many (ours; 2 to 4 in the public files)."""
JUMP = 0.5
"""A step that departs from the usual by more than this share is a change of source (ours)."""
STIFFNESS = 200.0
"""Weight of the squared third differences in the smooth curve: half of a 1.5 s wave passes (ours)."""


@dataclass(frozen=True, kw_only=True)
class Retimed:
    """Poses on the grid, without the instants at which the car was not measured."""

    first: int  # grid instant of the first pose
    xy: Float[Array, "n 2"]  # m
    yaw: Float[Array, " n"]  # rad


def retimed(xy: Float[Array, "t 2"], yaw: Float[Array, " t"], *, dt: float) -> Retimed:
    """Poses on the grid `dt`, from poses that are only nominally on it.

    Args:
        xy: Rear axle, m, one a nominal instant.
        yaw: rad.
        dt: Step of the grid, s.
    """
    speed = np.einsum("ti,ti->t", np.diff(xy, axis=0), direction(yaw[:-1])) / dt
    usual = median_filter(speed, USUAL_WINDOW, mode="nearest")
    stream = _stream_length(speed, usual)
    lost = np.where(usual > MOVING, np.rint((speed / np.maximum(usual, MOVING) - 1.0) * dt / MESSAGE), 0.0)
    time = np.concatenate([[0.0], np.cumsum(dt + MESSAGE * np.clip(lost, 0, MAX_LOST)[: stream - 1])])
    exact = dt * np.arange(stream, len(xy))
    time = np.concatenate([time + _shift(xy, time, exact), exact])
    first, last = int(np.ceil(max(time[0], 0.0) / dt - 1e-6)), int(min(time.max() / dt + 1e-6, len(xy) - 1))
    grid = dt * np.arange(first, last + 1)
    smooth = _smooth(time, np.column_stack([xy, np.unwrap(yaw)]), grid)
    return Retimed(first=first, xy=smooth[:, :2], yaw=wrap(smooth[:, 2]))


def _stream_length(speed: Float[Array, " n"], usual: Float[Array, " n"]) -> int:
    """How many poses come from the stream: those before the last jump near the end of the log."""
    begin = max(len(speed) - TAIL_STEPS, 0)
    jumps = (np.abs(speed - usual) > JUMP * usual) & (usual > MOVING)
    found = np.flatnonzero(jumps[begin:])
    return begin + int(found[-1]) + 1 if len(found) else len(speed) + 1


def _shift(xy: Float[Array, "t 2"], time: Float[Array, " s"], exact: Float[Array, " e"]) -> float:
    """What to add to the stream's times so that it passes the exact poses when they say; 0 where it passes none."""
    stream, tail = xy[: len(time)], xy[len(time) :]
    station = stations_of(stream)
    if len(tail) == 0 or station[-1] < 1.0:
        return 0.0
    there, _ = project(stream, tail)
    passed = there < station[-1] - 1e-9
    if not passed.any():
        return 0.0
    return float(np.mean(exact[passed] - np.interp(there[passed], station, time)))


def _smooth(time: Float[Array, " t"], value: Float[Array, "t d"], grid: Float[Array, " n"]) -> Float[Array, "n d"]:
    """Values on the grid that pass near the given ones and have small third differences (Whittaker's smoother)."""
    if len(grid) < 4:
        order = np.argsort(time, kind="stable")
        return np.stack([np.interp(grid, time[order], column[order]) for column in value.T], axis=-1)
    place = (time - grid[0]) / (grid[1] - grid[0])
    inside = (place >= -1e-6) & (place <= len(grid) - 1 + 1e-6)
    place, value = place[inside], value[inside]
    left = np.clip(place.astype(int), 0, len(grid) - 2)
    reading = np.zeros((len(place), len(grid)))
    rows = np.arange(len(place))
    reading[rows, left], reading[rows, left + 1] = 1.0 - (place - left), place - left
    third = np.diff(np.eye(len(grid)), n=3, axis=0)
    centre = value.mean(axis=0)  # map coordinates are large
    return centre + np.linalg.solve(reading.T @ reading + STIFFNESS * third.T @ third, reading.T @ (value - centre))
