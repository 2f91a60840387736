"""Scenes of Toyota Research Institute's DGP: a rig of cameras around a car, LiDAR sweeps, and boxes.

`scene_<sha>.json` lists every image and sweep with its own pose in the world; `calibration/` holds the lenses. Boxes
stand in the frame of their sweep; images and sweeps of one sample are up to 90 ms apart, which the times say.
"""

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from simscale.geometry.se3 import matrix_of
from simscale.scene import BadInput, TrackKind
from simscale.splats.capture import NO_AGENTS, NO_POINTS, NO_SWEEPS, Agents, Capture, Sweeps, frames_of
from simscale.splats.source_reading import inside, masks_of, number_of, numbers_of, read_json, shown, size_of

Array = np.ndarray

FORM = "DGP scene"
WHAT = "a scene of Toyota's DGP"
REACH = 1e5
"""All that one scene speaks of lies within 100 km of its first sweep, m."""
MAX_POINTS = 5_000_000
"""Of a sweep (ours); the largest LiDARs measure 300,000."""

_KINDS = {
    "Person": TrackKind.PEDESTRIAN,
    "Bicycle": TrackKind.BICYCLE,
    "Motorcycle": TrackKind.BICYCLE,
    "Wheeled Slow": TrackKind.BICYCLE,
}
_VEHICLES = ("Car", "Truck", "Bus/RV/Caravan", "Trailer", "Towed Object", "Train")
KIND_OF = _KINDS | dict.fromkeys(_VEHICLES, TrackKind.VEHICLE)
"""Our kind of each class; any other is a generic object."""


def is_one(folder: Path) -> bool:
    """Whether a folder looks like a scene."""
    return (folder / "calibration").is_dir() and any(folder.glob("scene_*.json"))


def read(folder: Path, *, hold_out_every: int) -> Capture:
    """A scene. Its world frame is moved to the first sweep, or the first image where there is no LiDAR.

    Raises:
        BadInput: A file is missing or damaged, or holds what a scene may not hold.
    """
    (path, *more) = sorted(folder.glob("scene_*.json"))
    if more:
        raise BadInput(folder, "content", f"{len(more) + 1} files scene_*.json", "one scene")
    scene = read_json(path, WHAT)
    data = [_Datum.of(path, number, entry) for number, entry in enumerate(_list(path, scene, "data"))]
    images = [one for one in data if one.kind == "image"]
    clouds = sorted((one for one in data if one.kind == "point_cloud"), key=lambda one: one.timestamp_us)
    if not images:
        raise BadInput(path, "data", "without an image", "images with poses")
    origin = (clouds or images)[0].pose[:3, 3].copy()
    for one in data:
        one.pose[:3, 3] -= origin
        if np.abs(one.pose[:3, 3]).max() > REACH:
            raise BadInput(path, f"pose of {one.name}", one.pose[:3, 3].tolist(), "within 100 km of the first one")
    lenses = _lenses(folder)
    lacking = sorted({one.name for one in images} - set(lenses))
    if lacking:
        raise BadInput(folder / "calibration", "names", f"without {lacking[0]}", "a lens for every camera")
    files = [inside(folder, one.body.get("filename"), where=path, field="filename") for one in images]
    frames = frames_of(
        path=files,
        camera=[one.name for one in images],
        timestamp_us=[one.timestamp_us for one in images],
        world_from_camera=[one.pose for one in images],
        intrinsics=[lenses[one.name] for one in images],
        size_px=[size_of(file) for file in files],
        mask=masks_of(folder, [one.name for one in images]),
        hold_out_every=hold_out_every,
    )
    sweeps = _sweeps(folder, path, clouds)
    return Capture(
        name=folder.resolve().name,
        form=FORM,
        metric=True,
        frames=frames,
        sweeps=sweeps,
        agents=_agents(folder, path, clouds),
        points=NO_POINTS,
        ego_us=sweeps.timestamp_us,
        world_from_ego=sweeps.world_from_lidar,  # TRI gives points in the ego's frame, on the ground
    )


class _Datum:
    """One image or sweep."""

    def __init__(self, kind: str, name: str, timestamp_us: int, pose: Array, body: dict[str, Any]):
        self.kind, self.name, self.timestamp_us, self.pose, self.body = kind, name, timestamp_us, pose, body

    @staticmethod
    def of(path: Path, number: int, entry: Any) -> "_Datum":
        try:
            ((kind, body),) = entry["datum"].items()
            name, when = entry["id"]["name"], datetime.fromisoformat(entry["id"]["timestamp"])
            pose = body["pose"]
            quat = [pose["rotation"][f"q{axis}"] for axis in "wxyz"]
            place = [pose["translation"][axis] for axis in "xyz"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise BadInput(path, f"data[{number}]", shown(entry), "an image or sweep with time and pose") from None
        if not isinstance(name, str) or when.tzinfo is None:
            raise BadInput(path, f"data[{number}].id", shown(entry["id"]), "a sensor's name and a time with its zone")
        epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        elapsed = when - epoch
        us = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
        return _Datum(kind, name, us, _motion(path, f"data[{number}].pose", quat, place), body)


def _motion(path: Path, field: str, quat: Any, place: Any) -> Float[Array, "4 4"]:
    turn = numbers_of(path, f"{field}.rotation", quat, 4)
    if abs(np.linalg.norm(turn) - 1) > 0.01:
        raise BadInput(path, f"{field}.rotation", f"of length {np.linalg.norm(turn):.3g}", "a unit quaternion")
    return matrix_of(turn, numbers_of(path, f"{field}.translation", place, 3))


def _list(path: Path, content: dict[str, Any], name: str) -> list[Any]:
    found = content.get(name)
    if not isinstance(found, list):
        raise BadInput(path, name, type(found).__name__, "a list")
    return found


def _lenses(folder: Path) -> dict[str, Float[Array, "3 3"]]:
    """Intrinsics by camera; all calibrations of a scene must agree."""
    lenses: dict[str, Array] = {}
    for path in sorted((folder / "calibration").glob("*.json")):
        content = read_json(path, "DGP's calibration")
        names, lists = _list(path, content, "names"), _list(path, content, "intrinsics")
        if len(names) != len(lists):
            raise BadInput(path, "names", f"{len(names)} names", f"{len(lists)}, one a lens")
        for name, lens in zip(names, lists, strict=True):
            if not isinstance(lens, dict) or not isinstance(name, str):
                raise BadInput(path, "intrinsics", shown(lens), "fx, fy, cx, cy, skew")
            fx, fy, cx, cy, skew = (
                number_of(path, f"{name}.{k}", lens.get(k)) for k in ("fx", "fy", "cx", "cy", "skew")
            )
            if fx <= 0 or fy <= 0:
                continue  # the LiDAR's row
            made = np.array([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
            if not np.allclose(lenses.setdefault(name, made), made):
                raise BadInput(path, name, "another lens than in the scene's other calibration", "one lens a camera")
    return lenses


def _sweeps(folder: Path, path: Path, clouds: list[_Datum]) -> Sweeps:
    if not clouds:
        return NO_SWEEPS
    parts = []
    for cloud in clouds:
        file = inside(folder, cloud.body.get("filename"), where=path, field="filename")
        own = _read_points(file)
        parts.append((own @ cloud.pose[:3, :3].T + cloud.pose[:3, 3]).astype(np.float32))
    return Sweeps(
        xyz=np.concatenate(parts),
        sweep=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        timestamp_us=np.array([cloud.timestamp_us for cloud in clouds], dtype=np.int64),
        world_from_lidar=np.stack([cloud.pose for cloud in clouds]),
    )


def _read_points(path: Path) -> Float[Array, "n 3"]:
    what = "a .npz of points x, y, z, intensity"
    if not path.is_file():
        raise BadInput(path, "file", "missing", what)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > 64 * MAX_POINTS:
                raise BadInput(path, "size", "too many bytes when unpacked", f"at most {64 * MAX_POINTS}")
        with np.load(path, allow_pickle=False) as arrays:
            points = arrays["data"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInput(path, "file", f"damaged ({shown(error)})", what) from None
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind != "f" or len(points) > MAX_POINTS:
        raise BadInput(path, "data", f"{points.dtype} {points.shape}", what)
    xyz = points[:, :3].astype(np.float64)
    if not np.isfinite(xyz).all() or (np.abs(xyz) > REACH).any():
        raise BadInput(path, "data", "not finite or beyond 100 km", "finite metres")
    return xyz


def _agents(folder: Path, path: Path, clouds: list[_Datum]) -> Agents:
    """Boxes of all sweeps, by instance."""
    names = _class_names(folder)
    rows: dict[int, dict[int, tuple[Array, Array, int]]] = {}
    for instant, cloud in enumerate(clouds):
        listed = cloud.body.get("annotations")
        file = listed.get("1") if isinstance(listed, dict) else None  # 1 is DGP's bounding_box_3d
        if file is None:
            continue
        boxes = inside(folder, file, where=path, field="annotations")
        for number, entry in enumerate(_list(boxes, read_json(boxes, "DGP's 3D boxes"), "annotations")):
            instance, pose, size, kind = _box(boxes, f"annotations[{number}]", entry, names)
            rows.setdefault(instance, {})[instant] = (cloud.pose @ pose, size, int(kind))
    if not rows:
        return NO_AGENTS
    ids = sorted(rows)
    poses = np.tile(np.eye(4), (len(ids), len(clouds), 1, 1))
    valid = np.zeros((len(ids), len(clouds)), dtype=bool)
    for agent, instance in enumerate(ids):
        for instant, (pose, _, _) in rows[instance].items():
            poses[agent, instant], valid[agent, instant] = pose, True
    return Agents(
        id=tuple(str(instance) for instance in ids),
        kind=np.array([next(iter(rows[i].values()))[2] for i in ids], dtype=np.int64),
        size=np.stack([np.median([row[1] for row in rows[i].values()], axis=0) for i in ids]),
        timestamp_us=np.array([cloud.timestamp_us for cloud in clouds], dtype=np.int64),
        world_from_box=poses,
        valid=valid,
    )


def _box(path: Path, field: str, entry: Any, names: dict[int, str]) -> tuple[int, Array, Array, TrackKind]:
    try:
        box, instance, label = entry["box"], int(entry["instance_id"]), int(entry["class_id"])
        quat = [box["pose"]["rotation"][f"q{axis}"] for axis in "wxyz"]
        place = [box["pose"]["translation"][axis] for axis in "xyz"]
        size = numbers_of(path, field, [box["length"], box["width"], box["height"]], 3)
    except (KeyError, TypeError, ValueError):
        raise BadInput(path, field, shown(entry), "a box with pose, size, class and instance") from None
    if not (size > 0).all():
        raise BadInput(path, field, size.tolist(), "length, width, height > 0")
    kind = KIND_OF.get(names.get(label, ""), TrackKind.GENERIC_OBJECT)
    return instance, _motion(path, field, quat, place), size, kind


def _class_names(folder: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for path in sorted((folder / "ontology").glob("*.json")):
        for item in _list(path, read_json(path, "DGP's ontology"), "items"):
            if isinstance(item, dict) and isinstance(item.get("id"), int) and isinstance(item.get("name"), str):
                names[item["id"]] = item["name"]
    return names
