"""Argoverse 2 motion-forecasting scenarios as scenes: 11 s of tracked centres at 10 Hz round a vehicle with sensors.

A scenario is a folder with `scenario_<id>.parquet` and `log_map_archive_<id>.json`. The track `AV` is the ego. Its
position is the middle of the rear axle: in a turn it moves along its own heading (lever arm of the side slip fitted at
-0.3 m +- 0.3, where a box centre would give 1.37 m). All other positions are taken as box centres. The source holds no
sizes, no heights and no images.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from simscale.ingest.argoverse2_map import find_archive, read_road_map
from simscale.ingest.observations import Observations, tracks_on_grid
from simscale.ingest.reading import check_near, read_table
from simscale.scene import DT, FORD_FUSION, NO_CAMERAS, NO_RECORDINGS, BadInput, Lights, Scene, TrackKind
from simscale.scene.motion import car_state_of_poses
from simscale.scene.routing import route_of

Array = np.ndarray

SCENARIO = "scenario_*.parquet"
EGO_TRACK = "AV"
MAX_STEPS = 10_000
"""More steps than any scenario has (110): a damaged step number must not ask for endless arrays."""

SIZE_OF = {
    "vehicle": (4.6, 1.9, 1.6),
    "bus": (11.6, 2.9, 3.0),
    "pedestrian": (0.7, 0.7, 1.8),
    "cyclist": (1.7, 0.65, 1.7),
    "motorcyclist": (1.9, 0.8, 1.6),
    "riderless_bicycle": (1.6, 0.55, 1.2),
    "static": (0.45, 0.35, 0.95),
    "background": (0.45, 0.35, 0.95),
    "construction": (0.45, 0.35, 0.95),
    "unknown": (0.45, 0.35, 0.95),
}
"""Length, width, height of each type, m (ours: the source gives none). Medians of the annotated boxes in three sensor
logs, static things as bollards; but the median car there is 4.0 m long, as many were seen from one end only: 4.6."""

KIND_OF = {
    "vehicle": TrackKind.VEHICLE,
    "bus": TrackKind.VEHICLE,
    "pedestrian": TrackKind.PEDESTRIAN,
    "cyclist": TrackKind.BICYCLE,
    "motorcyclist": TrackKind.BICYCLE,
    "riderless_bicycle": TrackKind.BICYCLE,
    "construction": TrackKind.TRAFFIC_CONE,
}
"""Our kind of each type; the others are generic objects."""

NOISE = 0.5
"""How far the centre of a standing object strays, m (ours; tracks of the published scenarios are already smoothed)."""


def logs_in(src: Path) -> list[Path]:
    """Scenarios in a folder at any depth, or the folder itself if it is one, sorted.

    Raises:
        BadInput: There is no such folder, or no scenario in it.
    """
    expected = f"a folder with Argoverse 2 motion-forecasting scenarios ({SCENARIO})"
    if not src.is_dir():
        raise BadInput(src, "path", "a file" if src.exists() else "missing", expected)
    found = sorted({file.parent for file in src.rglob(SCENARIO)})
    if not found:
        raise BadInput(src, "content", "without a scenario", expected)
    return found


def scene_of(log: Path) -> Scene:
    """One scenario as a scene.

    Raises:
        BadInput: A file is missing, empty or damaged, or holds what a scenario may not hold.
    """
    path = _scenario_path(log)
    rows = _read_rows(path)
    ego = np.flatnonzero(rows["track_id"] == EGO_TRACK)
    ego = ego[np.argsort(rows["timestep"][ego], kind="stable")]
    steps = _check_ego_steps(path, rows["timestep"][ego])
    centres = np.stack([rows["position_x"], rows["position_y"], np.zeros(len(rows["position_x"]))], axis=-1)
    origin = centres[ego[0]]
    xyz, yaw = centres - origin, rows["heading"]

    others = np.flatnonzero(rows["track_id"] != EGO_TRACK)
    name, first, track = np.unique(rows["track_id"][others].astype(str), return_index=True, return_inverse=True)
    types = rows["object_type"][others][first]
    unknown = sorted(set(types) - set(SIZE_OF))
    seen = Observations(
        time=rows["timestep"][others] * DT,
        track=track,
        position=xyz[others],
        yaw=yaw[others],
        noise=np.full(len(others), NOISE),
        weight=np.ones(len(others)),
    )
    tracks = tracks_on_grid(
        seen,
        steps=steps,
        name=tuple(name.tolist()),
        kind=np.array([KIND_OF.get(t, TrackKind.GENERIC_OBJECT) for t in types], dtype=np.int64),
        size=np.array([SIZE_OF.get(t, SIZE_OF["unknown"]) for t in types]).reshape(-1, 3),
    )
    road = read_road_map(find_archive(log), origin=origin)
    missing = (
        "box sizes (one size a class)",
        *([f"a kind for {', '.join(unknown)} (taken as generic_object)"] if unknown else []),
        "heights",
        "traffic lights",
        "speed limits",
        "route beyond the end of the log",
        "camera calibration",
        "images",
        "LiDAR sweeps",
    )
    return Scene(
        id=log.resolve().name,
        source="argoverse2-motion",
        location=str(rows["city"][0]),
        origin=origin,
        timestamp_us=round(rows["start_timestamp"][0]) // 1000 + np.arange(steps) * round(DT * 1e6),
        vehicle=FORD_FUSION,
        ego=car_state_of_poses(xyz[ego, :2], yaw[ego], dt=DT),
        ego_z=np.zeros(steps),
        tracks=tracks,
        road=road,
        lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, steps), dtype=np.int64)),
        route=route_of(road, xyz[ego, :2], yaw[ego]),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=missing,
    )


def _scenario_path(log: Path) -> Path:
    found = sorted(log.glob(SCENARIO))
    if len(found) != 1:
        raise BadInput(log, SCENARIO, f"{len(found)} files", "one scenario")
    return found[0]


def _read_rows(path: Path) -> dict[str, Array]:
    columns = {"track_id": str, "object_type": str, "city": str, "timestep": int}
    floats = ("position_x", "position_y", "heading", "start_timestamp")
    rows = read_table(path, {**columns, **dict.fromkeys(floats, float)}, what="a Parquet table of tracked objects")
    check_near(path, rows, "position_x", "position_y", "heading")
    bad = np.flatnonzero((rows["timestep"] < 0) | (rows["timestep"] >= MAX_STEPS))
    if len(bad):
        raise BadInput(path, f"timestep in row {bad[0]}", rows["timestep"][bad[0]], f"0 to {MAX_STEPS - 1}")
    bad = np.flatnonzero((rows["start_timestamp"] < 0) | (rows["start_timestamp"] > 2.0**62))
    if len(bad):
        raise BadInput(path, f"start_timestamp in row {bad[0]}", rows["start_timestamp"][bad[0]], "a time in ns")
    keys = np.array([f"{track} {step}" for track, step in zip(rows["track_id"], rows["timestep"], strict=True)])
    if len(np.unique(keys)) < len(keys):
        raise BadInput(path, "track_id", "one track twice at a timestep", "at most one row a track and timestep")
    return rows


def _check_ego_steps(path: Path, timestep: Int[Array, " t"]) -> int:
    if len(timestep) < 2 or not np.array_equal(timestep, np.arange(len(timestep))):
        found = f"{len(timestep)} timesteps" if len(timestep) < 2 else "with gaps"
        raise BadInput(path, f"timestep of track {EGO_TRACK}", found, "0, 1, 2, ... without gaps, at least 2")
    return len(timestep)
