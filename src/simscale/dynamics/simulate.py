"""From a plan to what the car really does: resample to 10 Hz, track, move, for any batch of plans at once.

Everything is computed in a frame that is shifted to the first rear axle (map coordinates of millions of metres would
cost digits); only the result is shifted back.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit

from simscale.dynamics.bicycle import bicycle_step, turns_between, wrapped
from simscale.dynamics.profiles import fit_curvature, fit_speed, speed_fit_by_column
from simscale.dynamics.tracker import command
from simscale.geometry.angles import direction
from simscale.scene import DT, CarState, EgoVehicle, Plan

Array = np.ndarray


def simulate(
    plan: Plan, start: CarState, *, vehicle: EgoVehicle, steps: int = 40, start_time_us: int | None = None
) -> CarState:
    """Lets the car follow plans from a state (`PDMSimulator` of NAVSIM: resampling, LQR tracker, bicycle).

    Args:
        plan: Plans [k t] in the ego frame of `start`.
        start: One state for all plans, or one a plan [k]; its steering and acceleration are where the lags start.
        vehicle: Whose wheel base.
        steps: Steps of 0.1 s to simulate, at most the plan's own horizon; `coast` goes on from there.
        start_time_us: Time of the start, for agreement with the reference to the last digit (see `reference_of`).

    Returns:
        States [k steps+1], the first of which is `start`.
    """
    return track(reference_of(plan, start, start_time_us=start_time_us), start, vehicle=vehicle, steps=steps)


def track(
    pose: Float[Array, "k n 3"],
    start: CarState,
    *,
    vehicle: EgoVehicle,
    steps: int,
    start_time_us: int | None = None,
) -> CarState:
    """Lets the car follow poses every 0.1 s, the first of which need not be where it starts.

    Args:
        pose: x and y relative to the (first) rear axle of `start`, and world yaw.
        start: One state for all, or one each [k].
        vehicle: Whose wheel base.
        steps: Steps of 0.1 s to simulate, fewer than there are poses.
        start_time_us: Time of the start, for agreement with the reference to the last digit, as in `simulate`: the
            poses are due every 100,000 us, but asked for at times that are cut off.

    Returns:
        States [k steps+1], the first of which is `start`.
    """
    if start_time_us is not None:
        pose = _between(pose, np.arange(pose.shape[1]) * 1e5, _times(pose.shape[1] - 1, DT, start_time_us)[1])
    plans, horizon = pose.shape[0], pose.shape[1] - 1
    assert 0 < steps <= horizon, f"{steps} steps of a plan of {horizon}"
    first = np.broadcast_to(start.packed(), (plans, 11)).copy()
    origin = first[:, :2].copy()
    first[:, :2] = 0.0
    states = np.empty((plans, steps + 1, 11))
    _follow(np.ascontiguousarray(pose), first, speed_fit_by_column(horizon, DT), vehicle.wheel_base, DT, states)
    states[..., :2] += origin[:, None]
    return CarState.unpacked(states)


def reference_of(plan: Plan, start: CarState, *, start_time_us: int | None = None) -> Float[Array, "k n 3"]:
    """Poses every 0.1 s that the tracker follows: x and y relative to the first rear axle, and world yaw.

    Positions and headings are interpolated linearly between the start and the plan's poses. The reference keeps
    time in whole microseconds and cuts each time off instead of rounding it, which moves poses by up to 1e-5 m:
    where `start_time_us` is given, so do we.
    """
    plans, poses = plan.yaw.shape
    base_yaw = np.ascontiguousarray(np.broadcast_to(start.yaw, (plans,)), dtype=np.float64)
    xy, yaw = (np.ascontiguousarray(part, dtype=np.float64) for part in (plan.xy, plan.yaw))
    due, wanted = _times(poses, plan.dt, start_time_us)
    return _between(_beside_start(xy, yaw, base_yaw), due, wanted)


@njit(cache=True)
@no_type_check
def _beside_start(xy, yaw, base_yaw):
    """The start, and poses given in its frame turned into the world's directions."""
    plans, poses = yaw.shape
    pose = np.empty((plans, poses + 1, 3))
    for k in range(plans):
        cos, sin = np.cos(base_yaw[k]), np.sin(base_yaw[k])
        pose[k, 0, 0], pose[k, 0, 1], pose[k, 0, 2] = 0.0, 0.0, base_yaw[k]
        for i in range(poses):
            pose[k, i + 1, 0] = cos * xy[k, i, 0] - sin * xy[k, i, 1]
            pose[k, i + 1, 1] = sin * xy[k, i, 0] + cos * xy[k, i, 1]
            pose[k, i + 1, 2] = wrapped(yaw[k, i] + base_yaw[k])
    return pose


def _between(pose: Float[Array, "k n 3"], due: Float[Array, " n"], wanted: Float[Array, " m"]) -> Float[Array, "k m 3"]:
    """Poses at the wanted times, x, y and the unwrapped yaw each linear between poses that are due at known times."""
    left = np.clip(np.searchsorted(due, wanted, side="right") - 1, 0, len(due) - 2)
    share = (wanted - due[left]) / (due[left + 1] - due[left])
    return _interpolated(np.ascontiguousarray(pose, dtype=np.float64), left, share)


@njit(cache=True)
@no_type_check
def _interpolated(pose, left, share):
    plans, poses, _ = pose.shape
    out, yaw = np.empty((plans, len(left), 3)), np.empty(poses)
    for k in range(plans):
        turns = 0.0
        yaw[0] = pose[k, 0, 2]
        for i in range(1, poses):
            turns += turns_between(pose[k, i - 1, 2], pose[k, i, 2])
            yaw[i] = pose[k, i, 2] + turns
        for j in range(len(left)):
            i, part = left[j], share[j]
            out[k, j, 0] = pose[k, i, 0] + part * (pose[k, i + 1, 0] - pose[k, i, 0])
            out[k, j, 1] = pose[k, i, 1] + part * (pose[k, i + 1, 1] - pose[k, i, 1])
            out[k, j, 2] = wrapped(yaw[i] + part * (yaw[i + 1] - yaw[i]))
    return out


def _times(poses: int, dt: float, start_time_us: int | None) -> tuple[Float[Array, " n"], Float[Array, " m"]]:
    """When the start and the poses are due, and the instants of the grid; s, or whole us after the start."""
    steps = round(poses * dt / DT)
    if start_time_us is None:
        return np.arange(poses + 1) * dt, np.minimum(np.arange(steps + 1) * DT, poses * dt)
    start = start_time_us * 1e-6
    due = [start_time_us] + [int(1e6 * (start + (i + 1) * dt)) for i in range(poses)]
    grid = np.arange(0.0, steps * DT + DT, DT)[: steps + 1]
    wanted = np.clip([int((start + offset) * 1e6) for offset in grid], due[0], due[-1])
    return np.array(due, dtype=np.float64) - start_time_us, wanted - np.float64(start_time_us)


def coast(states: CarState, steps: int) -> CarState:
    """Goes on straight at the last speed for `steps` of 0.1 s (ours: the reference never looks past the plan)."""
    last = states[..., -1]
    speed = last.velocity[..., :1]
    time = np.arange(1, steps + 1) * DT
    packed = np.zeros((*last.yaw.shape, steps, 11))
    moved = direction(last.yaw)[..., None, :] * (speed * time)[..., None]
    packed[..., :2] = last.xy[..., None, :] + moved
    packed[..., 2] = last.yaw[..., None]
    packed[..., 3] = speed
    return CarState.unpacked(np.concatenate([states.packed(), packed], axis=-2))


@njit(cache=True)
@no_type_check
def _follow(pose, first, fit, wheel_base, dt, states):
    plans, horizon = pose.shape[0], pose.shape[1] - 1
    speed, curvature = np.empty(horizon), np.empty(horizon)
    for k in range(plans):
        fit_speed(pose[k], fit, speed)
        fit_curvature(pose[k], speed, dt, curvature)
        states[k, 0] = first[k]
        for i in range(states.shape[1] - 1):
            accel, steer_rate = command(states[k, i], pose[k], speed, curvature, i, wheel_base, dt)
            bicycle_step(states[k, i], accel, steer_rate, wheel_base, dt, states[k, i + 1])
