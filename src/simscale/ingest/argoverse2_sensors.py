"""Poses, cameras and recordings of an Argoverse 2 sensor log.

Argoverse's ego frame sits in the middle of the rear axle, a wheel radius above the ground; ours sits below it on the
ground. The change is made here, once: poses leave this file for the frame on the ground.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation, Slerp

from simscale.geometry.se3 import inverse, matrix_of
from simscale.ingest.reading import check_near, read_table
from simscale.scene import NO_CAMERAS, NO_RECORDINGS, BadInput, Cameras, Recordings

Array = np.ndarray

AXLE_HEIGHT = 0.32
"""Rear axle above the ground, m (ours; the ego poses of three logs stand 0.30 to 0.32 m above the height raster)."""

LATEST_NS = 2**62
"""Later times than this would overflow when they are subtracted."""

POSE_COLUMNS = {name: float for name in ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")}
LENS_COLUMNS = {name: float for name in ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3")}


def ego_from_axle() -> Float[Array, "4 4"]:
    """Our ego frame on the ground from Argoverse's at the height of the axle."""
    motion = np.eye(4)
    motion[2, 3] = AXLE_HEIGHT
    return motion


@dataclass(frozen=True, kw_only=True)
class EgoPoses:
    """The ego's path in six degrees of freedom, in the source's map; our ego frame, on the ground."""

    time_ns: Int[Array, " n"]  # strictly ascending
    map_from_ego: Float[Array, "n 4 4"]

    def at(self, time_ns: Int[Array, " i"]) -> Float[Array, "i 4 4"]:
        """Poses at other times: straight lines between positions, great arcs between attitudes; held at the ends."""
        if len(time_ns) == 0:
            return np.zeros((0, 4, 4))
        own = (self.time_ns - self.time_ns[0]).astype(np.float64)
        asked = np.clip((time_ns - self.time_ns[0]).astype(np.float64), own[0], own[-1])
        motion = np.tile(np.eye(4), (len(asked), 1, 1))
        motion[:, :3, :3] = Slerp(own, Rotation.from_matrix(self.map_from_ego[:, :3, :3]))(asked).as_matrix()
        for axis in range(3):
            motion[:, axis, 3] = np.interp(asked, own, self.map_from_ego[:, axis, 3])
        return motion

    def covers(self, time_ns: Int[Array, " i"], *, slack_ns: int = 0) -> Array:
        """Which times lie within the path's own, or at most `slack_ns` outside."""
        return (time_ns >= self.time_ns[0] - slack_ns) & (time_ns <= self.time_ns[-1] + slack_ns)


def motions_of(path: Path, table: dict[str, Array]) -> Float[Array, "n 4 4"]:
    """Rigid motions from the columns qw to tz_m.

    Raises:
        BadInput: A quaternion is not of length 1, or a place is absurdly far away.
    """
    check_near(path, table, "tx_m", "ty_m", "tz_m")
    quat = np.stack([table[name] for name in ("qw", "qx", "qy", "qz")], axis=-1)
    length = np.linalg.norm(quat, axis=-1)
    bad = np.flatnonzero(np.abs(length - 1.0) > 0.01)
    if len(bad):
        raise BadInput(path, f"qw, qx, qy, qz in row {bad[0]}", f"of length {length[bad[0]]:.3g}", "a unit quaternion")
    return matrix_of(quat, np.stack([table[name] for name in ("tx_m", "ty_m", "tz_m")], axis=-1))


def read_ego_poses(path: Path) -> EgoPoses:
    """The file `city_SE3_egovehicle.feather`.

    Raises:
        BadInput: The file is missing or damaged, or holds fewer than two poses, or two for one time.
    """
    table = read_table(path, {"timestamp_ns": int, **POSE_COLUMNS}, what="a Feather table of ego poses")
    order = np.argsort(table["timestamp_ns"], kind="stable")
    time_ns = table["timestamp_ns"][order]
    if len(time_ns) < 2 or not (np.diff(time_ns) > 0).all():
        raise BadInput(
            path,
            "timestamp_ns",
            f"{len(np.unique(time_ns))} times in {len(time_ns)} rows",
            "2 or more poses, one a time",
        )
    if time_ns[0] < 0 or time_ns[-1] > LATEST_NS:
        raise BadInput(path, "timestamp_ns", f"{time_ns[0]} to {time_ns[-1]}", f"0 to {LATEST_NS}")
    return EgoPoses(time_ns=time_ns, map_from_ego=motions_of(path, table)[order] @ inverse(ego_from_axle()))


def read_cameras(folder: Path) -> Cameras:
    """The rig in `calibration/`; no cameras where there is no such folder.

    Raises:
        BadInput: A file is missing or damaged, or a camera has no pose or no size.
    """
    if not folder.is_dir():
        return NO_CAMERAS
    lenses_path, poses_path = folder / "intrinsics.feather", folder / "egovehicle_SE3_sensor.feather"
    columns = {"sensor_name": str, **LENS_COLUMNS, "width_px": int, "height_px": int}
    lenses = read_table(lenses_path, columns, what="a Feather table of camera lenses")
    poses = read_table(poses_path, {"sensor_name": str, **POSE_COLUMNS}, what="a Feather table of sensor poses")
    names, motions = poses["sensor_name"].tolist(), motions_of(poses_path, poses)
    lacking = [name for name in lenses["sensor_name"] if names.count(name) != 1]
    if lacking:
        raise BadInput(poses_path, "sensor_name", f"without one pose of {lacking[0]}", "one pose a camera")
    for field in ("fx_px", "fy_px", "width_px", "height_px"):
        if not (lenses[field] > 0).all():
            raise BadInput(lenses_path, field, lenses[field].min(), "> 0")
    intrinsics = np.tile(np.eye(3), (len(lenses["fx_px"]), 1, 1))
    intrinsics[:, [0, 1, 0, 1], [0, 1, 2, 2]] = np.stack(
        [lenses[name] for name in ("fx_px", "fy_px", "cx_px", "cy_px")], axis=-1
    )
    nought = np.zeros_like(lenses["k1"])
    ego_from_camera = ego_from_axle() @ motions[[names.index(name) for name in lenses["sensor_name"]]]
    return Cameras(
        name=tuple(lenses["sensor_name"]),
        intrinsics=intrinsics,
        distortion=np.stack([lenses["k1"], lenses["k2"], nought, nought, lenses["k3"]], axis=-1),
        ego_from_camera=ego_from_camera,
        size_px=np.stack([lenses["width_px"], lenses["height_px"]], axis=-1),
    )


def find_images(log: Path, cameras: Cameras, poses: EgoPoses, *, origin: Float[Array, "3"]) -> Recordings:
    """Images of the calibrated cameras for whose time there is an ego pose, by camera and time.

    Raises:
        BadInput: A file is not named by its time, or a camera's folder has no camera in the calibration.
    """
    folders = sorted(folder for folder in (log / "sensors" / "cameras").glob("*") if folder.is_dir())
    found: list[Recordings] = []
    for folder in folders if cameras.name else []:
        if folder.name not in cameras.name:
            raise BadInput(
                log, f"sensors/cameras/{folder.name}", "a camera without calibration", ", ".join(cameras.name)
            )
        ego_from_camera = cameras.ego_from_camera[cameras.name.index(folder.name)]
        found.append(_recordings(log, folder, ".jpg", poses, ego_from_camera, origin))
    return _joined(found)


def find_sweeps(log: Path, poses: EgoPoses, *, origin: Float[Array, "3"]) -> Recordings:
    """LiDAR sweeps for whose time there is an ego pose. Their points are in Argoverse's ego frame: so is the pose.

    Raises:
        BadInput: A file is not named by its time.
    """
    return _recordings(log, log / "sensors" / "lidar", ".feather", poses, ego_from_axle(), origin)


def _recordings(
    log: Path, folder: Path, suffix: str, poses: EgoPoses, ego_from_sensor: Array, origin: Array
) -> Recordings:
    files = sorted(folder.glob(f"*{suffix}"))
    for file in files:
        if not file.stem.isdecimal() or len(file.stem) > 19:
            raise BadInput(file, "name", repr(file.stem), "a time in ns")
    time_ns = np.array([int(file.stem) for file in files], dtype=np.int64)
    kept = np.flatnonzero(poses.covers(time_ns))
    motion = poses.at(time_ns[kept]) @ ego_from_sensor
    motion[:, :3, 3] -= origin
    return Recordings(
        sensor=(folder.name,) * len(kept),
        path=tuple(files[int(i)].relative_to(log).as_posix() for i in kept),
        timestamp_us=time_ns[kept] // 1000,
        world_from_sensor=motion,
    )


def _joined(parts: list[Recordings]) -> Recordings:
    if not parts:
        return NO_RECORDINGS
    return Recordings(
        sensor=tuple(name for part in parts for name in part.sensor),
        path=tuple(path for part in parts for path in part.path),
        timestamp_us=np.concatenate([part.timestamp_us for part in parts]),
        world_from_sensor=np.concatenate([part.world_from_sensor for part in parts]),
    )
