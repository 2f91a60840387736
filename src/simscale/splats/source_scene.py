"""A scene of ours with images, as `simscale ingest` and `simscale town --record` write them.

Everything is in the scene's own world frame. Recordings lie below the scene's `sensor_root`; one that is not absolute
starts at the folder of the scene file, so that a recorded town can be moved.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32
from pyarrow import feather

from simscale.geometry.se3 import inverse
from simscale.scene import BadInput, Scene, Tracks
from simscale.scene.file import SUFFIX, read_scene
from simscale.splats.capture import NO_POINTS, NO_SWEEPS, Agents, Capture, Sweeps, frames_of
from simscale.splats.source_reading import inside, masks_of, shown, size_of

Array = np.ndarray

FORM = "scene"
MAX_POINTS = 5_000_000
"""Of a sweep (ours)."""
REACH = 1e5
"""Farthest point of a sweep, m."""


def is_one(path: Path) -> bool:
    """Whether a path is a scene file."""
    return path.is_file() and path.name.endswith(SUFFIX)


def read(path: Path, *, hold_out_every: int) -> Capture:
    """A scene file with its images and sweeps.

    Raises:
        BadInput: The scene has no images, or one of its files is missing or damaged.
    """
    scene = read_scene(path)
    root = path.parent / scene.sensor_root
    images, rig = scene.images, scene.cameras
    if not images.path:
        raise BadInput(path, "images", "none", "a scene with images (simscale town --record writes some)")
    unknown = sorted(set(images.sensor) - set(rig.name))
    if unknown:
        raise BadInput(path, "images", f"of {unknown[0]}", f"of the cameras {', '.join(rig.name)}")
    camera = np.array([rig.name.index(name) for name in images.sensor])
    files = [inside(root, name, where=path, field="images.path") for name in images.path]
    sizes = [size_of(file) for file in files]
    for file, size, own in zip(files, sizes, camera, strict=True):
        if size != tuple(rig.size_px[own]):
            raise BadInput(file, "size", f"{size[0]} x {size[1]}", f"{rig.size_px[own].tolist()} as calibrated")
    frames = frames_of(
        path=files,
        camera=images.sensor,
        timestamp_us=images.timestamp_us,
        world_from_camera=list(images.world_from_sensor),
        intrinsics=list(rig.intrinsics[camera]),
        distortion=list(rig.distortion[camera]),
        size_px=sizes,
        mask=masks_of(root, images.sensor),
        hold_out_every=hold_out_every,
    )
    order = np.argsort(images.timestamp_us, kind="stable")
    return Capture(
        name=scene.id,
        form=FORM,
        metric=True,
        frames=frames,
        sweeps=_sweeps(path, root, scene),
        agents=agents_of(scene.tracks, scene.timestamp_us),
        points=NO_POINTS,
        ego_us=images.timestamp_us[order],
        world_from_ego=(images.world_from_sensor @ inverse(rig.ego_from_camera[camera]))[order],
    )


def agents_of(tracks: Tracks, timestamp_us: Array) -> Agents:
    """Boxes of tracks, upright as they are."""
    count, steps = tracks.valid.shape
    pose = np.tile(np.eye(4), (count, steps, 1, 1))
    c, s = np.cos(tracks.yaw), np.sin(tracks.yaw)
    pose[..., 0, 0], pose[..., 0, 1], pose[..., 1, 0], pose[..., 1, 1] = c, -s, s, c
    pose[..., :2, 3], pose[..., 2, 3] = tracks.xy, tracks.z
    pose[~tracks.valid] = np.eye(4)
    return Agents(
        id=tracks.id,
        kind=tracks.kind,
        size=tracks.size,
        timestamp_us=timestamp_us,
        world_from_box=pose,
        valid=tracks.valid,
    )


def _sweeps(path: Path, root: Path, scene: Scene) -> Sweeps:
    recorded = scene.sweeps
    if not recorded.path:
        return NO_SWEEPS
    order = np.argsort(recorded.timestamp_us, kind="stable")
    parts: list[Float32[Array, "n 3"]] = []
    for i in order:
        own = read_sweep(inside(root, recorded.path[i], where=path, field="sweeps.path"))
        motion = recorded.world_from_sensor[i]
        parts.append((own @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32))
    return Sweeps(
        xyz=np.concatenate(parts),
        sweep=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        timestamp_us=recorded.timestamp_us[order],
        world_from_lidar=recorded.world_from_sensor[order],
    )


def read_sweep(path: Path) -> Float[Array, "n 3"]:
    """Points of one sweep: a Feather table with columns x, y, z in m.

    Raises:
        BadInput: It is missing, damaged, or lacks a column.
    """
    what = "a Feather table of points with x, y, z"
    if not path.is_file():
        raise BadInput(path, "file", "missing", what)
    try:
        table = feather.read_table(path, columns=["x", "y", "z"], memory_map=False)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        raise BadInput(path, "file", f"damaged ({shown(error)})", what) from None
    columns = []
    for name in ("x", "y", "z"):
        column = table.column(name)
        if not pa.types.is_floating(column.type) or column.null_count or len(column) > MAX_POINTS:
            raise BadInput(path, name, f"{len(column)} of {column.type}, {column.null_count} empty", "numbers")
        columns.append(column.to_numpy().astype(np.float64))
    xyz = np.stack(columns, axis=-1)
    if not np.isfinite(xyz).all() or (np.abs(xyz) > REACH).any():
        raise BadInput(path, "x, y, z", "not finite or beyond 100 km", "finite metres")
    return xyz
