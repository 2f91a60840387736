"""Tracking controller: which acceleration and steering rate keep the car on a reference.

Longitudinal and lateral errors are controlled apart, each by a one-step LQR over a horizon of one second: what
constant command brings the error at the horizon down (`BatchLQRTracker` of NAVSIM).
"""

from typing import no_type_check

import numpy as np
from numba import njit

from simscale.dynamics.bicycle import wrapped
from simscale.scene.car import STEER, VX, YAW, X, Y

HORIZON = 10
"""Steps that the controller looks ahead (`tracking_horizon`)."""
Q_SPEED, R_ACCEL = 10.0, 1.0
"""Weights of speed error and acceleration (`q_longitudinal`, `r_longitudinal`)."""
Q_LATERAL, Q_HEADING, R_STEER_RATE = 1.0, 10.0, 1.0
"""Weights of lateral error, heading error (`q_lateral`, whose third weight, steering, is 0) and steering rate."""
STOP_SPEED = 0.2
"""Below this wanted and actual speed the car is only held, m/s (`stopping_velocity`)."""
STOP_GAIN = 0.5
"""1/s (`stopping_proportional_gain`)."""


@njit(cache=True)
@no_type_check
def command(state, pose, speed, curvature, i, wheel_base, dt):
    """Acceleration, m/s^2, and steering rate, rad/s, at step `i` of a reference of `len(speed)` displacements."""
    last = min(i + HORIZON, len(speed) - 1)
    too_fast = state[VX] - speed[last]
    if speed[last] <= STOP_SPEED and state[VX] <= STOP_SPEED:
        return -STOP_GAIN * too_fast, 0.0
    reach = HORIZON * dt  # change of speed by the horizon for an acceleration of 1
    accel = -reach * Q_SPEED * too_fast / (reach * Q_SPEED * reach + R_ACCEL)

    dx, dy, aim = state[X] - pose[i, 0], state[Y] - pose[i, 1], pose[i, 2]
    lateral = -dx * np.sin(aim) + dy * np.cos(aim)
    heading = wrapped(state[YAW] - aim)
    steer = state[STEER]
    gain_lateral, gain_heading, gain_steer = 0.0, 0.0, 0.0  # errors at the horizon for a steering rate of 1
    for j in range(HORIZON):
        moved = (state[VX] + accel * dt * j) * dt
        lateral, heading = (
            lateral + moved * heading,
            heading + moved / wheel_base * steer - moved * curvature[min(i + j, last)],
        )
        gain_lateral, gain_heading, gain_steer = (
            gain_lateral + moved * gain_heading,
            gain_heading + moved / wheel_base * gain_steer,
            gain_steer + dt,
        )
    heading = wrapped(heading)
    wanted = gain_lateral * Q_LATERAL * lateral + gain_heading * Q_HEADING * heading
    cost = gain_lateral * Q_LATERAL * gain_lateral + gain_heading * Q_HEADING * gain_heading + R_STEER_RATE
    return accel, -wanted / cost
