"""Small sources of captures for tests: pictures of a wall of coloured squares, as one camera or another sees it.

The wall stands at x = 8 m of a world with z up; cameras look along x. Every form of source is made from the same shots,
so that reading it must give back the same poses and lenses.
"""

import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

SIZE = (96, 64)
LENS = np.array([[80.0, 0.0, 47.5], [0.0, 80.0, 31.5], [0.0, 0.0, 1.0]])
"""Pixel centres at whole numbers: the principal point is the middle of the image."""
WALL = 8.0


def shot_pose(number: int) -> np.ndarray:
    """`world_from_camera` of a car that goes sideways past the wall, a little turned."""
    pose = np.eye(4)
    turn = Rotation.from_euler("z", 2.0 * number, degrees=True).as_matrix()
    pose[:3, :3] = turn @ np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
    pose[:3, 3] = (0.0, 1.0 - 0.5 * number, 1.5)
    return pose


def wall_colour(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Smooth colours that tell every place of the wall."""
    waves = [np.sin(2.1 * y + 0.7 * z), np.sin(2.9 * z - 0.4 * y), np.sin(1.3 * y + 3.7 * z)]
    return np.stack([127.5 + 100 * wave for wave in waves], axis=-1)


def picture(pose: np.ndarray, lens: np.ndarray = LENS, size: tuple[int, int] = SIZE) -> np.ndarray:
    u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    ray = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(lens).T @ pose[:3, :3].T
    at = pose[:3, 3] + ray * ((WALL - pose[0, 3]) / ray[..., 0])[..., None]
    return np.clip(wall_colour(at[..., 1], at[..., 2]), 0, 255).astype(np.uint8)


def write_pictures(folder: Path, count: int, *, suffix: str = ".png") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04d}{suffix}" for number in range(count)]
    for number, name in enumerate(names):
        Image.fromarray(picture(shot_pose(number))).save(folder / name)
    return names


def wall_points() -> np.ndarray:
    y, z = np.meshgrid(np.linspace(-3, 3, 13), np.linspace(0, 3, 7))
    return np.stack([np.full(y.size, WALL), y.ravel(), z.ravel()], axis=-1)


def write_nerfstudio(folder: Path, count: int = 6, **more: object) -> Path:
    names = write_pictures(folder / "images", count)
    frames = []
    for number, name in enumerate(names):
        opengl = shot_pose(number) * np.array([1.0, -1.0, -1.0, 1.0])
        frames.append({"file_path": f"images/{name}", "transform_matrix": opengl.tolist()})
    lens = {"fl_x": 80.0, "fl_y": 80.0, "cx": 48.0, "cy": 32.0, "w": SIZE[0], "h": SIZE[1], "camera_model": "OPENCV"}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames} | more))
    return folder


def write_colmap(folder: Path, count: int = 6, *, binary: bool) -> Path:
    names = write_pictures(folder / "images", count)
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    shots = []
    for number, name in enumerate(names):
        back = np.linalg.inv(shot_pose(number))
        x, y, z, w = Rotation.from_matrix(back[:3, :3]).as_quat()
        shots.append(([w, x, y, z], back[:3, 3].tolist(), name))
    points, rgb = wall_points(), wall_colour(*wall_points()[:, 1:].T).astype(np.uint8)
    if binary:
        _binary_model(model, shots, points, rgb)
    else:
        _text_model(model, shots, points, rgb)
    return folder


def _text_model(model: Path, shots: list, points: np.ndarray, rgb: np.ndarray) -> None:
    (model / "cameras.txt").write_text(f"# a comment\n1 OPENCV {SIZE[0]} {SIZE[1]} 80 80 48 32 0 0 0 0\n")
    lines = ["# images"]
    for number, (quat, place, name) in enumerate(shots):
        lines += [" ".join(map(repr, [number + 1, *map(float, quat), *place])) + f" 1 {name}", "1.5 2.5 -1"]
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"{i} {p[0]} {p[1]} {p[2]} {c[0]} {c[1]} {c[2]} 0.5 1 0"
        for i, (p, c) in enumerate(zip(points, rgb, strict=True))
    ]
    (model / "points3D.txt").write_text("\n".join(rows) + "\n")


def _binary_model(model: Path, shots: list, points: np.ndarray, rgb: np.ndarray) -> None:
    lens = struct.pack("<QiiQQ8d", 1, 1, 4, *SIZE, 80, 80, 48, 32, 0, 0, 0, 0)
    (model / "cameras.bin").write_bytes(lens)
    content = struct.pack("<Q", len(shots))
    for number, (quat, place, name) in enumerate(shots):
        content += struct.pack("<i7di", number + 1, *quat, *place, 1) + name.encode() + b"\0"
        content += struct.pack("<Qddq", 1, 1.5, 2.5, -1)
    (model / "images.bin").write_bytes(content)
    content = struct.pack("<Q", len(points))
    for number, (point, colour) in enumerate(zip(points, rgb, strict=True)):
        content += struct.pack("<Q3d3BdQii", number, *point, *colour, 0.5, 1, 1, 0)
    (model / "points3D.bin").write_bytes(content)


def write_kitti(folder: Path, count: int = 6) -> Path:
    """A stereo pair; poses are told in the first left camera's frame."""
    first = np.linalg.inv(shot_pose(0))
    lines = []
    for number in range(count):
        lines.append(" ".join(f"{v:.17g}" for v in (first @ shot_pose(number))[:3].ravel()))
    for name, shift in (("image_l", 0.0), ("image_r", 0.5)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pose = shot_pose(number)
            pose[:3, 3] += shift * pose[:3, 0]
            Image.fromarray(picture(pose)).save(folder / name / f"{number:06d}.png")
    (folder / "poses.txt").write_text("\n".join(lines))
    rows = []
    for shift in (0.0, 0.5):
        rows.append(" ".join(map(str, np.column_stack([LENS, LENS @ [-shift, 0, 0]]).ravel())))
    (folder / "calib.txt").write_text("\n".join(rows))
    return folder
