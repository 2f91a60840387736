"""Velocities of tracks from their positions, in which a parked car stands exactly still.

Annotations jitter by centimetres from one keyframe to the next. Scorers ask whether a track is stopped and traffic
models extrapolate it, so what stays in place gets the velocity zero, not a small one.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import savgol_filter

Array = np.ndarray

WINDOW = 11
"""Instants in the sliding parabola: two keyframe intervals of 2 Hz annotations at 10 Hz (ours)."""
STILL_WINDOW = 21
"""Instants over which a track that stands must stay in place: 2 s (ours)."""
STILL_EXTENT = 0.3
"""Diagonal of the place that a standing track stays in over that window, m: twice the usual jitter (ours)."""
PARKED_EXTENT = 0.6
"""And over its whole life, if it never leaves it, m (ours)."""


def velocities_of(xy: Float[Array, "a t 2"], valid: Bool[Array, "a t"], *, dt: float) -> Float[Array, "a t 2"]:
    """Velocities in the frame of the positions, m/s; zero where a track stands and where it is not valid."""
    velocity = np.zeros(xy.shape)
    for agent in range(len(xy)):
        for begin, end in _runs(valid[agent]):
            velocity[agent, begin:end] = _velocity(xy[agent, begin:end], dt)
    return velocity


def _runs(valid: Bool[Array, " t"]) -> list[tuple[int, int]]:
    """Spans `begin, end` in which a track is there without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _velocity(xy: Float[Array, "t 2"], dt: float) -> Float[Array, "t 2"]:
    if len(xy) < 2 or np.hypot(*np.ptp(xy, axis=0)) < PARKED_EXTENT and len(xy) >= STILL_WINDOW:
        return np.zeros_like(xy)
    window = min(WINDOW, len(xy) - 1 + len(xy) % 2)
    velocity = savgol_filter(xy, window, 2, deriv=1, delta=dt, axis=0) if window >= 3 else np.gradient(xy, dt, axis=0)
    velocity[_stands(xy)] = 0.0
    return velocity


def _stands(xy: Float[Array, "t 2"]) -> Bool[Array, " t"]:
    size = min(STILL_WINDOW, 2 * len(xy) - 1)
    high = maximum_filter1d(xy, size, axis=0, mode="nearest")
    low = minimum_filter1d(xy, size, axis=0, mode="nearest")
    return np.hypot(*(high - low).T) < STILL_EXTENT
