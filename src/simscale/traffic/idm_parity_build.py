"""Which vehicles NAVSIM's reactive traffic drives, and how it puts them onto lanes (`navsim_idm_agents_builder`).

Every vehicle of the current frame is snapped to the centre line of the one lane that it is on, and keeps that lane for
good. Vehicles that cannot be snapped are not driven; those that stand off the lanes may be shown as parked.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from simscale.scene import CarState, EgoVehicle, RoadKind, RoadMap, TrackKind, Tracks
from simscale.traffic.footprints import LanePath, box_polygon, lane_path_of
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

HEADING_LOOKAHEAD = 0.5
"""A snapped vehicle looks at the point this far along its lane (`get_nearest_pose_from_position`), m."""


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


@dataclass(frozen=True, kw_only=True)
class Snap:
    """Where a vehicle would stand on the lane that it is on."""

    lane: int  # element of the map
    station: float  # along the whole centre line, m
    xy: Float[Array, "2"]
    yaw: float
    distance: float  # from the vehicle's centre, m


def snap(road: RoadMap, xy: Float[Array, "2"], yaw: float) -> Snap | None:
    """The lane of a vehicle (`get_starting_segment`): lanes first, connectors only inside an intersection.

    QUIRK (scoring.md 5.2): of several, the smallest difference of headings wins, not wrapped, so that near +-pi the
    wrong lane may win.
    """
    lanes = holding(road, xy, RoadKind.LANE)
    if not lanes and holding(road, xy, RoadKind.INTERSECTION):
        lanes = holding(road, xy, RoadKind.CONNECTOR)
    snaps = [snap_to(road, lane, xy) for lane in lanes if len(road.centre_line(lane)) >= 2]
    return min(snaps, key=lambda found: abs(found.yaw - yaw), default=None)


def snap_to(road: RoadMap, lane: int, xy: Float[Array, "2"]) -> Snap:
    """The nearest point of a lane's centre line; its heading is that of the next half metre, or of the last one."""
    line, point = shapely.LineString(road.centre_line(lane)), shapely.Point(xy)
    station = float(line.project(point))
    here, there = line.interpolate(station), line.interpolate(station + HEADING_LOOKAHEAD)
    if there.equals(here):
        behind, before = line.interpolate(station - HEADING_LOOKAHEAD), here
    else:
        behind, before = here, there
    yaw = float(np.arctan2(before.y - behind.y, before.x - behind.x))
    return Snap(lane=lane, station=station, xy=np.array([here.x, here.y]), yaw=yaw, distance=point.distance(here))


def holding(road: RoadMap, xy: Float[Array, "2"], kind: RoadKind) -> list[int]:
    """Elements of a kind whose polygons strictly hold a point, in the order of the map."""
    elements = [int(m) for m in road.of_kind(kind) if road.start[m + 1] - road.start[m] >= 3]
    near = [m for m in elements if ((road.ring(m).min(axis=0) <= xy) & (xy <= road.ring(m).max(axis=0))).all()]
    return [m for m in near if shapely.contains_xy(shapely.Polygon(road.ring(m)), *xy)]


def drivers_of(
    current: Tracks, ego: CarState, road: RoadMap, *, vehicle: EgoVehicle
) -> tuple[Drivers, Int[Array, " p"]]:
    """Puts the vehicles of the current frame onto lanes (`build_idm_agents_on_map_rails`).

    Args:
        current: Tracks [a 1] in the order of annotation; kinds other than vehicles are ignored.
        ego: The ego now, without batch axes; here, and only here, its box is where it is.
        road: The map.
        vehicle: The ego car.

    Returns:
        The drivers, and the rows of the vehicles that are parked: those that stand off lanes and intersections, and
        those on a lane but too far from its centre line. Whoever is neither vanishes after the current frame.
    """
    centre = ego.centre_xy(vehicle)
    taken = [box_polygon(centre, float(ego.yaw), length=vehicle.length, width=vehicle.width)]
    rows: list[int] = []
    snaps: list[Snap] = []
    parked: list[int] = []
    for row in np.flatnonzero((current.kind == TrackKind.VEHICLE) & current.valid[:, 0]).tolist():
        xy = current.xy[row, 0]
        found = snap(road, xy, float(current.yaw[row, 0]))
        if found is None:
            if current.speed[row, 0] < PARKED_SPEED and not holding(road, xy, RoadKind.INTERSECTION):
                parked.append(row)
        elif found.distance > SNAP_DISTANCE:
            parked.append(row)
        else:
            length, width = current.size[row, :2].tolist()
            box = box_polygon(found.xy, found.yaw, length=length, width=width)
            usable = lane_path_of(road.centre_line(found.lane)) is not None
            if usable and not shapely.intersects(box, taken).any():
                taken.append(box)
                rows.append(row)
                snaps.append(found)
    return _drivers(current, ego, road, rows, snaps), np.array(parked, dtype=np.int64)


def _drivers(current: Tracks, ego: CarState, road: RoadMap, rows: list[int], snaps: list[Snap]) -> Drivers:
    speed = current.speed[rows, 0]
    paths = [lane_path_of(road.centre_line(found.lane)) for found in snaps]
    return Drivers(
        row=np.array(rows, dtype=np.int64),
        path=tuple(path for path in paths if path is not None),
        length=current.size[rows, 0],
        width=current.size[rows, 1],
        station=np.array([found.station for found in snaps], dtype=np.float64),
        speed=np.where(
            np.isnan(speed), np.hypot(*ego.velocity), speed
        ),  # the reference's stand-in for an unknown speed
        target_speed=_target_speeds(road, [found.lane for found in snaps]),
        snapped=np.array([(*found.xy, found.yaw) for found in snaps], dtype=np.float64).reshape(-1, 3),
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
