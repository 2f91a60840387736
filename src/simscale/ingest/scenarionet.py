"""ScenarioNet pickles become scenes: nuScenes above all, and in principle every dataset that ScenarioNet converts.

A file holds tracks and a map in the dataset's own coordinates at 10 Hz. What nuScenes' files get wrong is set right
here: length and width of the ego are swapped (those of the agents are right); ego poses carry nominal times
(retime.py); agents are interpolated from 2 Hz, so their velocities are found anew, and what is parked stands still
(observations.py). The ego's position is the middle of the rear axle: in curves that is where the car does not slide
sideways (measured, within 0.14 m). Other datasets put it in the middle of the box.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction
from simscale.ingest.bounds import MAX_DISTANCE, MAX_SIDE, MAX_TURN, bounded
from simscale.ingest.observations import Observations, tracks_on_grid
from simscale.ingest.retime import retimed
from simscale.ingest.safe_pickle import read_pickle
from simscale.ingest.scenarionet_map import road_of
from simscale.ingest.vehicle import vehicle_of_box
from simscale.scene import (
    AGENT_KINDS,
    DT,
    NO_CAMERAS,
    NO_RECORDINGS,
    RENAULT_ZOE,
    BadInput,
    EgoVehicle,
    Lights,
    RoadMap,
    Scene,
    TrackKind,
    Tracks,
)
from simscale.scene.check import check
from simscale.scene.motion import car_state_of_poses
from simscale.scene.routing import route_of

Array = np.ndarray

KINDS = {
    "VEHICLE": TrackKind.VEHICLE,
    "CYCLIST": TrackKind.BICYCLE,  # motorcycles too, as nuPlan counts them
    "PEDESTRIAN": TrackKind.PEDESTRIAN,
    "TRAFFIC_CONE": TrackKind.TRAFFIC_CONE,
    "TRAFFIC_BARRIER": TrackKind.BARRIER,
}
"""ScenarioNet's types (`MetaDriveType`); any other is a generic object."""

STATE_FIELDS = {"position": 2, "heading": 1, "length": 1, "width": 1, "height": 1, "valid": 1}
"""What a track must hold, and how many numbers of it at least."""

PARKED_NOISE, BRIEF_NOISE = 0.5, 0.15
"""How far the box of a standing object wanders between keyframes, m: seen for `PARKED_SECONDS`, and seen for less, when
a slow walk does not look different (ours)."""
PARKED_SECONDS = 2.0

TIME_TOLERANCE = 1e-3
"""How far a step of the file may be from `DT`, s."""


@dataclass(frozen=True, kw_only=True)
class _Boxes:
    """All tracks of a file, the ego first, in the source's coordinates."""

    xyz: Float[Array, "a t 3"]
    yaw: Float[Array, "a t"]
    size: Float[Array, "a 3"]
    valid: Bool[Array, "a t"]
    kind: Int[Array, " a"]
    id: tuple[str, ...]
    unknown: tuple[str, ...]  # types that became generic objects


def logs_in(src: Path) -> list[Path]:
    """The pickles in a folder at any depth (index files left out), or the one that `src` is.

    Raises:
        BadInput: There is none.
    """
    if src.is_file():
        return [src]
    logs = sorted(path for path in src.rglob("*.pkl") if path.is_file() and not path.name.startswith("dataset_"))
    if not logs:
        raise BadInput(src, "logs", "none" if src.is_dir() else "missing", "a ScenarioNet pickle or a folder of them")
    return logs


def scene_of(log: Path) -> Scene:
    """The whole log as one scene.

    Raises:
        BadInput: The file is damaged, or holds what no scene can be made of.
    """
    data = _checked(read_pickle(log), log)
    boxes = _boxes_of(data, log)
    is_nuscenes = _text(data["metadata"].get("dataset")).lower().startswith("nuscenes")
    origin = np.append(np.rint(boxes.xyz[0, 0, :2]), 0.0)
    first, xy, yaw, vehicle = _ego_of(boxes, log, is_nuscenes)
    xy = xy - origin[:2]
    road, missing = road_of(data["map_features"], log, name=data["id"], origin=origin[:2], ego_xy=xy)
    scene = Scene(
        id=_plain(data["id"]),
        source="scenarionet",
        location=_text(data["metadata"].get("map")),
        origin=origin,
        timestamp_us=np.rint(np.arange(first, first + len(yaw)) * DT * 1e6).astype(np.int64),
        vehicle=vehicle,
        ego=car_state_of_poses(xy, yaw, dt=DT),
        ego_z=np.zeros(len(yaw)),
        tracks=_tracks_of(boxes, origin, first, len(yaw)),
        road=road,
        lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, len(yaw)), dtype=np.int64)),
        route=route_of(road, xy, yaw),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=(*_missing_of(data, road, boxes), *missing),
    )
    check(scene, log)
    return scene


def _checked(data: object, log: Path) -> dict[str, Any]:
    """The pickle's dictionary, if it is a scenario on our grid."""
    wanted = {"id": (str,), "length": (int,), "metadata": (dict,), "tracks": (dict,), "map_features": (dict,)}
    if not isinstance(data, dict):
        raise BadInput(log, "pickle", f"a {type(data).__name__}", "a ScenarioDescription dictionary")
    for key, kinds in wanted.items():
        if not isinstance(data.get(key), kinds):
            raise BadInput(log, key, type(data.get(key)).__name__, kinds[0].__name__)
    time = data["metadata"].get("ts")
    if not isinstance(time, np.ndarray) or time.shape != (data["length"],) or time.dtype.kind not in "fiu":
        raise BadInput(log, "metadata.ts", type(time).__name__, f"{data['length']} times")
    if len(time) < 2 or not (np.abs(np.diff(time.astype(float)) - DT) < TIME_TOLERANCE).all():
        raise BadInput(log, "metadata.ts", "not on one grid", f"at least 2 instants {DT} s apart")
    return data


def _boxes_of(data: dict[str, Any], log: Path) -> _Boxes:
    ego = _text(data["metadata"].get("sdc_id"))
    if not all(isinstance(name, str) for name in data["tracks"]):
        raise BadInput(log, "tracks", "a name that is no string", "names of tracks")
    if ego not in data["tracks"]:
        raise BadInput(log, "metadata.sdc_id", repr(ego[:60]), "the name of a track")
    names = [ego, *(name for name in data["tracks"] if name != ego)]
    states = [_state_of(data["tracks"][name], f"{log}", f"tracks.{name}", data["length"]) for name in names]
    seen = [i for i, state in enumerate(states) if (state["valid"] > 0).any()]
    if 0 not in seen or not (states[0]["valid"] > 0).all():
        raise BadInput(log, f"tracks.{ego}.valid", "false at times", "an ego that is there at all times")
    types = [_text(data["tracks"][names[i]].get("type")) for i in seen]
    start = states[0]["position"][0]
    for i in seen:
        offset = states[i]["position"][states[i]["valid"] > 0] - start
        bounded(offset, MAX_DISTANCE, file=log, field=f"tracks.{names[i]}.position less the ego's")
    return _Boxes(
        xyz=np.stack([states[i]["position"] for i in seen]),
        yaw=np.stack([states[i]["heading"] for i in seen]),
        size=np.stack([_size_of(states[i], log, names[i]) for i in seen]),
        valid=np.stack([states[i]["valid"] > 0 for i in seen]),
        kind=np.array([int(KINDS.get(kind, TrackKind.GENERIC_OBJECT)) for kind in types], dtype=np.int64),
        id=tuple(names[i] for i in seen),
        unknown=tuple(sorted(set(types) - set(KINDS))),
    )


def _state_of(track: Any, log: str, field: str, length: int) -> dict[str, Array]:
    """Arrays `[t]` and `[t 3]` of a track, finite wherever it is valid."""
    state = track.get("state") if isinstance(track, dict) else None
    if not isinstance(state, dict):
        raise BadInput(log, f"{field}.state", type(state).__name__, "a dictionary of arrays")
    found: dict[str, Array] = {}
    for name, width in STATE_FIELDS.items():
        value = state.get(name)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.ndim not in (1, 2):
            raise BadInput(log, f"{field}.{name}", "no array of numbers", f"numbers for {length} instants")
        if len(value) != length or value[:1].size < width:
            raise BadInput(log, f"{field}.{name}", f"of shape {value.shape}", f"numbers for {length} instants")
        found[name] = value.reshape(length, -1).astype(np.float64)
    xyz = np.zeros((length, 3))
    xyz[:, : min(found["position"].shape[1], 3)] = found["position"][:, :3]
    found = {name: value[:, 0] for name, value in found.items()} | {"position": xyz}
    valid = found["valid"] > 0
    for name, value in found.items():
        if not np.isfinite(value[valid]).all():
            raise BadInput(log, f"{field}.{name}", "not finite", "finite numbers wherever the track is valid")
    bounded(found["heading"][valid], MAX_TURN, file=log, field=f"{field}.heading")
    return found


def _size_of(state: dict[str, Array], log: Path, name: str) -> Float[Array, "3"]:
    valid = state["valid"] > 0
    size = np.array([np.median(state[side][valid]) for side in ("length", "width", "height")])
    if not (size > 0).all():
        raise BadInput(log, f"tracks.{name}.size", size.tolist(), "length, width, height > 0")
    return bounded(size, MAX_SIDE, file=log, field=f"tracks.{name}.size")


def _ego_of(
    boxes: _Boxes, log: Path, is_nuscenes: bool
) -> tuple[int, Float[Array, "t 2"], Float[Array, " t"], EgoVehicle]:
    """First instant, rear axle and heading of the ego, and its car."""
    xy, yaw, size = boxes.xyz[0, :, :2], boxes.yaw[0], boxes.size[0]
    if is_nuscenes:
        found = retimed(xy, yaw, dt=DT)
        if len(found.yaw) < 2:
            raise BadInput(log, "length", len(found.yaw), "at least 2 instants")
        return found.first, found.xy, found.yaw, RENAULT_ZOE
    vehicle = vehicle_of_box(*size)
    return 0, xy - vehicle.rear_axle_to_centre * direction(yaw), yaw, vehicle


def _tracks_of(boxes: _Boxes, origin: Float[Array, "3"], first: int, length: int) -> Tracks:
    """The agents in the scene's frame, from the first instant at which the ego was measured."""
    valid = boxes.valid[1:].copy()
    valid[:, :first] = False
    agent, instant = np.nonzero(valid)
    long_seen = valid.sum(axis=1)[agent] * DT >= PARKED_SECONDS
    tracks = tracks_on_grid(
        Observations(
            time=(instant - first) * DT,
            track=agent,
            position=boxes.xyz[1:][agent, instant] - origin,
            yaw=boxes.yaw[1:][agent, instant],
            noise=np.where(long_seen, PARKED_NOISE, BRIEF_NOISE),
            weight=np.ones(len(agent)),
        ),
        steps=length,
        name=boxes.id[1:],
        kind=boxes.kind[1:],
        size=boxes.size[1:],
    )
    is_static = ~np.isin(tracks.kind, [int(kind) for kind in AGENT_KINDS])
    return replace(tracks, velocity=np.where(is_static[:, None, None], 0.0, tracks.velocity))


def _missing_of(data: dict[str, Any], road: RoadMap, boxes: _Boxes) -> list[str]:
    missing = ["images", "ground height"]
    missing.append(
        "traffic lights (those of the file are not read)" if data.get("dynamic_map_states") else "traffic lights"
    )
    if not road.has_speed_limit.any():
        missing.append("speed limits")
    if boxes.unknown:
        missing.append(f"kinds of {', '.join(boxes.unknown)} (taken as generic objects)")
    return missing


def _text(value: object) -> str:
    """A string, or an empty one for anything else (whose text could be endless)."""
    return value if isinstance(value, str) else ""


def _plain(name: str) -> str:
    """The name with '-' for whatever a scene's id may not hold."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
