"""KITTI odometry sequences: a stereo pair of rectified cameras, and the left one's pose at every frame.

Two layouts are read: a folder with `calib.txt`, `poses.txt`, `image_l` and `image_r`, and KITTI's own `sequences/NN`
with `image_0` to `image_3` and `poses/NN.txt` beside `sequences`. Poses are in the first left camera's frame (z
forward, y down); ours stand on the ground, x forward and z up, with the camera as high as on KITTI's car.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from simscale.scene import BadInput
from simscale.splats.capture import NO_AGENTS, NO_POINTS, NO_SWEEPS, Capture, frames_of
from simscale.splats.source_reading import IMAGE_SUFFIXES, number_of, numbers_of, read_text, rigid_of, size_of

Array = np.ndarray

FORM = "KITTI odometry"
CALIBRATION = "calib.txt"
CAMERA_HEIGHT = 1.65
"""Of KITTI's cameras above the road, m (Geiger et al. 2013)."""
RATE_HZ = 10.0
"""Of the frames, where there is no times.txt."""
FOLDERS = {"image_l": 0, "image_r": 1, "image_0": 0, "image_1": 1, "image_2": 2, "image_3": 3}
"""Folder of each camera, and the row of its projection in calib.txt."""


def is_one(folder: Path) -> bool:
    """Whether a folder looks like a sequence."""
    return (folder / CALIBRATION).is_file() and any((folder / name).is_dir() for name in FOLDERS)


def read(folder: Path, *, hold_out_every: int) -> Capture:
    """A sequence; colour cameras where there are any, else the grey ones.

    Raises:
        BadInput: A file is missing or damaged, or counts differ.
    """
    projections = _read_calibration(folder / CALIBRATION)
    poses = _read_poses(folder)
    times = _read_times(folder, len(poses))
    names = [name for name in FOLDERS if (folder / name).is_dir()]
    colour = [name for name in names if FOLDERS[name] >= 2]
    parts = [_camera(folder / name, projections, poses, times) for name in colour or names]
    path, motion, lens, size = ([value for part in parts for value in part[i]] for i in range(4))
    frames = frames_of(
        path=path,
        camera=[name for name in colour or names for _ in poses],
        timestamp_us=np.tile(times, len(parts)),
        world_from_camera=motion,
        intrinsics=lens,
        size_px=size,
        hold_out_every=hold_out_every,
    )
    return Capture(
        name=folder.resolve().name,
        form=FORM,
        metric=True,
        frames=frames,
        sweeps=NO_SWEEPS,
        agents=NO_AGENTS,
        points=NO_POINTS,
        ego_us=times,
        world_from_ego=_world_from_first() @ poses @ _camera_from_ego(),
    )


def _world_from_first() -> Float[Array, "4 4"]:
    """Our world (x forward, y left, z up, on the road) from the first left camera's frame."""
    motion = np.eye(4)
    motion[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    motion[2, 3] = CAMERA_HEIGHT
    return motion


def _camera_from_ego() -> Float[Array, "4 4"]:
    """The ego's frame straight below the camera (ours: KITTI's rear axle is 1.7 m farther back)."""
    return np.linalg.inv(_world_from_first())


def _camera(folder: Path, projections: dict[int, Array], poses: Array, times: Array) -> tuple[list, list, list, list]:
    """Paths, poses, lenses and sizes of one camera's frames."""
    row = FOLDERS[folder.name]
    if row not in projections:
        raise BadInput(folder.parent / CALIBRATION, f"P{row}", "missing", f"the projection of {folder.name}")
    lens = projections[row][:, :3]
    shift = np.eye(4)
    shift[:3, 3] = np.linalg.solve(lens, projections[row][:, 3])  # camera_from_left: P = K [I | t]
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if len(found) != len(times):
        raise BadInput(folder, "images", f"{len(found)} files", f"{len(times)}, one a pose")
    motion = _world_from_first() @ poses @ np.linalg.inv(shift)
    return found, list(motion), [lens] * len(found), [size_of(path) for path in found]


def _read_calibration(path: Path) -> dict[int, Float[Array, "3 4"]]:
    """Projections by camera, with or without the names `P0:` before them."""
    lines = [line for line in read_text(path, "the projections of KITTI's cameras").splitlines() if line.strip()]
    found: dict[int, Array] = {}
    for number, line in enumerate(lines):
        name, colon, rest = line.partition(":")
        if colon and not (name.startswith("P") and name[1:].isdecimal()):
            continue  # Tr, the LiDAR's place
        row = int(name[1:3]) if colon else number
        field = f"line {number + 1}"
        projection = numbers_of(path, field, _numbers(path, field, rest if colon else line), 12).reshape(3, 4)
        if projection[0, 0] <= 0 or projection[1, 1] <= 0 or abs(projection[2, 2] - 1) > 1e-6:
            raise BadInput(path, field, projection[:, :3].tolist(), "a pinhole's projection")
        found[row] = projection
    if not found:
        raise BadInput(path, "content", "no projection", "a line of 12 numbers for each camera")
    return found


def _read_poses(folder: Path) -> Float[Array, "n 4 4"]:
    path = folder / "poses.txt"
    if not path.is_file():
        path = folder.resolve().parent.parent / "poses" / f"{folder.resolve().name}.txt"
    lines = [line for line in read_text(path, "poses of the left camera").splitlines() if line.strip()]
    if not lines:
        raise BadInput(path, "content", "no pose", "a line of 12 numbers for each frame")
    poses = np.tile(np.eye(4), (len(lines), 1, 1))
    for number, line in enumerate(lines):
        field = f"line {number + 1}"
        poses[number, :3] = numbers_of(path, field, _numbers(path, field, line), 12).reshape(3, 4)
        poses[number] = rigid_of(path, field, poses[number])
    return poses


def _read_times(folder: Path, count: int) -> Array:
    path = folder / "times.txt"
    if not path.is_file():
        return np.round(np.arange(count) * (1e6 / RATE_HZ)).astype(np.int64)
    seconds = [
        number_of(path, f"line {number + 1}", _numbers(path, f"line {number + 1}", line)[0])
        for number, line in enumerate(read_text(path, "times of the frames").split())
    ]
    if len(seconds) != count or (np.diff(seconds) <= 0).any() or abs(seconds[-1]) > 1e9:
        raise BadInput(path, "content", f"{len(seconds)} times", f"{count} ascending times in s, one a pose")
    return np.round(np.array(seconds) * 1e6).astype(np.int64)


def _numbers(path: Path, field: str, line: str) -> list[float]:
    try:
        return [float(word) for word in line[:4000].split()]
    except ValueError:
        raise BadInput(path, field, repr(line[:40]), "numbers") from None
