"""Comfort: is the drive smooth by itself (HC), and does it agree with the plan made half a second before (EC)?

Signals are smoothed and differentiated by Savitzky-Golay filters, which are linear: each is one matrix that is made
once for a length, and a batch is a matrix product (`pdm_comfort_metrics.py` of NAVSIM).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import savgol_filter

from simscale.scene import DT, CarState, EgoVehicle
from simscale.scoring.rules import ScoringRules

Array = np.ndarray

DECIMALS = 8
"""The reference rounds every intermediate signal to so many decimals."""


@dataclass(frozen=True, kw_only=True)
class ComfortSignals:
    """What the comfort limits are about."""

    lon_accel: Float[Array, "k t"]  # m/s^2, at the car's centre
    lat_accel: Float[Array, "k t"]
    accel: Float[Array, "k t"]  # magnitude at the rear axle
    jerk: Float[Array, "k t"]  # derivative of that magnitude, m/s^3
    lon_jerk: Float[Array, "k t"]
    yaw_accel: Float[Array, "k t"]  # rad/s^2
    yaw_rate: Float[Array, "k t"]  # rad/s


@cache
def _filter(length: int, window: int, order: int, derivative: int) -> Float[Array, "n n"]:
    """Matrix of a Savitzky-Golay filter; rows of signals are multiplied from the left.

    QUIRK Q3: the acceleration's window is even (8), so its value belongs half a sample later: SciPy's own behaviour.
    """
    response = np.asarray(savgol_filter(np.eye(length), window, order, deriv=derivative, delta=DT, axis=0))
    return np.ascontiguousarray(response.T)


def smoothed(signal: Float[Array, "k t"], window: int, order: int, derivative: int = 0) -> Float[Array, "k t"]:
    """A signal at 10 Hz, or a derivative of it, by a Savitzky-Golay filter, rounded as the reference does."""
    return np.round(signal @ _filter(signal.shape[1], window, order, derivative), DECIMALS)


def comfort_signals(ego: CarState, *, vehicle: EgoVehicle, yaw_accel_order: int = 3) -> ComfortSignals:
    """Signals of a drive [k t].

    QUIRK Q2: the shift of the acceleration from the rear axle to the centre adds the centripetal and the tangential
    term both along x, and the lateral acceleration of a simulated car stays the bicycle's, which is 0.
    """
    at_centre = ego.acceleration[..., 0] + vehicle.rear_axle_to_centre * (ego.yaw_rate**2 + ego.yaw_accel)
    lon_accel = smoothed(at_centre, 8, 2)
    accel = smoothed(np.hypot(ego.acceleration[..., 0], ego.acceleration[..., 1]), 8, 2)
    turned = np.unwrap(ego.yaw, axis=-1)
    return ComfortSignals(
        lon_accel=lon_accel,
        lat_accel=smoothed(ego.acceleration[..., 1], 8, 2),
        accel=accel,
        jerk=smoothed(accel, 15, 2, 1),
        lon_jerk=smoothed(lon_accel, 15, 2, 1),
        yaw_accel=smoothed(turned, 5, yaw_accel_order, 2),
        yaw_rate=smoothed(turned, 5, 2, 1),
    )


def history_comfort(
    ego: CarState, history: CarState | None, *, vehicle: EgoVehicle, rules: ScoringRules
) -> Float[Array, " k"]:
    """1 where every signal of history [h] or [k h] and drive [k t] stays within its limits; 1 without a history."""
    rollouts = ego.yaw.shape[0]
    if history is None:
        return np.ones(rollouts)
    past = np.broadcast_to(history.packed(), (rollouts, *history.packed().shape[-2:]))
    whole = CarState.unpacked(np.concatenate([past, ego.packed()], axis=1))
    return within_limits(comfort_signals(whole, vehicle=vehicle), rules)


def within_limits(signals: ComfortSignals, rules: ScoringRules) -> Float[Array, " k"]:
    """1 where every signal stays within its limits at all samples, strictly."""
    within = (signals.lon_accel > rules.min_lon_accel) & (signals.lon_accel < rules.max_lon_accel)
    within &= np.abs(signals.lat_accel) < rules.max_abs_lat_accel
    within &= np.abs(signals.jerk) < rules.max_abs_jerk
    within &= np.abs(signals.lon_jerk) < rules.max_abs_lon_jerk
    within &= np.abs(signals.yaw_accel) < rules.max_abs_yaw_accel
    within &= np.abs(signals.yaw_rate) < rules.max_abs_yaw_rate
    return np.asarray(within.all(axis=1), dtype=np.float64)


def extended_comfort(
    now: CarState, before: CarState, *, vehicle: EgoVehicle, rules: ScoringRules, shift: int = 5
) -> tuple[Bool[Array, " k"], Float[Array, "k 4"]]:
    """Whether a simulated drive [k t] agrees with the one planned `shift` samples earlier [k t].

    Only the samples that both have are looked at, and they are cut out before they are smoothed.

    Returns:
        The verdict, and the root mean squares of the differences of acceleration, jerk, yaw rate, yaw acceleration
        (`calculate_two_frame_extended_comfort`; yaw acceleration is fitted with order 2 here, not 3).
    """
    current = comfort_signals(now[:, :-shift], vehicle=vehicle, yaw_accel_order=2)
    earlier = comfort_signals(before[:, shift:], vehicle=vehicle, yaw_accel_order=2)
    pairs = [
        (current.accel, earlier.accel),
        (current.jerk, earlier.jerk),
        (current.yaw_rate, earlier.yaw_rate),
        (current.yaw_accel, earlier.yaw_accel),
    ]
    rms = np.stack([np.sqrt(((c - e) ** 2).mean(axis=1)) for c, e in pairs], axis=1)
    limits = np.array([rules.max_rms_accel, rules.max_rms_jerk, rules.max_rms_yaw_rate, rules.max_rms_yaw_accel])
    return np.asarray((rms <= limits).all(axis=1)), rms
