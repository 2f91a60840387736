"""Motion of a logged car from its poses: velocity, acceleration and turning, smoothed as little as will do."""

import numpy as np
from jaxtyping import Float
from scipy.signal import savgol_filter

from simscale.geometry.angles import direction
from simscale.scene.car import CarState

Array = np.ndarray

SMOOTHING_WINDOW = 9
"""Instants in the sliding parabola: 0.8 s at 10 Hz, half a typical braking manoeuvre (ours)."""


def car_state_of_poses(xy: Float[Array, "t 2"], yaw: Float[Array, " t"], *, dt: float) -> CarState:
    """States of a car whose rear axle went through these poses.

    Derivatives are those of a parabola fitted over `SMOOTHING_WINDOW` instants (fewer where the log is shorter).
    Steering is 0: a log does not hold it, and the reference starts from 0 as well.

    Args:
        xy: Rear axle in the world frame, m, on a grid.
        yaw: rad.
        dt: Step of the grid, s.
    """
    steps = len(yaw)
    window = min(SMOOTHING_WINDOW, steps if steps % 2 else steps - 1)
    turned = np.unwrap(yaw)
    if window < 3:
        velocity = np.zeros((steps, 2)) if steps < 2 else np.asarray(np.gradient(xy, dt, axis=0))
        acceleration, yaw_rate, yaw_accel = np.zeros((steps, 2)), np.zeros(steps), np.zeros(steps)
    else:
        velocity = np.asarray(savgol_filter(xy, window, 2, deriv=1, delta=dt, axis=0))
        acceleration = np.asarray(savgol_filter(xy, window, 2, deriv=2, delta=dt, axis=0))
        yaw_rate = np.asarray(savgol_filter(turned, window, 2, deriv=1, delta=dt))
        yaw_accel = np.asarray(savgol_filter(turned, window, 2, deriv=2, delta=dt))
    forward = direction(yaw)
    left = direction(yaw + np.pi / 2)

    def in_ego(vector: np.ndarray) -> np.ndarray:
        return np.stack([(vector * forward).sum(-1), (vector * left).sum(-1)], axis=-1)

    return CarState(
        xy=xy.astype(np.float64),
        yaw=(turned + np.pi) % (2 * np.pi) - np.pi,
        velocity=in_ego(velocity),
        acceleration=in_ego(acceleration),
        steer=np.zeros(steps),
        steer_rate=np.zeros(steps),
        yaw_rate=yaw_rate,
        yaw_accel=yaw_accel,
    )
