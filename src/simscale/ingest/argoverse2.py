"""Argoverse 2 sensor logs as scenes, straight from the published layout.

A log is a folder: `annotations.feather` (boxes in the ego frame of their sweep), `city_SE3_egovehicle.feather` (ego
poses in six degrees of freedom), `map/`, and perhaps `calibration/`, `sensors/cameras/<camera>/<time>.jpg` and
`sensors/lidar/<time>.feather`. Logs with and without images are both ingested; what is not there is said in `missing`.

Layout: Wilson et al., Argoverse 2 (NeurIPS 2021 datasets track), and the av2 user guide.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from simscale.geometry.se3 import yaw_of
from simscale.ingest.argoverse2_map import find_archive, read_ground, read_road_map
from simscale.ingest.argoverse2_sensors import (
    POSE_COLUMNS,
    EgoPoses,
    ego_from_axle,
    find_images,
    find_sweeps,
    motions_of,
    read_cameras,
    read_ego_poses,
)
from simscale.ingest.lanes import road_map_of
from simscale.ingest.observations import EDGE, Observations, tracks_on_grid
from simscale.ingest.reading import read_table
from simscale.scene import DT, FORD_FUSION, BadInput, Lights, Scene, TrackKind, Tracks
from simscale.scene.motion import car_state_of_poses
from simscale.scene.routing import route_of

Array = np.ndarray

ANNOTATIONS = ("annotations.feather", "annotations_with_ego.feather")
POSES = "city_SE3_egovehicle.feather"

EGO_CATEGORY = "EGO_VEHICLE"
"""Rows of the ego itself, in the scenario-mining logs. Their box (4.877 x 2.0 x 1.473 m, centred on the rear axle) is a
stand-in: length and height are the Ford Fusion's, the width lies between its body (1.85) and its mirrors (2.12)."""

CAREFUL_POINTS = 50
"""A box around at least so many LiDAR points was seen in full (ours)."""
NOISE_SEEN, NOISE_HIDDEN = 0.5, 1.7
"""How far the box of a parked car strays, m (ours; largest seen in three logs: 0.4 in full view, 1.66 while hidden)."""

_KINDS = {
    TrackKind.VEHICLE: (
        "REGULAR_VEHICLE LARGE_VEHICLE BUS BOX_TRUCK TRUCK TRUCK_CAB VEHICULAR_TRAILER SCHOOL_BUS ARTICULATED_BUS "
        "RAILED_VEHICLE"
    ),
    # With or without rider; scooters and the like ride where bicycles do.
    TrackKind.BICYCLE: "BICYCLE BICYCLIST MOTORCYCLE MOTORCYCLIST WHEELED_DEVICE WHEELED_RIDER",
    TrackKind.PEDESTRIAN: "PEDESTRIAN STROLLER WHEELCHAIR OFFICIAL_SIGNALER",
    TrackKind.TRAFFIC_CONE: "CONSTRUCTION_CONE CONSTRUCTION_BARREL",
    TrackKind.BARRIER: "BOLLARD",
    TrackKind.CZONE_SIGN: "MESSAGE_BOARD_TRAILER MOBILE_PEDESTRIAN_SIGN MOBILE_PEDESTRIAN_CROSSING_SIGN",
}
KIND_OF = {category: kind for kind, categories in _KINDS.items() for category in categories.split()}
"""Our kind of each category; any other (SIGN, STOP_SIGN, DOG, ...) is a generic object, and said."""


def logs_in(src: Path) -> list[Path]:
    """Logs in a folder at any depth, or the folder itself if it is one, sorted.

    Raises:
        BadInput: There is no such folder, or no log in it.
    """
    names = (*ANNOTATIONS, POSES)
    expected = f"a folder with Argoverse 2 sensor logs ({POSES} beside {ANNOTATIONS[0]})"
    if not src.is_dir():
        raise BadInput(src, "path", "a file" if src.exists() else "missing", expected)
    found = sorted({file.parent for name in names for file in src.rglob(name)})
    if not found:
        raise BadInput(src, "content", "without a log", expected)
    return found


def scene_of(log: Path) -> Scene:
    """One sensor log as a scene.

    Raises:
        BadInput: A file is missing, empty or damaged, or holds what a log may not hold.
    """
    poses = read_ego_poses(log / POSES)
    annotations = _annotations_path(log)
    boxes = _read_boxes(annotations)
    time_ns = _grid(annotations, boxes["timestamp_ns"], poses)
    origin = poses.at(time_ns[:1])[0, :3, 3]
    ego_motion = poses.at(time_ns)
    ego_xyz, ego_yaw = ego_motion[:, :3, 3] - origin, yaw_of(ego_motion)
    missing = ["traffic lights", "speed limits", "route beyond the end of the log"]

    tracks, unknown = _tracks(annotations, boxes, poses, time_ns, origin)
    missing += [f"a kind for {', '.join(unknown)} (taken as generic_object)"] if unknown else []
    has_map = (log / "map").is_dir()
    archive = find_archive(log / "map") if has_map else None
    road = read_road_map(archive, origin=origin) if archive else road_map_of([])
    ground = read_ground(log / "map", origin=origin)
    cameras = read_cameras(log / "calibration")
    images = find_images(log, cameras, poses, origin=origin)
    sweeps = find_sweeps(log, poses, origin=origin)
    missing += [
        phrase
        for phrase, held in (
            ("map", has_map),
            ("ground height", ground is not None),
            ("camera calibration", bool(cameras.name)),
            ("images", bool(images.path)),
            ("LiDAR sweeps", bool(sweeps.path)),
        )
        if not held
    ]
    return Scene(
        id=log.resolve().name,
        source="argoverse2",
        location=_city(archive),
        origin=origin,
        timestamp_us=time_ns[0] // 1000 + np.arange(len(time_ns)) * round(DT * 1e6),
        vehicle=FORD_FUSION,
        ego=car_state_of_poses(ego_xyz[:, :2], ego_yaw, dt=DT),
        ego_z=ego_xyz[:, 2],
        tracks=tracks,
        road=road,
        lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, len(time_ns)), dtype=np.int64)),
        route=route_of(road, ego_xyz[:, :2], ego_yaw),
        cameras=cameras,
        images=images,
        sweeps=sweeps,
        sensor_root=str(log.resolve()) if images.path or sweeps.path else "",
        ground=ground,
        missing=tuple(missing),
    )


def _annotations_path(log: Path) -> Path:
    found = [log / name for name in ANNOTATIONS if (log / name).is_file()]
    return found[0] if found else log / ANNOTATIONS[0]


def _read_boxes(path: Path) -> dict[str, Array]:
    columns = {"timestamp_ns": int, "track_uuid": str, "category": str, "num_interior_pts": int}
    sizes = ("length_m", "width_m", "height_m")
    what = "a Feather table of annotated boxes"
    boxes = read_table(path, {**columns, **dict.fromkeys(sizes, float), **POSE_COLUMNS}, what=what)
    for field in sizes:
        bad = np.flatnonzero(boxes[field] <= 0)
        if len(bad):
            raise BadInput(path, f"{field} of track {boxes['track_uuid'][bad[0]]}", boxes[field][bad[0]], "> 0 m")
    return boxes


def _grid(path: Path, sweep_ns: Int[Array, " n"], poses: EgoPoses) -> Int[Array, " t"]:
    """Instants 0.1 s apart, from the first annotated sweep to the last."""
    slack_ns, step_ns = round(EDGE * 1e9), round(DT * 1e9)
    sweeps = np.unique(sweep_ns)
    if len(sweeps) < 2:
        raise BadInput(path, "timestamp_ns", f"{len(sweeps)} sweeps", "at least 2")
    outside = sweeps[~poses.covers(sweeps, slack_ns=slack_ns)]
    if len(outside):
        span = f"within the ego poses, {poses.time_ns[0]} to {poses.time_ns[-1]}"
        raise BadInput(path, "timestamp_ns", outside[0], span)
    count = int((sweeps[-1] - sweeps[0] + slack_ns) // step_ns) + 1
    if not 2 <= count <= 100_000:
        raise BadInput(path, "timestamp_ns", f"{(sweeps[-1] - sweeps[0]) / 1e9:.3f} s of log", "0.1 s to 10000 s")
    return sweeps[0] + np.arange(count) * step_ns


def _tracks(
    path: Path, boxes: dict[str, Array], poses: EgoPoses, time_ns: Int[Array, " t"], origin: Float[Array, "3"]
) -> tuple[Tracks, list[str]]:
    """Tracks in the world frame, and the categories that we do not know."""
    others = np.flatnonzero(boxes["category"] != EGO_CATEGORY)
    name, first, track = np.unique(boxes["track_uuid"][others].astype(str), return_index=True, return_inverse=True)
    sweep_ns = boxes["timestamp_ns"][others]
    pairs = np.unique(np.stack([track, sweep_ns]), axis=1)
    if pairs.shape[1] < len(others):
        raise BadInput(path, "track_uuid", "one track twice in a sweep", "at most one box a track and sweep")
    map_from_box = poses.at(sweep_ns) @ ego_from_axle() @ motions_of(path, boxes)[others]
    points = boxes["num_interior_pts"][others]
    seen = Observations(
        time=(sweep_ns - time_ns[0]) / 1e9,
        track=track,
        position=map_from_box[:, :3, 3] - origin,
        yaw=yaw_of(map_from_box),
        noise=np.where(points >= CAREFUL_POINTS, NOISE_SEEN, NOISE_HIDDEN),
        weight=np.maximum(points, 0) + 1.0,
    )
    category = boxes["category"][others][first]
    kind = np.array([KIND_OF.get(c, TrackKind.GENERIC_OBJECT) for c in category], dtype=np.int64)
    size = np.stack([boxes[field][others][first] for field in ("length_m", "width_m", "height_m")], axis=-1)
    tracks = tracks_on_grid(seen, steps=len(time_ns), name=tuple(name.tolist()), kind=kind, size=size)
    return tracks, sorted(set(category) - set(KIND_OF))


def _city(archive: Path | None) -> str:
    """`PIT` from `log_map_archive_<log>____PIT_city_57819.json`."""
    return archive.stem.partition("____")[2].partition("_")[0] if archive else ""
