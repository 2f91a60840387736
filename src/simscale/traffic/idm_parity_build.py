"""Which vehicles NAVSIM's reactive traffic drives, and how it puts them onto lanes (`navsim_idm_agents_builder`).

Every vehicle of the current frame is snapped to the centre line of the one lane that it is on, and keeps that lane for
good. Vehicles that cannot be snapped are not driven; those that stand off the lanes may be shown as parked.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.geometry.boxes import boxes_overlap
from simscale.scene import CarState, EgoVehicle, RoadMap, TrackKind, Tracks
from simscale.traffic.footprints import LanePath, lane_path_of
from simscale.traffic.idm_parity_snap import Snaps, exact_snaps_of, snaps_of
from simscale.traffic.rules import TrafficRules

Array = np.ndarray

NAVSIM_RULES = TrafficRules(min_gap=1.0, headway=1.5, accel=1.0, decel=2.0, exponent=4.0, radius=100.0)
"""The constants of `navsim_IDM_traffic_agents.yaml`; of the rules, parity reads only these."""

TARGET_SPEED = 10.0
"""Where neither a vehicle's lane nor that of one before it has a limit (`target_velocity`), m/s."""

SNAP_DISTANCE = 3.0
"""A vehicle farther from its lane's centre line is not driven (`idm_snap_threshold`), m."""

PARKED_SPEED = 0.1
"""A slower vehicle off lanes and intersections is parked, m/s."""


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """The vehicles that drive, in the order in which they are annotated: the reference steps them in this order."""

    row: Int[Array, " n"]  # of each in the current tracks
    path: tuple[LanePath, ...]
    length: Float[Array, " n"]  # m
    width: Float[Array, " n"]  # m
    station: Float[Array, " n"]  # along the lane at the start, m
    speed: Float[Array, " n"]  # at the start, m/s
    target_speed: Float[Array, " n"]  # m/s
    snapped: Float[Array, "n 3"]  # x, y, yaw of the box that others see of it before its first step

    def __len__(self) -> int:
        """Number of drivers."""
        return len(self.row)


def drivers_of(
    current: Tracks, ego: CarState, road: RoadMap, *, vehicle: EgoVehicle, exact: bool = False
) -> tuple[Drivers, Int[Array, " p"]]:
    """Puts the vehicles of the current frame onto lanes (`build_idm_agents_on_map_rails`).

    Args:
        current: Tracks [a 1] in the order of annotation; kinds other than vehicles are ignored.
        ego: The ego now, without batch axes; here, and only here, its box is where it is.
        road: The map.
        vehicle: The ego car.
        exact: Whether Shapely finds the lanes.

    Returns:
        The drivers, and the rows of the vehicles that are parked: those that stand off lanes and intersections, and
        those on a lane but too far from its centre line. Whoever is neither vanishes after the current frame.
    """
    cars = np.flatnonzero((current.kind == TrackKind.VEHICLE) & current.valid[:, 0])
    snaps = (exact_snaps_of if exact else snaps_of)(road, current.xy[cars, 0], current.yaw[cars, 0])
    standing = current.speed[cars, 0] < PARKED_SPEED
    off_lane = (snaps.lane < 0) & standing & ~snaps.in_intersection
    beside_lane = (snaps.lane >= 0) & (snaps.distance > SNAP_DISTANCE)
    paths = {m: lane_path_of(road.centre_line(m)) for m in np.unique(snaps.lane[snaps.lane >= 0]).tolist()}
    chosen: list[int] = []
    taken = [(*ego.centre_xy(vehicle).tolist(), float(ego.yaw), vehicle.length, vehicle.width)]
    for v in np.flatnonzero((snaps.lane >= 0) & ~beside_lane).tolist():
        box = (*snaps.pose[v].tolist(), *current.size[cars[v], :2].tolist())
        if paths[int(snaps.lane[v])] is not None and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            chosen.append(v)
    return _drivers(current, ego, road, cars, snaps, paths, chosen), cars[off_lane | beside_lane]


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return bool(boxes_overlap(*box, *other))


def _drivers(
    current: Tracks,
    ego: CarState,
    road: RoadMap,
    cars: Int[Array, " v"],
    snaps: Snaps,
    paths: dict[int, LanePath | None],
    chosen: list[int],
) -> Drivers:
    row, lanes = cars[chosen], snaps.lane[chosen].tolist()
    speed = current.speed[row, 0]
    usable = [paths[lane] for lane in lanes]
    return Drivers(
        row=row,
        path=tuple(path for path in usable if path is not None),
        length=current.size[row, 0],
        width=current.size[row, 1],
        station=snaps.station[chosen],
        # The reference's stand-in for an unknown speed is the ego's.
        speed=np.where(np.isnan(speed), np.hypot(*ego.velocity), speed),
        target_speed=_target_speeds(road, lanes),
        snapped=snaps.pose[chosen],
    )


def _target_speeds(road: RoadMap, lanes: list[int]) -> Float[Array, " n"]:
    """Speed limits of the lanes.

    QUIRK (scoring.md 5.2): the reference overwrites its parameter in the loop, so that a lane without a limit inherits
    the target speed of the driver before it.
    """
    target, targets = TARGET_SPEED, []
    for lane in lanes:
        if road.has_speed_limit[lane] and road.speed_limit[lane] > 0:
            target = float(road.speed_limit[lane])
        targets.append(target)
    return np.array(targets, dtype=np.float64)
