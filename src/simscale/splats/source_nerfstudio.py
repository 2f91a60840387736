"""nerfstudio's `transforms.json`: photographs with poses in OpenGL's camera axes (x right, y up, z backward).

Also written by instant-ngp and for Blender's scenes (`camera_angle_x`). Our cameras look along z with y down, so two
axes are turned; the world stays as it is, of unknown scale. Points of the start come from `ply_file_path`.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from simscale.scene import BadInput
from simscale.splats.capture import NO_AGENTS, NO_POINTS, NO_POSES, NO_SWEEPS, Capture, Points, frames_of
from simscale.splats.files_ply import LARGEST, read_vertices
from simscale.splats.source_reading import (
    inside,
    number_of,
    numbers_of,
    read_json,
    rigid_of,
    shown,
    size_of,
)

Array = np.ndarray

FORM = "nerfstudio"
FILE = "transforms.json"
LENSES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "perspective")
"""Camera models that OpenCV's five numbers describe."""
STEP_US = 100_000
"""Between two photographs of a camera; the form knows no times (ours)."""


def is_one(path: Path) -> bool:
    """Whether a path is such a file, or a folder with one."""
    return (path / FILE).is_file() or (path.is_file() and path.name == FILE)


def read(path: Path, *, hold_out_every: int) -> Capture:
    """A file with its photographs.

    Raises:
        BadInput: A file is missing or damaged, or a lens is a fisheye's.
    """
    file = path / FILE if path.is_dir() else path
    content = read_json(file, "nerfstudio's transforms.json")
    listed = content.get("frames")
    if not isinstance(listed, list) or not listed:
        raise BadInput(file, "frames", shown(listed), "a list of photographs with poses")
    rows = [_row(file, content, number, entry) for number, entry in enumerate(listed)]
    rows.sort(key=lambda row: row["path"])
    ranks: dict[str, int] = {}
    for row in rows:
        ranks[row["camera"]] = ranks.get(row["camera"], -1) + 1
        row["timestamp_us"] = ranks[row["camera"]] * STEP_US
    names = ("path", "camera", "timestamp_us", "world_from_camera", "intrinsics", "distortion", "size_px", "mask")
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
    return Capture(
        name=file.resolve().parent.name,
        form=FORM,
        metric=False,
        frames=frames_of(**columns, hold_out_every=hold_out_every),
        sweeps=NO_SWEEPS,
        agents=NO_AGENTS,
        points=_points(file, content),
        ego_us=NO_POSES[0],
        world_from_ego=NO_POSES[1],
    )


def _row(file: Path, content: dict[str, Any], number: int, entry: Any) -> dict[str, Any]:
    """One photograph; what it does not say itself, the file says for all."""
    field = f"frames[{number}]"
    if not isinstance(entry, dict):
        raise BadInput(file, field, shown(entry), "a table")
    said = {**content, **entry}
    path = _photograph(file, field, said.get("file_path"))
    size = size_of(path)
    for axis, name in enumerate(("w", "h")):
        if name in said and number_of(file, f"{field}.{name}", said[name]) != size[axis]:
            raise BadInput(file, f"{field}.{name}", shown(said[name]), f"{size[axis]}, as {path.name} has")
    motion = numbers_of(file, f"{field}.transform_matrix", said.get("transform_matrix"), 4, 4)
    opencv = rigid_of(file, f"{field}.transform_matrix", motion) * np.array([1.0, -1.0, -1.0, 1.0])
    mask = said.get("mask_path")
    intrinsics, distortion = _lens(file, field, said, size)
    folder = Path(path.relative_to(file.parent)).parent
    return {
        "path": path,
        "camera": folder.as_posix().replace("/", "-") if folder.parts else "camera",
        "world_from_camera": opencv,
        "intrinsics": intrinsics,
        "distortion": distortion,
        "size_px": size,
        "mask": None if mask is None else inside(file.parent, mask, where=file, field=f"{field}.mask_path"),
    }


def _photograph(file: Path, field: str, name: Any) -> Path:
    path = inside(file.parent, name, where=file, field=f"{field}.file_path")
    if not path.is_file() and path.with_name(path.name + ".png").is_file():
        return path.with_name(path.name + ".png")  # Blender's scenes leave the suffix out
    return path


def _lens(file: Path, field: str, said: dict[str, Any], size: tuple[int, int]) -> tuple[Array, Array]:
    model = said.get("camera_model", "OPENCV")
    beyond = [name for name in ("k4", "k5", "k6") if said.get(name)]
    if model not in LENSES or beyond or said.get("is_fisheye"):
        raise BadInput(file, f"{field}.camera_model", shown(model), f"one of {', '.join(LENSES)} without k4 to k6")
    if "fl_x" in said:
        fx = number_of(file, f"{field}.fl_x", said["fl_x"])
    else:
        angle = number_of(file, f"{field}.fl_x or camera_angle_x", said.get("camera_angle_x"))
        fx = size[0] / 2 / math.tan(angle / 2) if 0 < angle < math.pi else 0.0
    fy = number_of(file, f"{field}.fl_y", said.get("fl_y", fx))
    cx = number_of(file, f"{field}.cx", said.get("cx", size[0] / 2))
    cy = number_of(file, f"{field}.cy", said.get("cy", size[1] / 2))
    if min(fx, fy) <= 0:
        raise BadInput(file, f"{field}.fl_x", f"{fx:.3g}, {fy:.3g}", "positive focal lengths")
    intrinsics = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
    bent = [number_of(file, f"{field}.{name}", said.get(name, 0.0)) for name in ("k1", "k2", "p1", "p2", "k3")]
    return intrinsics, np.array(bent)


def _points(file: Path, content: dict[str, Any]) -> Points:
    name = content.get("ply_file_path")
    if name is None:
        return NO_POINTS
    path = inside(file.parent, name, where=file, field="ply_file_path")
    vertices = read_vertices(path)
    lacking = [axis for axis in "xyz" if axis not in vertices]
    if lacking:
        raise BadInput(path, "properties", f"without {lacking[0]}", "points with x, y, z")
    xyz = np.stack([vertices[axis] for axis in "xyz"], axis=-1)
    if not (np.abs(xyz) < LARGEST).all():
        raise BadInput(path, "x, y, z", "not finite or huge", f"finite numbers below {LARGEST:g}")
    xyz = xyz.astype(np.float32)
    if not {"red", "green", "blue"} <= set(vertices):
        return Points(xyz=xyz, rgb=np.full((len(xyz), 3), 128, dtype=np.uint8))
    rgb = np.stack([vertices[colour] for colour in ("red", "green", "blue")], axis=-1)
    return Points(xyz=xyz, rgb=(rgb * 255 if rgb.dtype.kind == "f" else rgb).clip(0, 255).astype(np.uint8))
