"""Comfort: is the drive smooth by itself (HC), and does it agree with the plan made half a second before (EC)?

Signals are smoothed and differentiated by Savitzky-Golay filters (`pdm_comfort_metrics.py` of NAVSIM).
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float
from numba import njit

from simscale.dynamics.bicycle import turns_between
from simscale.scene import CarState, EgoVehicle
from simscale.scoring.ring_index import UNCOUNTED
from simscale.scoring.rules import ScoringRules
from simscale.scoring.smoothing import filter_of, smooth, smoothed

Array = np.ndarray

ACCEL, JERK = (8, 2, 0), (15, 2, 1)
"""Window, order and derivative of each signal's filter."""
YAW_RATE, YAW_ACCEL = (5, 2, 1), (5, 3, 2)


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


def comfort_signals(ego: CarState, *, vehicle: EgoVehicle, yaw_accel_order: int = 3) -> ComfortSignals:
    """Signals of a drive [k t].

    QUIRK Q2: the shift of the acceleration from the rear axle to the centre adds the centripetal and the tangential
    term both along x, and the lateral acceleration of a simulated car stays the bicycle's, which is 0.
    """
    at_centre = ego.acceleration[..., 0] + vehicle.rear_axle_to_centre * (ego.yaw_rate**2 + ego.yaw_accel)
    lon_accel = smoothed(at_centre, *ACCEL)
    accel = smoothed(np.hypot(ego.acceleration[..., 0], ego.acceleration[..., 1]), *ACCEL)
    turned = np.unwrap(ego.yaw, axis=-1)
    return ComfortSignals(
        lon_accel=lon_accel,
        lat_accel=smoothed(ego.acceleration[..., 1], *ACCEL),
        accel=accel,
        jerk=smoothed(accel, *JERK),
        lon_jerk=smoothed(lon_accel, *JERK),
        yaw_accel=smoothed(turned, 5, yaw_accel_order, 2),
        yaw_rate=smoothed(turned, *YAW_RATE),
    )


def history_comfort(
    ego: CarState, history: CarState | None, *, vehicle: EgoVehicle, rules: ScoringRules
) -> Float[Array, " k"]:
    """1 where every signal of history [h] or [k h] and drive [k t] stays within its limits; 1 without a history.

    It is `within_limits` of `comfort_signals`, but a drive that is out of one limit is not smoothed any further.
    """
    if history is None:
        return np.ones(ego.yaw.shape[0])
    past, drive = _rows(history), _rows(ego)
    past = past if past.ndim == 3 else past[None]
    length = past.shape[2] + drive.shape[2]
    fits = tuple(filter_of(length, *fit) for fit in (ACCEL, JERK, YAW_RATE, YAW_ACCEL))
    limits = (
        rules.min_lon_accel,
        rules.max_lon_accel,
        rules.max_abs_lat_accel,
        rules.max_abs_jerk,
        rules.max_abs_lon_jerk,
        rules.max_abs_yaw_rate,
        rules.max_abs_yaw_accel,
    )
    return _comfortable(past, drive, vehicle.rear_axle_to_centre, fits, limits)


def _rows(car: CarState) -> Float[Array, "*b 5 t"]:
    """What comfort is made of, signal by signal: accelerations, yaw and its derivatives."""
    along, aside = car.acceleration[..., 0], car.acceleration[..., 1]
    return np.stack([along, aside, car.yaw, car.yaw_rate, car.yaw_accel], axis=-2)


@njit(cache=True)
@no_type_check
def _comfortable(past, drive, to_centre, fits, limits):
    calm = np.zeros(len(drive))
    head, length = past.shape[2], past.shape[2] + drive.shape[2]
    row, raw, even, change = np.empty((5, length)), np.empty(length), np.empty(length), np.empty(length)
    for k in range(len(drive)):
        before = past[k if len(past) > 1 else 0]
        for signal in range(5):
            for i in range(length):
                row[signal, i] = before[signal, i] if i < head else drive[k, signal, i - head]
        if _is_smooth(row, to_centre, fits, limits, raw, even, change) and _turns_smoothly(
            row[2], fits, limits, raw, change
        ):
            calm[k] = 1.0
    return calm


@njit(**UNCOUNTED)
@no_type_check
def _is_smooth(row, to_centre, fits, limits, raw, even, change):
    """Accelerations and jerks; `raw`, `even` and `change` are room for signals."""
    accel_fit, jerk_fit, _, _ = fits
    min_lon_accel, max_lon_accel, max_lat_accel, max_jerk, max_lon_jerk, _, _ = limits
    for i in range(len(raw)):
        raw[i] = row[0, i] + to_centre * (row[3, i] * row[3, i] + row[4, i])  # QUIRK Q2, see `comfort_signals`
    smooth(raw, accel_fit, even)
    if not _stays(even, min_lon_accel, max_lon_accel):
        return False
    smooth(even, jerk_fit, change)
    if not _stays(change, -max_lon_jerk, max_lon_jerk):
        return False
    smooth(row[1], accel_fit, even)
    if not _stays(even, -max_lat_accel, max_lat_accel):
        return False
    for i in range(len(raw)):
        raw[i] = abs(row[0, i]) if row[1, i] == 0.0 else np.hypot(row[0, i], row[1, i])
    smooth(raw, accel_fit, even)
    smooth(even, jerk_fit, change)
    return _stays(change, -max_jerk, max_jerk)


@njit(**UNCOUNTED)
@no_type_check
def _turns_smoothly(yaw, fits, limits, raw, change):
    _, _, yaw_rate_fit, yaw_accel_fit = fits
    _, _, _, _, _, max_yaw_rate, max_yaw_accel = limits
    turns = 0.0  # whole ones, as `np.unwrap` adds them
    for i in range(len(raw)):
        if i > 0:
            turns += turns_between(yaw[i - 1], yaw[i])
        raw[i] = yaw[i] + turns
    smooth(raw, yaw_rate_fit, change)
    if not _stays(change, -max_yaw_rate, max_yaw_rate):
        return False
    smooth(raw, yaw_accel_fit, change)
    return _stays(change, -max_yaw_accel, max_yaw_accel)


@njit(**UNCOUNTED)
@no_type_check
def _stays(signal, low, high):
    """Whether a signal stays strictly between its limits."""
    inside = True
    for value in signal:
        inside &= low < value < high
    return inside


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
