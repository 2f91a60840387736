"""COLMAP models, text or binary: `cameras`, `images` and `points3D` in one folder, photographs in `images/` near it.

COLMAP's pixel has its centre at a half, ours at a whole number, so principal points move by half a pixel. Its world has
no known scale and no known up. Photographs in folders of their own (`front/0001.jpg`) are taken for the cameras of a
rig that fired together; their number is their time.
"""

import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from simscale.geometry.se3 import inverse, matrix_of
from simscale.scene import BadInput
from simscale.splats.capture import NO_AGENTS, NO_POSES, NO_SWEEPS, Capture, Points, frames_of
from simscale.splats.files_ply import LARGEST
from simscale.splats.source_colmap_binary import BinaryFile
from simscale.splats.source_reading import inside, numbers_of, read_text, size_of

Array = np.ndarray

FORM = "COLMAP model"
FOLDERS = ("", "sparse/0", "sparse", "colmap/sparse/0", "distorted/sparse/0")
"""Where a model lies below the folder that is named."""
STEP_US = 100_000
"""Between two photographs of a camera; COLMAP knows no times (ours)."""
MAX_COUNT = 20_000_000
"""Of anything in a model (ours)."""

MODELS = {
    0: ("SIMPLE_PINHOLE", ("f", "cx", "cy")),
    1: ("PINHOLE", ("fx", "fy", "cx", "cy")),
    2: ("SIMPLE_RADIAL", ("f", "cx", "cy", "k1")),
    3: ("RADIAL", ("f", "cx", "cy", "k1", "k2")),
    4: ("OPENCV", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")),
    5: ("OPENCV_FISHEYE", ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")),
    6: ("FULL_OPENCV", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    7: ("FOV", ("fx", "fy", "cx", "cy", "omega")),
    8: ("SIMPLE_RADIAL_FISHEYE", ("f", "cx", "cy", "k1")),
    9: ("RADIAL_FISHEYE", ("f", "cx", "cy", "k1", "k2")),
    10: ("THIN_PRISM_FISHEYE", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1")),
}
"""Number, name and parameters of COLMAP's lenses."""
READ = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
"""Lenses that OpenCV's five numbers describe (FULL_OPENCV where its k4 to k6 are 0)."""


@dataclass(frozen=True, kw_only=True)
class _Lens:
    intrinsics: Float[Array, "3 3"]
    distortion: Float[Array, "5"]
    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class _Shot:
    name: str
    camera: int
    world_from_camera: Float[Array, "4 4"]


def model_in(folder: Path) -> Path | None:
    """The folder of the model below `folder`, if there is one."""
    for name in FOLDERS:
        for suffix in (".bin", ".txt"):
            if all((folder / name / f"{part}{suffix}").is_file() for part in ("cameras", "images")):
                return folder / name
    return None


def is_one(folder: Path) -> bool:
    """Whether a folder holds a model."""
    return model_in(folder) is not None


def read(folder: Path, *, hold_out_every: int) -> Capture:
    """A model with its photographs.

    Raises:
        BadInput: A file is missing or damaged, a lens is not one of READ, or a photograph has another size.
    """
    model = model_in(folder)
    assert model is not None
    binary = (model / "cameras.bin").is_file() and (model / "images.bin").is_file()
    lenses = _binary_lenses(model / "cameras.bin") if binary else _text_lenses(model / "cameras.txt")
    shots = _binary_shots(model / "images.bin") if binary else _text_shots(model / "images.txt")
    listing = model / ("images.bin" if binary else "images.txt")
    if not shots:
        raise BadInput(listing, "content", "no image", "images with poses")
    unknown = sorted({shot.camera for shot in shots} - set(lenses))
    if unknown:
        raise BadInput(listing, "camera", unknown[0], f"one of the cameras {sorted(lenses)[:8]}")
    photographs, masks = _beside(model, "images"), _beside(model, "masks")
    if photographs is None:
        raise BadInput(model, "photographs", "no folder images/ in it or up to two folders above", "the photographs")
    files = [inside(photographs, shot.name, where=listing, field="name") for shot in shots]
    for file, shot in zip(files, shots, strict=True):
        if size_of(file) != lenses[shot.camera].size:
            raise BadInput(file, "size", size_of(file), f"{lenses[shot.camera].size} as camera {shot.camera} says")
    camera = [Path(shot.name).parent.as_posix().replace("/", "-") for shot in shots]
    camera = [f"camera{shot.camera}" if name == "." else name for name, shot in zip(camera, shots, strict=True)]
    own = [lenses[shot.camera] for shot in shots]
    found = [None if masks is None else masks / f"{shot.name}.png" for shot in shots]
    return Capture(
        name=folder.resolve().name,
        form=FORM,
        metric=False,
        frames=frames_of(
            path=files,
            camera=camera,
            timestamp_us=_times([shot.name for shot in shots], camera),
            world_from_camera=[shot.world_from_camera for shot in shots],
            intrinsics=[lens.intrinsics for lens in own],
            distortion=[lens.distortion for lens in own],
            size_px=[lens.size for lens in own],
            mask=[path if path is not None and path.is_file() else None for path in found],
            hold_out_every=hold_out_every,
        ),
        sweeps=NO_SWEEPS,
        agents=NO_AGENTS,
        points=_points(model),
        ego_us=NO_POSES[0],
        world_from_ego=NO_POSES[1],
    )


def _beside(model: Path, name: str) -> Path | None:
    """A folder in the model's own or up to two above it."""
    here = model.resolve()
    return next((place / name for place in (here, *here.parents[:2]) if (place / name).is_dir()), None)


def _times(names: list[str], camera: list[str]) -> list[int]:
    """The number of a photograph among those of its camera, by name."""
    own: dict[str, list[str]] = defaultdict(list)
    for name, whose in zip(names, camera, strict=True):
        own[whose].append(name)
    rank = {name: number for whose in own for number, name in enumerate(sorted(own[whose]))}
    return [rank[name] * STEP_US for name in names]


def lens_of(path: Path, field: str, model: str, size: tuple[int, int], values: dict[str, float]) -> _Lens:
    """One of READ as five numbers.

    Raises:
        BadInput: Another lens, or impossible numbers.
    """
    beyond = [name for name in ("k4", "k5", "k6") if values.get(name, 0.0) != 0.0]
    if model not in READ or beyond:
        found = f"a {model} lens{' with ' + ', '.join(beyond) if beyond else ''}"
        raise BadInput(
            path, field, found, f"{', '.join(READ)}; undistort the photographs first (colmap image_undistorter)"
        )
    fx, fy = values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0))
    numbers = numbers_of(path, field, [fx, fy, *(values[name] for name in ("cx", "cy"))], 4)
    if min(fx, fy) <= 0 or not all(0 < side <= 100_000 for side in size):
        raise BadInput(path, field, f"focal lengths {fx:.3g}, {fy:.3g} and size {size}", "a lens of positive size")
    intrinsics = np.array([[fx, 0.0, numbers[2] - 0.5], [0.0, fy, numbers[3] - 0.5], [0.0, 0.0, 1.0]])
    bent = numbers_of(path, field, [values.get(name, 0.0) for name in ("k1", "k2", "p1", "p2", "k3")], 5)
    return _Lens(intrinsics=intrinsics, distortion=bent, size=size)


def _shot(path: Path, field: str, quat: Array, place: Array, camera: int, name: str) -> _Shot:
    if abs(np.linalg.norm(quat) - 1) > 0.01:
        raise BadInput(path, field, f"a quaternion of length {np.linalg.norm(quat):.3g}", "length 1")
    return _Shot(name=name, camera=camera, world_from_camera=inverse(matrix_of(quat, place)))


def _rows(path: Path, what: str) -> list[list[str]]:
    """Words of every line that is not a comment; empty lines are kept, for images.txt pairs its lines."""
    lines = read_text(path, what).splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def _text_lenses(path: Path) -> dict[int, _Lens]:
    known = {name: parameters for name, parameters in MODELS.values()}
    lenses = {}
    for number, words in enumerate(row for row in _rows(path, "COLMAP's cameras") if row):
        field = f"camera {number + 1}"
        if len(words) < 5 or words[1] not in known or len(words) != 4 + len(known[words[1]]):
            raise BadInput(path, field, " ".join(words)[:60], "id, model, width, height and the model's parameters")
        values = _floats(path, field, words[4:])
        identity, width, height = (int(v) for v in _floats(path, field, [words[0], *words[2:4]]))
        parameters = dict(zip(known[words[1]], values, strict=True))
        lenses[identity] = lens_of(path, field, words[1], (width, height), parameters)
    return lenses


def _text_shots(path: Path) -> list[_Shot]:
    rows = _rows(path, "COLMAP's images")
    while rows and not rows[0]:
        rows.pop(0)
    shots = []
    for number in range(0, len(rows), 2):  # every second line lists what the image saw
        words, field = rows[number], f"image {number // 2 + 1}"
        if not words:
            continue
        if len(words) < 10:
            raise BadInput(path, field, " ".join(words)[:60], "id, quaternion, translation, camera, name")
        values = np.array(_floats(path, field, words[:9]))
        shots.append(_shot(path, field, values[1:5], values[5:8], int(values[8]), " ".join(words[9:])))
    return shots


def _floats(path: Path, field: str, words: list[str]) -> list[float]:
    try:
        return numbers_of(path, field, [float(word) for word in words], len(words)).tolist()
    except ValueError:
        raise BadInput(path, field, " ".join(words)[:60], "numbers") from None


def _binary_lenses(path: Path) -> dict[int, _Lens]:
    lenses = {}
    with BinaryFile(path) as file:
        for number in range(file.count("cameras", least=24, most=MAX_COUNT)):
            identity, model, width, height = file.take("<iiQQ")
            if model not in MODELS:
                raise BadInput(path, f"camera {number + 1}", f"model {model}", f"one of {list(MODELS)}")
            name, parameters = MODELS[model]
            values = file.take(f"<{len(parameters)}d")
            lens = lens_of(
                path, f"camera {number + 1}", name, (width, height), dict(zip(parameters, values, strict=True))
            )
            lenses[identity] = lens
    return lenses


def _binary_shots(path: Path) -> list[_Shot]:
    shots = []
    with BinaryFile(path) as file:
        for number in range(file.count("images", least=73, most=MAX_COUNT)):
            field = f"image {number + 1}"
            _, *motion, camera = file.take("<i7di")
            name = file.text(field)
            values = numbers_of(path, field, motion, 7)
            file.skip(24 * file.count(f"points of {field}", least=24, most=MAX_COUNT))
            shots.append(_shot(path, field, values[:4], values[4:], camera, name))
    return shots


def _points(model: Path) -> Points:
    """Points with their colours; none where the model has none."""
    if (model / "points3D.bin").is_file():
        rows = _binary_points(model / "points3D.bin")
    elif (model / "points3D.txt").is_file():
        path = model / "points3D.txt"
        lines = [words for words in _rows(path, "COLMAP's points") if words]
        rows = np.array([_floats(path, f"point {i + 1}", (words + ["?"] * 7)[1:7]) for i, words in enumerate(lines)])
    else:
        rows = np.zeros((0, 6))
    rows = rows.reshape(-1, 6)
    if not (np.abs(rows) < LARGEST).all():
        raise BadInput(model, "points3D", "not finite or huge", f"finite numbers below {LARGEST:g}")
    return Points(xyz=rows[:, :3].astype(np.float32), rgb=np.clip(rows[:, 3:], 0, 255).astype(np.uint8))


def _binary_points(path: Path) -> Float[Array, "p 6"]:
    one = struct.Struct("<Q3d3BdQ")
    with BinaryFile(path) as file:
        count = file.count("points", least=one.size, most=MAX_COUNT)
        rows = np.zeros((count, 6))
        for number in range(count):
            _, *rows[number], _, seen = file.take(one)
            file.skip(8 * seen)
    return rows
