"""One file a scene: an uncompressed-header, compressed-array NumPy archive that describes itself.

`<id>.scene.npz` is a zip of `.npy` arrays, one a field, named by its place in the noun (`tracks.xy`), and of
`scene.json`: format, version, every text and number, and the list of arrays with shape and type. Nothing in it is
executed. The reader takes exactly what it knows: another version, a field too many or too few, a wrong shape, a
number that is not finite is refused in one sentence. The same scene always gives the same bytes.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simscale.scene.archive import ArchiveKind, read_archive, write_archive
from simscale.scene.car import CarState, EgoVehicle
from simscale.scene.check import arrays_of, check
from simscale.scene.errors import BadInput
from simscale.scene.road import Lights, RoadMap
from simscale.scene.scene import Scene
from simscale.scene.sensors import Cameras, Ground, Recordings
from simscale.scene.tracks import Tracks

Array = np.ndarray

SUFFIX = ".scene.npz"
HEADER = "scene.json"
KIND = ArchiveKind(format="simscale-scene", version=1, header=HEADER, noun="scene file", max_bytes=2 << 30)

_NOUNS = {
    "vehicle": EgoVehicle,
    "ego": CarState,
    "tracks": Tracks,
    "road": RoadMap,
    "lights": Lights,
    "cameras": Cameras,
    "images": Recordings,
    "sweeps": Recordings,
    "ground": Ground,
}
_INT, _BOOL, _FLOAT = np.dtype(np.int64), np.dtype(np.bool_), np.dtype(np.float64)
_SHAPES: dict[str, tuple[np.dtype, str]] = {
    "origin": (_FLOAT, "3"),
    "timestamp_us": (_INT, "t"),
    "ego_z": (_FLOAT, "t"),
    "route": (_INT, "r"),
    "ego.xy": (_FLOAT, "t 2"),
    "ego.yaw": (_FLOAT, "t"),
    "ego.velocity": (_FLOAT, "t 2"),
    "ego.acceleration": (_FLOAT, "t 2"),
    "ego.steer": (_FLOAT, "t"),
    "ego.steer_rate": (_FLOAT, "t"),
    "ego.yaw_rate": (_FLOAT, "t"),
    "ego.yaw_accel": (_FLOAT, "t"),
    "tracks.xy": (_FLOAT, "a t 2"),
    "tracks.z": (_FLOAT, "a t"),
    "tracks.yaw": (_FLOAT, "a t"),
    "tracks.velocity": (_FLOAT, "a t 2"),
    "tracks.size": (_FLOAT, "a 3"),
    "tracks.kind": (_INT, "a"),
    "tracks.valid": (_BOOL, "a t"),
    "road.kind": (_INT, "m"),
    "road.xy": (_FLOAT, "p 2"),
    "road.start": (_INT, "m1"),
    "road.centre_xy": (_FLOAT, "q 2"),
    "road.centre_start": (_INT, "m1"),
    "road.speed_limit": (_FLOAT, "m"),
    "road.has_speed_limit": (_BOOL, "m"),
    "road.next_lane": (_INT, "e 2"),
    "road.group": (_INT, "m"),
    "lights.element": (_INT, "l"),
    "lights.state": (_INT, "l t"),
    "cameras.intrinsics": (_FLOAT, "c 3 3"),
    "cameras.distortion": (_FLOAT, "c 5"),
    "cameras.ego_from_camera": (_FLOAT, "c 4 4"),
    "cameras.size_px": (_INT, "c 2"),
    "images.timestamp_us": (_INT, "i"),
    "images.world_from_sensor": (_FLOAT, "i 4 4"),
    "sweeps.timestamp_us": (_INT, "s"),
    "sweeps.world_from_sensor": (_FLOAT, "s 4 4"),
    "ground.z": (_FLOAT, "gh gw"),
    "ground.valid": (_BOOL, "gh gw"),
    "ground.origin_xy": (_FLOAT, "2"),
}
"""Type and shape of every array; a letter is one length throughout the file."""


def write_scene(scene: Scene, folder: Path) -> Path:
    """Writes `<id>.scene.npz` into an existing folder, whole or not at all.

    Returns:
        The file's path.

    Raises:
        BadInput: The scene breaks a rule that the reader would refuse it for.
        OSError: The file cannot be written.
    """
    path = folder / f"{scene.id}{SUFFIX}"
    arrays, plain = _taken_apart(scene)
    check(scene, path)
    write_archive(path, KIND, {"plain": plain}, arrays)
    return path


def read_scene(path: Path) -> Scene:
    """Reads a scene file.

    Raises:
        BadInput: The file is missing, damaged, of another version, or holds what a scene may not hold.
    """
    header, arrays = read_archive(path, KIND)
    _check_arrays(path, arrays)
    scene = _put_together(path, header.get("plain"), arrays)
    check(scene, path)
    return scene


def read_id(path: Path) -> str:
    """Id of the scene in a file, from its header alone.

    Raises:
        BadInput: As `read_scene`, as far as the header tells.
    """
    header, _ = read_archive(path, KIND, arrays_too=False)
    try:
        return str(header["plain"]["id"])
    except (KeyError, TypeError):
        raise BadInput(path, HEADER, "without an id", "the header of a scene") from None


def scene_files(folder: Path) -> list[Path]:
    """Scene files in a folder (or the one file that is given), sorted by name.

    Raises:
        BadInput: There is no such folder, or no scene in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise BadInput(
            folder, "path", "missing", f"a folder of *{SUFFIX} files, as simscale ingest or town writes them"
        )
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        raise BadInput(folder, "content", "no scene", f"at least one *{SUFFIX} file")
    return found


def _taken_apart(scene: Scene) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays by dotted name in the types of the file, and everything else."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(Scene):
        value = getattr(scene, field.name)
        if field.name in _NOUNS and value is not None:
            inner = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
            plain[field.name] = {name: part for name, part in inner.items() if not isinstance(part, np.ndarray)}
        elif not isinstance(value, np.ndarray):
            plain[field.name] = value
    typed = {name: np.ascontiguousarray(value, dtype=_SHAPES[name][0]) for name, value in arrays_of(scene).items()}
    return typed, plain


def _put_together(path: Path, plain: Any, arrays: dict[str, Array]) -> Scene:
    values: dict[str, Any] = {}
    if not isinstance(plain, dict):
        raise BadInput(path, HEADER, "no table of plain values", "the fields of a scene")
    for field in dataclasses.fields(Scene):
        noun = _NOUNS.get(field.name)
        given = plain.get(field.name)
        if noun is None:
            continue
        if field.name == "ground" and given is None:
            values["ground"] = None
        elif not isinstance(given, dict):
            raise BadInput(path, f"{HEADER}: {field.name}", type(given).__name__, "a table")
        else:
            parts = {name.split(".")[1]: array for name, array in arrays.items() if name.startswith(f"{field.name}.")}
            values[field.name] = noun(**_fields_of(noun, given, parts, path=path, where=f"{field.name}."))
    rest = {name: value for name, value in plain.items() if name not in _NOUNS}
    own = {name: array for name, array in arrays.items() if "." not in name}
    return Scene(**_fields_of(Scene, rest, own, path=path, where="", done=values))


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda given: isinstance(given, str)),
    float: ("a number", lambda given: isinstance(given, int | float) and not isinstance(given, bool)),
    tuple[str, ...]: ("a list of texts", lambda given: isinstance(given, list) and all(type(x) is str for x in given)),
}
"""What the header may hold, by the type of the field: all else is an array."""


def _fields_of(
    noun: Any,
    plain: dict[str, Any],
    arrays: dict[str, Array],
    *,
    path: Path,
    where: str,
    done: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All fields of a noun, from the header and the arrays; `done` are those that were put together before."""
    done = done or {}
    types = {field.name: field.type for field in dataclasses.fields(noun)}
    _check_names(path, where.rstrip(".") or "scene", {*plain, *arrays, *done}, set(types))
    for name, given in plain.items():
        words, fits = _PLAIN.get(types[name], ("an array of its own", lambda given: False))
        if not fits(given):
            raise BadInput(path, f"{HEADER}: {where}{name}", type(given).__name__, words)
    return {**arrays, **{n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}, **done}


def _check_names(path: Path, where: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        extra, lacking = sorted(found - expected), sorted(expected - found)
        raise BadInput(path, where, f"with unknown fields {extra} and without {lacking}", "exactly the known fields")


def _check_arrays(path: Path, arrays: dict[str, Array]) -> None:
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        if name not in _SHAPES:
            raise BadInput(path, name, "an unknown array", f"one of {', '.join(_SHAPES)}")
        dtype, shape = _SHAPES[name]
        axes = shape.split()
        wanted = [
            int(axis) if axis.isdigit() else lengths.setdefault(axis, size)
            for axis, size in zip(axes, array.shape, strict=False)
        ]
        if array.dtype != dtype or list(array.shape) != wanted or array.ndim != len(axes):
            raise BadInput(path, name, f"{array.dtype} {array.shape}", f"{dtype} [{shape}] with {lengths}")
    if "m" in lengths and lengths.get("m1") != lengths["m"] + 1:
        raise BadInput(path, "road.start", f"{lengths.get('m1')} offsets", f"{lengths['m'] + 1}")
