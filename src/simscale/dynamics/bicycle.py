"""Kinematic bicycle with lagging pedals and wheels: one step of the reference's simulation.

The state sits at the middle of the rear axle. Acceleration and steering angle approach what is asked for as
first-order lags; then one Euler step with the *old* speed, heading and steering moves the car
(`BatchKinematicBicycleModel` of NAVSIM). There is no lower limit for the speed: a car that is braked to a stop may
creep backwards by millimetres.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from simscale.scene.car import AX, AY, STEER, STEER_RATE, VX, VY, YAW, YAW_ACCEL, YAW_RATE, X, Y

ACCEL_LAG = 0.2
"""Time constant of the acceleration, s (`accel_time_constant`)."""
STEER_LAG = 0.05
"""Time constant of the steering angle, s (`steering_angle_time_constant`)."""
MAX_STEER = np.pi / 3
"""Largest steering angle, rad (`max_steering_angle`)."""


@njit(cache=True)
@no_type_check
def wrapped(angle):
    """The same angle in [-pi, pi), for kernels."""
    turned = angle + np.pi
    if 0.0 <= turned < 2 * np.pi:  # the remainder would be the same number, and takes long
        return turned - np.pi
    return turned % (2 * np.pi) - np.pi


@njit(cache=True)
@no_type_check
def turns_between(before, after):
    """What must be added to a yaw so that it is at most half a turn from the one before it (`np.unwrap`)."""
    step = after - before
    if abs(step) < np.pi:
        return 0.0
    short = wrapped(step)
    return np.pi - step if short == -np.pi and step > 0.0 else short - step


@njit(cache=True)
@no_type_check
def bicycle_step(state, accel, steer_rate, wheel_base, dt, after):
    """Writes the state one step later into `after`; both are arrays of the eleven packed numbers."""
    lagged_accel = state[AX] + dt / (dt + ACCEL_LAG) * (accel - state[AX])
    wanted_steer = state[STEER] + dt * steer_rate
    lagged_steer = state[STEER] + dt / (dt + STEER_LAG) * (wanted_steer - state[STEER])
    lagged_rate = (lagged_steer - state[STEER]) / dt

    after[X] = state[X] + state[VX] * np.cos(state[YAW]) * dt
    after[Y] = state[Y] + state[VX] * np.sin(state[YAW]) * dt
    after[YAW] = wrapped(state[YAW] + state[VX] * np.tan(state[STEER]) / wheel_base * dt)
    after[VX] = state[VX] + lagged_accel * dt
    after[VY] = 0.0
    after[AX] = lagged_accel
    after[AY] = 0.0
    after[STEER] = min(max(state[STEER] + lagged_rate * dt, -MAX_STEER), MAX_STEER)
    after[STEER_RATE] = lagged_rate
    after[YAW_RATE] = after[VX] * np.tan(after[STEER]) / wheel_base
    after[YAW_ACCEL] = (after[YAW_RATE] - state[YAW_RATE]) / dt
