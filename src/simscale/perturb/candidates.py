"""Candidates: which vocabulary entries a car can follow, and how far from the human they end.

Algorithm 1 of the paper, first half (pipeline.md 2). Everything is judged on the state after the rollout, since the
tracker follows speed and not station: ends differ from the candidate by 0.8 m in the median.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.se2 import to_child
from simscale.perturb.vocabulary import STEPS
from simscale.scene import DT, CarState

Array = np.ndarray

CHUNK = 5
"""Steps over which a candidate's motion is averaged before it is judged: 0.5 s (ours)."""


@dataclass(frozen=True, kw_only=True)
class PerturbSettings:
    """What may become a perturbed state. All ours: the paper leaves them open."""

    window_lon: float = 10.0  # farthest a state may lie ahead of or behind the human, m
    window_lat: float = 2.0  # ... to the side, m
    window_yaw: float = float(np.radians(20))  # ... and be turned, rad
    tube_lon: float = 1.0  # inside all three of these the log already holds the state, m
    tube_lat: float = 0.4  # m
    tube_yaw: float = float(np.radians(3))  # rad
    cell_lon: float = 2.5  # sides of the cells that are drawn from without replacement, m
    cell_lat: float = 0.5  # m
    cell_yaw: float = float(np.radians(5))  # rad
    max_tries: int = 8  # cells that a round may draw until one passes
    min_lon_accel: float = -4.05  # what a car can follow: limits of the reference's comfort, m/s^2
    max_lon_accel: float = 2.40  # m/s^2
    max_lat_accel: float = 4.89  # m/s^2
    max_yaw_rate: float = 0.95  # rad/s
    tracking_lon: float = 5.0  # how far a rollout's end may lie from its candidate's before anyone drives it, m
    tracking_lat: float = 2.0  # m
    tracking_yaw: float = float(np.radians(15))  # rad


DEFAULT = PerturbSettings()
WIDE = replace(DEFAULT, window_lon=20.0, window_lat=4.0, window_yaw=float(np.radians(30)))
LATERAL = replace(DEFAULT, window_lon=2.5, tube_lon=0.5)
"""Beside the human's path and turned from it, hardly ahead or behind: what an image shows (ours)."""
PRESETS = {"default": DEFAULT, "wide": WIDE, "lateral": LATERAL}


def can_follow(
    poses: Float[Array, "v 40 3"], *, speed: float, settings: PerturbSettings = DEFAULT
) -> Bool[Array, " v"]:
    """Which candidates a car at `speed` can follow, on means over 0.5 s.

    The mean speed of the first half second belongs to its middle, so the first acceleration is over 0.25 s.

    Args:
        poses: In the ego frame of the car.
        speed: Of the car now, m/s.
        settings: The limits.
    """
    whole = np.concatenate([np.zeros((len(poses), 1, 3)), poses], axis=1)[:, ::CHUNK]
    step = np.diff(whole[..., :2], axis=1)
    span = CHUNK * DT
    mean_speed = np.hypot(step[..., 0], step[..., 1]) / span
    accel = np.diff(mean_speed, axis=1) / span
    first = (mean_speed[:, :1] - speed) / (span / 2)
    accel = np.concatenate([first, accel], axis=1)
    yaw_rate = np.diff(np.unwrap(whole[..., 2], axis=1), axis=1) / span
    return np.asarray(
        (accel >= settings.min_lon_accel).all(1)
        & (accel <= settings.max_lon_accel).all(1)
        & (np.abs(mean_speed * yaw_rate) <= settings.max_lat_accel).all(1)
        & (np.abs(yaw_rate) <= settings.max_yaw_rate).all(1)
    )


def deviation_of(state: CarState, human: CarState) -> Float[Array, "k 3"]:
    """States `[k]` relative to the human's state `[]` at the same time: longitudinal m, lateral m, yaw rad."""
    xy, yaw = to_child(state.xy, state.yaw, frame_xy=human.xy, frame_yaw=float(human.yaw))
    return np.concatenate([xy, yaw[..., None]], axis=-1)


def is_new_state(deviation: Float[Array, "k 3"], *, settings: PerturbSettings = DEFAULT) -> Bool[Array, " k"]:
    """Inside the window, and outside the nominal tube that the log already covers."""
    off = np.abs(deviation)
    window = np.array([settings.window_lon, settings.window_lat, settings.window_yaw])
    tube = np.array([settings.tube_lon, settings.tube_lat, settings.tube_yaw])
    return np.asarray((off <= window).all(1) & (off > tube).any(1))


def may_end_in_window(
    poses: Float[Array, "v 40 3"], *, start: CarState, human: CarState, settings: PerturbSettings = DEFAULT
) -> Bool[Array, " v"]:
    """Which candidates end so near the window that their rollout could end inside it; the rest need no rollout."""
    c, s = np.cos(start.yaw), np.sin(start.yaw)
    end = poses[:, STEPS - 1]
    xy = start.xy + np.stack([c * end[:, 0] - s * end[:, 1], s * end[:, 0] + c * end[:, 1]], axis=-1)
    xy, yaw = to_child(xy, end[:, 2] + start.yaw, frame_xy=human.xy, frame_yaw=float(human.yaw))
    return (
        (np.abs(xy[:, 0]) <= settings.window_lon + settings.tracking_lon)
        & (np.abs(xy[:, 1]) <= settings.window_lat + settings.tracking_lat)
        & (np.abs(yaw) <= settings.window_yaw + settings.tracking_yaw)
    )


def cell_of(deviation: Float[Array, "k 3"], *, settings: PerturbSettings = DEFAULT) -> Int[Array, "k 3"]:
    """Cell of the grid over (longitudinal, lateral, yaw) that each deviation lies in."""
    size = np.array([settings.cell_lon, settings.cell_lat, settings.cell_yaw])
    return np.floor(deviation / size).astype(np.int64)
