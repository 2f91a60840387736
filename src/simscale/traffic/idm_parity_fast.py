"""NAVSIM's reactive drivers on the fast path: their lanes as arrays, prepared once for all drives of a scene."""

import numpy as np
from jaxtyping import Float

from simscale.scene import DT, CarState, EgoVehicle, Tracks
from simscale.traffic.idm_parity_build import Drivers
from simscale.traffic.idm_parity_gap import CHUNK, Lanes
from simscale.traffic.idm_parity_kernel import Begin, Drive, Driven, Driving, chunk_bounds, poses_along, roll_batch
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


def lanes_of(drivers: Drivers) -> Lanes:
    """The drivers' paths and sizes as the kernels read them."""
    rows = [np.column_stack([path.station, path.xy, path.yaw]) for path in drivers.path]
    path = np.concatenate([np.zeros((0, 4)), *rows])
    start = np.cumsum([0] + [len(row) for row in rows])
    chunks = [-(-(len(row) - 1) // CHUNK) for row in rows]
    chunk_start = np.cumsum([0, *chunks])
    chunk = np.empty((chunk_start[-1], 4))
    for i in range(len(rows)):
        chunk_bounds(path, start[i], start[i + 1], CHUNK, chunk[chunk_start[i] : chunk_start[i + 1]])
    size = np.column_stack([drivers.length, drivers.width])
    return Lanes(path=path, start=start, chunk=chunk, chunk_start=chunk_start, size=size)


def drives_beside(
    lanes: Lanes,
    drivers: Drivers,
    parked: Tracks,
    ego: CarState,
    begin: Begin,
    *,
    vehicle: EgoVehicle,
    rules: TrafficRules,
) -> Driven:
    """Drives beside egos `[k t]`; takes the decisions of `idm_parity_street.drives_beside`.

    Args:
        lanes: Of `drivers`.
        drivers: Who drives.
        parked: Who stands [p 1].
        ego: The rollouts that the drivers see.
        begin: Where the drivers are at sample 0.
        vehicle: The ego car.
        rules: Constants.
    """
    drive = Drive(
        ego=np.concatenate([ego.xy, ego.yaw[..., None], ego.speed[..., None]], axis=-1),
        ego_size=np.array([vehicle.length, vehicle.width]),
        parked=np.column_stack([parked.xy[:, 0], parked.yaw[:, 0], parked.size[:, :2]]),
        begin=begin,
    )
    shape = (*begin.station.shape, ego.yaw.shape[1])
    driven = Driven(
        progress=np.empty(shape),
        speed=np.empty(shape),
        present=np.empty(shape, dtype=np.bool_),
        free=np.empty((shape[0], len(drive.parked), shape[2]), dtype=np.bool_),
    )
    roll_batch(lanes, _driving(drivers, rules), drive, driven)
    return driven


def poses_at(lanes: Lanes, progress: Float[Array, "k n t"]) -> Float[Array, "k n t 3"]:
    """x, y and unwrapped yaw of the drivers at their stations, held at both ends of their paths."""
    poses = np.empty((*progress.shape, 3))
    poses_along(lanes, progress, poses)
    return poses


def _driving(drivers: Drivers, rules: TrafficRules) -> Driving:
    return Driving(
        min_gap=float(rules.min_gap),
        headway=float(rules.headway),
        accel=float(rules.accel),
        decel=float(rules.decel),
        exponent=float(rules.exponent),
        radius=float(rules.radius),
        dt=DT,
        target_speed=drivers.target_speed,
    )
