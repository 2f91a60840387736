"""Speed and curvature that a sequence of poses asks for: two regularised least-squares fits.

Speed: unknown are the first speed and one acceleration a step; each displacement, projected on the heading it starts
with, is speed times time. That matrix does not depend on the trajectory, so it is inverted once. Curvature: written
in the curvatures themselves instead of the reference's curvature rates, the normal equations are tridiagonal, a
chain of springs between neighbours, and one sweep up and down solves them (`batch_lqr_utils.py` of NAVSIM).
"""

from functools import cache
from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.dynamics.bicycle import wrapped

Array = np.ndarray

JERK_PENALTY = 1e-4
"""Weight of the speed fit's regulariser (`jerk_penalty`)."""
CURVATURE_RATE_PENALTY = 1e-2
"""Weight of squared curvature rates (`curvature_rate_penalty`)."""
INITIAL_CURVATURE_PENALTY = 1e-10
"""Weight of the squared first curvature (`initial_curvature_penalty`)."""


@cache
def speed_fit(steps: int, dt: float) -> Float[Array, "n n"]:
    """Matrix that takes `steps` displacements along the heading, m, to as many speeds, m/s."""
    before = np.tril(np.ones((steps, steps - 1)), -1)
    speed_of = np.column_stack([np.ones(steps), dt * before])  # unknowns [v0, a0, a1, ...] to speeds
    moved_of = dt * speed_of
    penalty = _quirk_q1(steps)
    normal = moved_of.T @ moved_of + JERK_PENALTY * penalty.T @ penalty
    return speed_of @ np.linalg.pinv(normal) @ moved_of.T


@cache
def speed_fit_by_column(steps: int, dt: float) -> Float[Array, "n n"]:
    """The same matrix, in the order in which `fit_speed` is fast."""
    return np.asfortranarray(speed_fit(steps, dt))


def _quirk_q1(steps: int) -> Float[Array, "n2 n"]:
    """QUIRK Q1: the "jerk" penalty is no difference matrix.

    The reference writes +1 into the columns of the next acceleration and then overwrites most of them with -1, so it
    penalises the accelerations themselves (up to 3 m/s difference in speed). The published scores rest on it.
    """
    penalty = np.zeros((steps - 2, steps))
    penalty[:, 2:] = np.eye(steps - 2)
    penalty[:, 1:-1] = -np.eye(steps - 2)
    return penalty


@njit(cache=True)
@no_type_check
def fit_speed(pose, fit, speed):
    """Writes the speeds of `len(pose) - 1` displacements; `pose` rows are x, y, yaw, `fit` is `speed_fit`."""
    steps = len(speed)
    along = np.empty(steps)
    for i in range(steps):
        dx, dy = pose[i + 1, 0] - pose[i, 0], pose[i + 1, 1] - pose[i, 1]
        along[i] = dx * np.cos(pose[i, 2]) + dy * np.sin(pose[i, 2])
    for i in range(steps):
        speed[i] = 0.0
    for j in range(steps):  # each speed is the same sum as row by row, but several grow at once
        for i in range(steps):
            speed[i] += fit[i, j] * along[j]


@njit(cache=True)
@no_type_check
def fit_curvature(pose, speed, dt, curvature):
    """Writes the curvatures, 1/m, that turn the heading as `pose` does at the given speeds.

    Minimises sum (v_i dt k_i - turn_i)^2 + 1e-10 k_0^2 + 1e-2 sum ((k_i+1 - k_i) / dt)^2. The pivot of row i is
    `spring + excess`; carrying the excess alone, a sum of positive terms, keeps every digit even where the car stands
    and 1e-10 is all that holds the chain.
    """
    steps = len(speed)
    spring = CURVATURE_RATE_PENALTY / (dt * dt)
    pivot = np.empty(steps)
    excess = 0.0
    for i in range(steps):
        turn = wrapped(pose[i + 1, 2] - pose[i, 2])
        gain = speed[i] * dt
        if i == 0:
            excess = gain * gain + INITIAL_CURVATURE_PENALTY
            curvature[i] = gain * turn
        else:
            excess = gain * gain + spring * excess / (excess + spring)
            curvature[i] = gain * turn + spring * curvature[i - 1] / pivot[i - 1]
        pivot[i] = excess + spring if i < steps - 1 else excess
    curvature[steps - 1] /= pivot[steps - 1]
    for i in range(steps - 2, -1, -1):
        curvature[i] = (curvature[i] + spring * curvature[i + 1]) / pivot[i]
