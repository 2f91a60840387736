"""Drives against the golden numbers: what the tracker is asked for, where the car goes, its comfort, and who reacts."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from simscale.dynamics.profiles import fit_curvature, fit_speed, speed_fit
from simscale.evaluate.comparison import EXACT, Comparison, of_names, of_states
from simscale.evaluate.golden_inputs import METRES
from simscale.evaluate.navsim_start import NavsimStart
from simscale.geometry.angles import wrap
from simscale.ingest.golden import GoldenScene
from simscale.scene import DT, CarState, Plan, TrackKind, Tracks
from simscale.scoring import PARITY, comfort_signals, extended_comfort

Array = np.ndarray

PROFILE = 1e-9
"""Tolerance of speed and curvature profiles, m/s and 1/m."""


def drive_comparisons(
    golden: GoldenScene, start: NavsimStart, plan: Plan, ego: CarState, prefix: str
) -> Iterator[Comparison]:
    """Poses and profiles that the tracker follows, and states."""
    z = golden.npz
    pose = reference_on_map(plan, start, golden.origin)
    if f"{prefix}_ref" in z:
        yield of_states(f"{prefix}_ref", golden.local(pose), golden.local(z[f"{prefix}_ref"]), tolerance=METRES)
    speed, curvature = _profiles(pose)
    for name, found in (("vel_profile", speed), ("curv_profile", curvature)):
        if f"{prefix}_{name}" in z:
            quantity = f"{prefix}_{name}"
            yield Comparison(quantity=quantity, found=found, expected=z[quantity], tolerance=PROFILE)
    if f"{prefix}_sim" in z:
        yield of_states(f"{prefix}_sim", ego.packed(), golden.local(z[f"{prefix}_sim"]), tolerance=METRES)


def reference_on_map(plan: Plan, start: NavsimStart, origin: Float[Array, "2"]) -> Float[Array, "k n 3"]:
    """Poses every 0.1 s that the tracker follows, in map coordinates and with the reference's roundings.

    `dynamics.reference_of` keeps near the car and so all digits. In map coordinates of millions of metres a float64
    steps by up to 1e-9 m, which a speed profile shows at 1e-8 m/s; only what rounds alike agrees with it to 1e-9.
    """
    count, poses = plan.yaw.shape
    now = np.append(start.ego.xy + origin, start.ego.yaw)
    ahead = np.concatenate([plan.xy, plan.yaw[..., None]], axis=-1)
    there = _matrix(now) @ _matrix(ahead)
    begin = np.broadcast_to(now, (count, 1, 3))
    yaw = np.arctan2(there[..., 1, 0], there[..., 0, 0])
    pose = np.concatenate([begin, np.stack([there[..., 0, 2], there[..., 1, 2], yaw], axis=-1)], axis=1)
    pose[..., 2] = np.unwrap(pose[..., 2], axis=1)
    seconds, steps = start.time_us * 1e-6, round(poses * plan.dt / DT)
    due = np.array([start.time_us, *(int(1e6 * (seconds + (i + 1) * plan.dt)) for i in range(poses))], dtype=np.float64)
    grid = np.arange(0.0, steps * DT + DT, DT)[: steps + 1]
    wanted = np.clip([int((seconds + offset) * 1e6) for offset in grid], due[0], due[-1])
    after = np.clip(np.searchsorted(due, wanted), 1, poses)
    slope = (pose[:, after] - pose[:, after - 1]) / (due[after] - due[after - 1])[:, None]
    found = slope * (wanted - due[after - 1])[:, None] + pose[:, after - 1]
    found[..., 2] = wrap(found[..., 2])
    return found


def _matrix(pose: Float[Array, "*b 3"]) -> Float[Array, "*b 3 3"]:
    x, y, yaw = np.moveaxis(pose, -1, 0)
    cos, sin, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    rows = [[cos, -sin, x], [sin, cos, y], [zero, zero, zero + 1.0]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _profiles(pose: Float[Array, "k n 3"]) -> tuple[Float[Array, "k m"], Float[Array, "k m"]]:
    """Speeds and curvatures that the tracker is asked for."""
    plans, steps = pose.shape[0], pose.shape[1] - 1
    speed, curvature = np.empty((plans, steps)), np.empty((plans, steps))
    fit = speed_fit(steps, DT)
    for k in range(plans):
        fit_speed(pose[k], fit, speed[k])
        fit_curvature(pose[k], speed[k], DT, curvature[k])
    return speed, curvature


def comfort_comparisons(golden: GoldenScene, start: NavsimStart, ego: CarState) -> Iterator[Comparison]:
    """Comfort's signals, and extended comfort of each drive against the next."""
    z = golden.npz
    if "hc_minmax" in z:
        past = np.broadcast_to(start.history.packed(), (len(ego.yaw), *start.history.packed().shape))
        whole = CarState.unpacked(np.concatenate([past, ego.packed()], axis=1))
        found = comfort_signals(whole, vehicle=start.vehicle)
        signals = (found.lon_accel, found.lat_accel, found.jerk, found.lon_jerk, found.yaw_accel, found.yaw_rate)
        span = np.stack([np.stack([one.min(axis=1), one.max(axis=1)], axis=-1) for one in signals], axis=1)
        yield Comparison(quantity="hc_minmax", found=span, expected=z["hc_minmax"], tolerance=METRES)
    if "ec_ok" in z or "ec_rms" in z:
        before = CarState.unpacked(np.roll(ego.packed(), -1, axis=0))
        kept, rms = extended_comfort(ego, before, vehicle=start.vehicle, rules=PARITY)
        for name, values, tolerance in (("ec_ok", kept, EXACT), ("ec_rms", rms, METRES)):
            if name in z:
                yield Comparison(quantity=name, found=values, expected=z[name], tolerance=tolerance)


def traffic_comparisons(golden: GoldenScene, tracks: Tracks) -> Iterator[Comparison]:
    """Vehicles of the reactive rollouts `[r a t]`, as far as they are stored."""
    z = golden.npz
    if "r_idm_start" not in z:
        return
    number = {name: i for i, name in enumerate(golden.track_ids)}
    ids = np.array([number[name] for name in tracks.id])
    for i, rollout in enumerate(z["r_idm_traj"].tolist()):
        for t in range(tracks.valid.shape[-1]):
            rows = slice(z["r_idm_start"][i, t], z["r_idm_start"][i, t + 1])
            there = np.flatnonzero((tracks.kind[rollout] == TrackKind.VEHICLE) & tracks.valid[rollout, :, t])
            yield from _vehicles(golden, rows, tracks, rollout, t, there[np.argsort(ids[there])], ids)


def _vehicles(
    golden: GoldenScene, rows: slice, tracks: Tracks, rollout: int, t: int, there: Array, ids: Array
) -> Iterator[Comparison]:
    """One sample; vehicles by number, for their order is the reference's own affair."""
    z = golden.npz
    order = np.argsort(z["r_idm_track"][rows])
    expected = z["r_idm_track"][rows][order]
    yield of_names("r_idm_track", list(map(str, ids[there])), list(map(str, expected)))
    if not np.array_equal(ids[there], expected):
        return
    xy, yaw, size = tracks.xy[rollout, there, t], tracks.yaw[rollout, there, t], tracks.size[rollout, there, :2]
    box = np.concatenate([xy, yaw[:, None], size], axis=-1)
    if "r_idm_box" in z:
        yield of_states("r_idm_box", box, golden.local(z["r_idm_box"][rows][order]), tolerance=METRES)
    if "r_idm_vel" in z:
        velocity = tracks.velocity[rollout, there, t]
        yield Comparison(quantity="r_idm_vel", found=velocity, expected=z["r_idm_vel"][rows][order], tolerance=METRES)
