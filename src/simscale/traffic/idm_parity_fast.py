"""NAVSIM's reactive drivers on the fast path: their lanes as arrays, prepared once for all drives of a scene."""

import numpy as np
from jaxtyping import Float

from simscale.scene import DT, CarState, EgoVehicle, Tracks
from simscale.traffic.idm_parity_build import Drivers
from simscale.traffic.idm_parity_drive import Begin, Driven
from simscale.traffic.idm_parity_gap import CHUNK, Lanes, Seen
from simscale.traffic.idm_parity_kernel import Driving, clear_of_others, poses_along, roll_batch
from simscale.traffic.idm_parity_ring import bound_chunks, vertices_needed
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


def lanes_of(drivers: Drivers) -> Lanes:
    """The drivers and their paths as the kernels read them."""
    rows = [np.column_stack([path.station, path.xy, path.yaw]) for path in drivers.path]
    path = np.concatenate([np.zeros((0, 4)), *rows])
    chunks = [-(-(len(row) - 1) // CHUNK) for row in rows]
    start = np.column_stack([np.cumsum([0] + [len(row) for row in rows]), np.cumsum([0, *chunks])])
    chunk = np.empty((start[-1, 1], 4))
    for i in range(len(rows)):
        bound_chunks(path, start[i, 0], start[i + 1, 0], CHUNK, chunk, start[i, 1])
    driver = np.column_stack([drivers.length, drivers.width, drivers.target_speed])
    return Lanes(path=path, chunk=chunk, start=start, driver=driver)


def drives_beside(
    lanes: Lanes,
    parked: Tracks,
    ego: CarState,
    begin: Begin,
    *,
    vehicle: EgoVehicle,
    rules: TrafficRules,
) -> Driven:
    """Drives beside egos `[k t]`; takes the decisions of `idm_parity_street.drives_beside`.

    Args:
        lanes: Who drives, and where.
        parked: Who stands [p 1].
        ego: The rollouts that the drivers see.
        begin: Where the drivers are at sample 0.
        vehicle: The ego car.
        rules: Constants.
    """
    count, samples = ego.yaw.shape
    driven = np.empty((count, len(lanes.driver), samples, 3))
    roll_batch(
        lanes,
        _driving(vehicle, rules),
        np.concatenate([ego.xy, ego.yaw[..., None], ego.speed[..., None]], axis=-1),
        np.stack([begin.station, begin.speed, begin.present], axis=-1),
        begin.snapped[: 0 if begin.swept else None],
        np.zeros((len(lanes.driver) + 1, 5)),
        room_for(lanes),
        driven,
    )
    progress, speed, present = driven[..., 0], driven[..., 1], driven[..., 2] > 0
    poses = poses_at(lanes, progress)
    standing = np.column_stack([parked.xy[:, 0], parked.yaw[:, 0], parked.size[:, :2]])
    free = np.empty((count, len(standing), samples), dtype=np.bool_)
    clear_of_others(lanes, poses, present, standing, free)
    return Driven(progress=progress, speed=speed, present=present, free=free)


def poses_at(lanes: Lanes, progress: Float[Array, "k n t"]) -> Float[Array, "k n t 3"]:
    """x, y and unwrapped yaw of the drivers at their stations, held at both ends of their paths."""
    poses = np.empty((*progress.shape, 3))
    poses_along(lanes, np.ascontiguousarray(progress), poses)
    return poses


def _driving(vehicle: EgoVehicle, rules: TrafficRules) -> Driving:
    return Driving(
        min_gap=float(rules.min_gap),
        headway=float(rules.headway),
        accel=float(rules.accel),
        decel=float(rules.decel),
        exponent=float(rules.exponent),
        radius=float(rules.radius),
        dt=DT,
        ego_length=float(vehicle.length),
        ego_width=float(vehicle.width),
    )


def room_for(lanes: Lanes) -> Seen:
    """Empty rings for the drivers, the ego and one corridor, each with room for the longest strip."""
    spans = zip(lanes.start[:-1, 0], lanes.start[1:, 0], strict=True)
    vertices = max([8, *(vertices_needed(lanes.path, begin, end) for begin, end in spans)])
    rows = len(lanes.driver) + 2
    return Seen(
        ring=np.empty((rows, 2, vertices, 2)),
        edges=np.zeros((rows, 2), dtype=np.int64),
        bounds=np.empty((rows, 2, 4)),
        there=np.ones(rows, dtype=np.bool_),
    )
