"""CommonRoad XML scenarios become scenes, with a recorded vehicle as the ego.

A scenario holds a lanelet map and the recorded motion of every obstacle, but not of the car that is to be planned
for. So one of the recorded vehicles becomes the ego (ours): the one that is there longest, of those the one that
drives farthest; the scene lasts as long as it is there, in its own box. Positions are box centres; the ego's rear axle
lies where a car of its length usually has it. Formats 2018b and 2020a are read.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction, wrap
from simscale.ingest.bounds import MAX_DISTANCE, MAX_SIDE, MAX_TURN, bounded
from simscale.ingest.commonroad_map import road_of
from simscale.ingest.observations import Observations, tracks_on_grid
from simscale.ingest.vehicle import vehicle_of_box
from simscale.ingest.xml import number, read_xml, required
from simscale.scene import DT, NO_CAMERAS, NO_RECORDINGS, BadInput, Lights, Scene, TrackKind, Tracks
from simscale.scene.check import check
from simscale.scene.motion import car_state_of_poses
from simscale.scene.routing import route_of

Array = np.ndarray

FORMATS = ("2018b", "2020a")
"""Versions of CommonRoad that are read."""

KINDS = {
    **dict.fromkeys(("car", "truck", "bus", "priorityVehicle", "taxi", "train"), TrackKind.VEHICLE),
    "parkedVehicle": TrackKind.VEHICLE,
    **dict.fromkeys(("bicycle", "motorcycle"), TrackKind.BICYCLE),
    "pedestrian": TrackKind.PEDESTRIAN,
    "constructionZone": TrackKind.CZONE_SIGN,
    **dict.fromkeys(("roadBoundary", "medianStrip"), TrackKind.BARRIER),
}
"""CommonRoad's obstacle types; any other is a generic object."""

EGO_KINDS = ("car", "truck", "bus", "priorityVehicle", "taxi")

MAX_STEP = 1e9
"""Last time step that a file may name (ours): three years."""
HEIGHT = 1.5
"""CommonRoad is flat: height of every box, m (ours)."""
STANDING_NOISE = 0.1
"""How far a standing vehicle's recorded centre wanders, m (ours)."""


@dataclass(frozen=True, kw_only=True)
class _Obstacle:
    """One obstacle as recorded."""

    id: str
    type: str
    size: Float[Array, "3"]
    step: Int[Array, " t"]  # ascending
    xy: Float[Array, "t 2"]  # centre, m
    yaw: Float[Array, " t"]

    @property
    def rank(self) -> tuple[int, float]:
        """How good an ego it would make: time there, then distance driven."""
        return len(self.step), float(np.hypot(*np.diff(self.xy, axis=0).T).sum())


def logs_in(src: Path) -> list[Path]:
    """The XML files in a folder at any depth, or the one that `src` is.

    Raises:
        BadInput: There is none.
    """
    if src.is_file():
        return [src]
    logs = sorted(path for path in src.rglob("*.xml") if path.is_file())
    if not logs:
        raise BadInput(src, "logs", "none" if src.is_dir() else "missing", "a CommonRoad XML file or a folder of them")
    return logs


def scene_of(log: Path) -> Scene:
    """The span of the log in which the chosen ego is there, as one scene.

    Raises:
        BadInput: The file is damaged, or holds what no scene can be made of.
    """
    root = read_xml(log)
    if root.tag != "commonRoad" or root.get("commonRoadVersion") not in FORMATS:
        found = f"<{root.tag}> {root.get('commonRoadVersion')}"
        raise BadInput(log, "root", found, f"<commonRoad> of version {' or '.join(FORMATS)}")
    if abs(number(root.get("timeStepSize"), log, "timeStepSize") - DT) > 1e-9:
        raise BadInput(log, "timeStepSize", root.get("timeStepSize"), DT)
    obstacles = [_obstacle_of(node, log) for node in root if node.tag.lower().endswith("obstacle")]
    ego = _ego_of(obstacles, log)
    for obstacle in obstacles:
        field = f"obstacle {obstacle.id}.position less the ego's"
        bounded(obstacle.xy - ego.xy[0], MAX_DISTANCE, file=log, field=field)
    origin = np.append(np.rint(ego.xy[0]), 0.0)
    vehicle = vehicle_of_box(*ego.size)
    rear = ego.xy - origin[:2] - vehicle.rear_axle_to_centre * direction(ego.yaw)
    road, missing = road_of(root, log, origin=origin[:2])
    others = [obstacle for obstacle in obstacles if obstacle.id != ego.id]
    unknown = sorted({obstacle.type for obstacle in others} - set(KINDS))
    scene = Scene(
        id="".join(
            c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in root.get("benchmarkID") or log.stem
        ),
        source="commonroad",
        location=(root.get("benchmarkID") or log.stem).split("-")[0],
        origin=origin,
        timestamp_us=np.rint(ego.step * DT * 1e6).astype(np.int64),
        vehicle=vehicle,
        ego=car_state_of_poses(rear, wrap(ego.yaw), dt=DT),
        ego_z=np.zeros(len(ego.step)),
        tracks=_tracks_of(others, origin, first=int(ego.step[0]), length=len(ego.step)),
        road=road,
        lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, len(ego.step)), dtype=np.int64)),
        route=route_of(road, rear, ego.yaw),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=(
            *("images", "ground height", "heights of boxes (1.5 m)", "an ego of its own (a recorded vehicle is it)"),
            *missing,
            *((f"a kind for {', '.join(unknown)} (taken as generic_object)",) if unknown else ()),
        ),
    )
    check(scene, log)
    return scene


def _obstacle_of(node: Element, log: Path) -> _Obstacle:
    name = node.get("id") or "without id"
    field = f"obstacle {name}"
    states = [required(node, "initialState", log, field), *node.findall("trajectory/state")]
    rows = np.array([_pose(state, log, field) for state in states])
    bounded(rows[:, 0], MAX_STEP, file=log, field=f"{field}.time")
    bounded(rows[:, 3], MAX_TURN, file=log, field=f"{field}.orientation")
    step = rows[:, 0].astype(np.int64)
    if (np.diff(step) <= 0).any() or step[0] < 0 or (step != rows[:, 0]).any():
        raise BadInput(log, f"{field}.time", step[:5].tolist(), "ascending whole steps from 0 on")
    size, shift = _shape(required(node, "shape", log, field), log, field)
    yaw = np.unwrap(rows[:, 3] + shift[2])
    turned = np.stack([direction(rows[:, 3]), direction(rows[:, 3] + np.pi / 2)], axis=1)  # (state, ahead or left, xy)
    xy = rows[:, 1:3] + np.einsum("tij,i->tj", turned, shift[:2])
    return _Obstacle(id=name, type=(node.findtext("type") or "unknown").strip(), size=size, step=step, xy=xy, yaw=yaw)


def _pose(state: Element, log: Path, field: str) -> tuple[float, float, float, float]:
    """Time step, x, y and heading of one recorded state."""
    paths = ("time/exact", "position/point/x", "position/point/y", "orientation/exact")
    time, x, y, yaw = (number(state.findtext(path), log, f"{field}.{path}") for path in paths)
    return time, x, y, yaw


def _shape(node: Element, log: Path, field: str) -> tuple[Float[Array, "3"], Float[Array, "3"]]:
    """Length, width and height of the box, and where it lies on the recorded point (ahead, left, turned)."""
    rectangle, circle = node.find("rectangle"), node.find("circle")
    part = rectangle if rectangle is not None else circle
    if part is None:
        raise BadInput(log, f"{field}.shape", [child.tag for child in node], "a rectangle or a circle")
    if rectangle is not None:
        sides = [number(part.findtext(side), log, f"{field}.{side}") for side in ("length", "width")]
    else:
        sides = [2 * number(part.findtext("radius"), log, f"{field}.radius")] * 2
    if min(sides) <= 0:
        raise BadInput(log, f"{field}.size", sides, "length and width > 0")
    bounded(np.array(sides), MAX_SIDE, file=log, field=f"{field}.size")
    shift = [
        number(part.findtext(path, "0"), log, f"{field}.{path}") for path in ("center/x", "center/y", "orientation")
    ]
    bounded(np.array(shift), MAX_SIDE, file=log, field=f"{field}.shape")
    return np.array([*sides, HEIGHT]), np.array(shift)


def _ego_of(obstacles: list[_Obstacle], log: Path) -> _Obstacle:
    if len({obstacle.id for obstacle in obstacles}) != len(obstacles):
        raise BadInput(log, "obstacles", "two with one id", "an id for each")
    able = [o for o in obstacles if o.type in EGO_KINDS and len(o.step) >= 2 and _has_no_gap(o.step)]
    if not able:
        raise BadInput(log, "obstacles", f"{len(obstacles)}, none of them a moving car", "a recorded car to be the ego")
    return max(able, key=lambda obstacle: obstacle.rank)  # the first of equals, as in the file


def _has_no_gap(step: Int[Array, " t"]) -> bool:
    return int(step[-1] - step[0]) == len(step) - 1


def _tracks_of(obstacles: list[_Obstacle], origin: Float[Array, "3"], *, first: int, length: int) -> Tracks:
    """The obstacles in the scene's frame; one without a trajectory stands there all the time."""
    held = [_held(obstacle, first, length) for obstacle in obstacles]
    seen = np.concatenate([np.zeros((0, 4)), *[np.column_stack(part[:3]) for part in held]])
    owner = np.repeat(np.arange(len(held)), [len(part[0]) for part in held])
    return tracks_on_grid(
        Observations(
            time=seen[:, 0] * DT,
            track=owner,
            position=np.column_stack([seen[:, 1:3] - origin[:2], np.full(len(seen), HEIGHT / 2)]),
            yaw=seen[:, 3],
            noise=np.full(len(seen), STANDING_NOISE),
            weight=np.ones(len(seen)),
        ),
        steps=length,
        name=tuple(obstacle.id for obstacle in obstacles),
        kind=np.array([int(KINDS.get(o.type, TrackKind.GENERIC_OBJECT)) for o in obstacles], dtype=np.int64),
        size=np.array([obstacle.size for obstacle in obstacles]).reshape(-1, 3),
    )


def _held(obstacle: _Obstacle, first: int, length: int) -> tuple[Array, Array, Array]:
    """Steps after the scene's first, places and headings within the scene."""
    step, xy, yaw = obstacle.step - first, obstacle.xy, obstacle.yaw
    if len(step) == 1:
        step, xy, yaw = np.arange(length), np.repeat(xy, length, axis=0), np.repeat(yaw, length)
    inside: Bool[Array, " t"] = (step >= 0) & (step < length)
    return step[inside].astype(np.float64), xy[inside], yaw[inside]
