"""From single observations of boxes to `Tracks` on the grid.

A log observes at its own times, nearly 0.1 s apart; a scene has instants exactly 0.1 s apart. Positions and headings
are interpolated, velocities are slopes of a short sliding parabola, and what stands is made to stand: annotated boxes
of parked cars wander (up to 1.6 m in Argoverse 2 while hidden, 0.2 m in full view), and a wandering car would brake the
ego, count as moving in the scorer, and be driven off by reactive traffic.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.signal import savgol_filter

from simscale.geometry.angles import wrap
from simscale.scene import DT, Tracks

Array = np.ndarray

MAX_GAP = 0.35
"""Between observations farther apart than this a track is not valid, s (ours): three missed sweeps are bridged."""

EDGE = 0.01
"""An instant this close to a track's first or last observation still belongs to it, s (ours): sweeps jitter by 4 ms."""

VELOCITY_WINDOW = 9
"""Instants under the sliding parabola that gives velocities (ours, as for the ego)."""

STANDING_SPEED = 0.3
"""Slower than this is standing: velocity exactly 0, m/s (ours; the slope of annotation noise in full view)."""

STANDING_DRIFT = 0.15
"""A track that stands throughout drifts no faster than this from end to end, m/s (ours)."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Boxes seen, one a row, in any order."""

    time: Float[Array, " n"]  # s after the grid's first instant
    track: Int[Array, " n"]  # number of the track, 0 to a-1
    position: Float[Array, "n 3"]  # box centre in the world frame, m
    yaw: Float[Array, " n"]  # rad
    noise: Float[Array, " n"]  # how far a standing object's box may lie from where it stands, m
    weight: Float[Array, " n"]  # how much each counts for the place of a standing object, > 0


def tracks_on_grid(
    seen: Observations,
    *,
    steps: int,
    name: tuple[str, ...],
    kind: Int[Array, " a"],
    size: Float[Array, "a 3"],
) -> Tracks:
    """Tracks at `steps` instants, of which those with no valid instant are left out."""
    count = len(name)
    state, velocity = np.zeros((count, steps, 4)), np.zeros((count, steps, 2))
    valid = np.zeros((count, steps), dtype=bool)
    order = np.lexsort((seen.time, seen.track))
    bounds = np.searchsorted(seen.track[order], np.arange(count + 1))
    for a in range(count):
        rows = order[bounds[a] : bounds[a + 1]]
        values = np.column_stack([seen.position[rows], np.unwrap(seen.yaw[rows])])
        state[a], valid[a] = on_grid(seen.time[rows], values, steps=steps)
        if stands(seen.time[rows], values, noise=seen.noise[rows], weight=seen.weight[rows]):
            state[a] = np.where(valid[a][:, None], weighted_median(values, seen.weight[rows]), 0.0)
        else:
            velocity[a] = velocity_of(state[a, :, :2], valid[a])
    kept = np.flatnonzero(valid.any(axis=1))
    return Tracks(
        xy=state[kept, :, :2],
        z=state[kept, :, 2],
        yaw=wrap(state[kept, :, 3]),
        velocity=velocity[kept],
        size=size[kept],
        kind=kind[kept],
        valid=valid[kept],
        id=tuple(name[int(a)] for a in kept),
    )


def on_grid(
    time: Float[Array, " n"], values: Float[Array, "n d"], *, steps: int
) -> tuple[Float[Array, "t d"], Bool[Array, " t"]]:
    """Linear interpolation of one track's values to the instants; zeros where it was not seen.

    Args:
        time: Ascending times of the observations, s.
        values: What was observed; angles unwrapped.
        steps: Number of instants.
    """
    grid = np.arange(steps) * DT
    found, valid = np.zeros((steps, values.shape[1])), np.zeros(steps, dtype=bool)
    breaks = np.flatnonzero(np.diff(time) > MAX_GAP) + 1
    for run in np.split(np.arange(len(time)), breaks):
        inside = (grid >= time[run[0]] - EDGE) & (grid <= time[run[-1]] + EDGE)
        if len(run) == 1:
            found[inside] = values[run[0]]
        else:
            left = run[0] + np.clip(np.searchsorted(time[run], grid[inside], side="right") - 1, 0, len(run) - 2)
            share = (grid[inside] - time[left]) / (time[left + 1] - time[left])
            found[inside] = values[left] + share[:, None] * (values[left + 1] - values[left])
        valid |= inside
    return found, valid


def stands(
    time: Float[Array, " n"], values: Float[Array, "n 4"], *, noise: Float[Array, " n"], weight: Float[Array, " n"]
) -> bool:
    """Whether all that a track ever does is explained by noise: it stays at one place and gets nowhere."""
    place = weighted_median(values, weight)
    if (np.hypot(*(values[:, :2] - place[:2]).T) > noise).any():
        return False
    first = values[time <= time[0] + 0.5, :2].mean(axis=0)
    last = values[time >= time[-1] - 0.5, :2].mean(axis=0)
    return bool(np.hypot(*(last - first)) <= STANDING_DRIFT * (time[-1] - time[0]) + 1e-9)


def weighted_median(values: Float[Array, "n d"], weight: Float[Array, " n"]) -> Float[Array, " d"]:
    """The value of each column that half of the weight lies on either side of."""
    order = np.argsort(values, axis=0, kind="stable")
    passed = np.cumsum(weight[order], axis=0)
    middle = (passed < weight.sum() / 2).sum(axis=0)
    return np.take_along_axis(values, np.take_along_axis(order, middle[None], axis=0), axis=0)[0]


def velocity_of(xy: Float[Array, "t 2"], valid: Bool[Array, " t"]) -> Float[Array, "t 2"]:
    """Smoothed velocity of one track over each stretch of valid instants; exactly 0 below `STANDING_SPEED`."""
    velocity = np.zeros_like(xy)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    for begin, end in edges.reshape(-1, 2):
        window = min(VELOCITY_WINDOW, (end - begin - 1) // 2 * 2 + 1)
        if window >= 3:
            velocity[begin:end] = savgol_filter(xy[begin:end], window, 2, deriv=1, delta=DT, axis=0)
        elif end - begin == 2:
            velocity[begin:end] = (xy[begin + 1] - xy[begin]) / DT
    velocity[np.hypot(*velocity.T) < STANDING_SPEED] = 0.0
    return velocity
