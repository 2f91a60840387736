"""Asks the tracker for speeds such that the car, with the tracker's lags, drives the speeds that are meant.

The tracker heads for the speed that the plan has a second later, the bicycle's acceleration follows with a lag of
0.2 s, and the plan's speeds are smoothed before. All three are linear and known, so they are undone in turn; what
the plan then says is no longer where the car will be (ours).
"""

from functools import cache

import numpy as np
from jaxtyping import Float

from simscale.dynamics.bicycle import ACCEL_LAG
from simscale.dynamics.profiles import speed_fit
from simscale.dynamics.tracker import HORIZON, Q_SPEED, R_ACCEL
from simscale.scene import DT

Array = np.ndarray

HARDEST, STRONGEST = -6.0, 4.0
"""Bounds on what the tracker is asked for, m/s^2: a kink in the speed would ask for more."""
SMOOTHNESS = 0.03
"""Weight against plans that differ from the speeds asked for, where the tracker's smoothing hides them."""


def anticipated(speed: Float[Array, "p t"], *, acceleration: float) -> Float[Array, "p t"]:
    """Distance along the path at each sample of the plan that makes the car drive these speeds.

    Args:
        speed: Meant speeds every 0.1 s, m/s; the first is the present one.
        acceleration: Present one, m/s^2.

    Returns:
        Distances, m, the first of which is 0; they may shrink where the car has to brake hard.
    """
    meant = np.diff(speed, axis=-1) / DT
    before = np.concatenate([np.full((len(speed), 1), acceleration), meant[:, :-1]], axis=-1)
    lag = (DT + ACCEL_LAG) / DT
    command = np.clip(before + lag * (meant - before), HARDEST, STRONGEST)
    reach = HORIZON * DT
    per_command = (reach * Q_SPEED * reach + R_ACCEL) / (reach * Q_SPEED)
    asked = _asked(speed, command * per_command)
    moved = asked @ _unsmoothed(asked.shape[1]).T * DT
    return np.concatenate([np.zeros((len(speed), 1)), np.cumsum(moved, axis=-1)], axis=-1)


def _asked(speed: Float[Array, "p t"], excess: Float[Array, "p n"]) -> Float[Array, "p n"]:
    """Speeds that the tracker must see at each displacement; it looks `HORIZON` ahead, and at the last in the end."""
    asked = np.empty_like(excess)
    asked[:, HORIZON:-1] = (speed[:, :-1] + excess)[:, : -HORIZON - 1]
    held = np.exp(-HORIZON * DT * (Q_SPEED / (Q_SPEED + R_ACCEL)))  # of a difference, after a second
    asked[:, -1] = np.maximum((speed[:, -1] - held * speed[:, -HORIZON - 1]) / (1 - held), 0.0)
    share = np.arange(HORIZON) / HORIZON
    asked[:, :HORIZON] = speed[:, :1] + share * (asked[:, HORIZON : HORIZON + 1] - speed[:, :1])
    return asked


@cache
def _unsmoothed(steps: int) -> Float[Array, "n n"]:
    """Matrix from the speeds that the tracker shall see to those that the plan must have (damped least squares)."""
    seen = speed_fit(steps, DT) * DT
    unit = SMOOTHNESS * np.eye(steps)
    return np.linalg.solve(seen.T @ seen + unit, seen.T + unit)
