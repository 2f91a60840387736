"""Who comes near at all: most of the others are far off most of the time, and need not be compared box by box.

Time is cut into short windows. The bounding box of all places where somebody is within a window is made once for a
scene; a drive then asks only those whose box meets that of its own places. Whoever is left out could not have met it.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from simscale.scoring.ring_index import UNCOUNTED

Array = np.ndarray

WINDOW = 8
"""Samples of a window (ours)."""
BEYOND = 9
"""Samples after a window that it includes for others: as far as time-to-collision looks ahead."""
MARGIN = 1e-6
"""By which boxes are enlarged, m, so that rounding leaves nobody out."""


@njit(cache=True)
@no_type_check
def sweeps_of(centre, axis, half, valid):
    """Low x, low y, high x, high y of each track in each window [r w a 4]; inverted where it is never there."""
    sets, agents, samples = valid.shape
    windows = (samples + WINDOW - 1) // WINDOW
    sweeps = np.empty((sets, windows, agents, 4))
    for r in range(sets):
        for a in range(agents):
            for w in range(windows):
                sweeps[r, w, a, 0], sweeps[r, w, a, 1] = np.inf, np.inf
                sweeps[r, w, a, 2], sweeps[r, w, a, 3] = -np.inf, -np.inf
            for t in range(samples):
                if not valid[r, a, t]:
                    continue
                x, y = centre[r, a, t, 0], centre[r, a, t, 1]
                ax, ay = abs(axis[r, a, t, 0]), abs(axis[r, a, t, 1])
                wide = ax * half[r, a, 0] + ay * half[r, a, 1] + MARGIN
                high = ay * half[r, a, 0] + ax * half[r, a, 1] + MARGIN
                for w in range(max(t - BEYOND, 0) // WINDOW, t // WINDOW + 1):
                    box = sweeps[r, w, a]
                    box[0], box[1] = min(box[0], x - wide), min(box[1], y - high)
                    box[2], box[3] = max(box[2], x + wide), max(box[3], y + high)
    return sweeps


@njit(**UNCOUNTED)
@no_type_check
def gather_near(ego, k, first, last, ahead_s, sweeps, r, found):
    """Writes who may meet the ego at samples `first` to `last - 1` into `found`, in their order; returns how many.

    All the samples lie in one window. With `ahead_s` the ego is also meant where it would be so many seconds later,
    straight on, and at all times between.
    """
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for t in range(first, last):
        x, y = ego.centre[k, t, 0], ego.centre[k, t, 1]
        then_x, then_y = (
            x + ego.speed[k, t] * ahead_s * ego.axis[k, t, 0],
            y + ego.speed[k, t] * ahead_s * ego.axis[k, t, 1],
        )
        low_x, low_y = min(low_x, min(x, then_x)), min(low_y, min(y, then_y))
        high_x, high_y = max(high_x, max(x, then_x)), max(high_y, max(y, then_y))
    radius = ego.half_length + ego.half_width
    low_x, low_y, high_x, high_y = (low_x - radius, low_y - radius, high_x + radius, high_y + radius)
    count, near = 0, sweeps[r, first // WINDOW]
    for a in range(near.shape[0]):
        if near[a, 0] <= high_x and near[a, 2] >= low_x and near[a, 1] <= high_y and near[a, 3] >= low_y:
            found[count] = a
            count += 1
    return count
