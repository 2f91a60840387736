"""One file a location, `<location>.scenery.npz`: a zip of `.npy` arrays that describes itself, beside the scenes.

As strict as a scene's file: nothing in it is executed; another version, an array too many or too few, a wrong shape
or type, a kind that nobody knows, a number that is not finite is refused in one sentence. The same scenery always
gives the same bytes.
"""

from dataclasses import fields
from enum import IntEnum
from pathlib import Path

import numpy as np

from simscale.scene.archive import ArchiveKind, read_archive, write_archive
from simscale.scene.check import ID_CHARACTERS
from simscale.scene.errors import BadInput
from simscale.town.scenery import (
    TABLES,
    AreaKind,
    Facade,
    PaintColour,
    PropKind,
    Scenery,
    SignKind,
    Sky,
    no_rows,
)

Array = np.ndarray

SUFFIX = ".scenery.npz"
HEADER = "scenery.json"
KIND = ArchiveKind(format="simscale-scenery", version=1, header=HEADER, noun="scenery file", max_bytes=1 << 30)
"""A town of a kilometre has some megabytes."""

_KINDS: dict[str, type[IntEnum]] = {
    "areas.kind": AreaKind,
    "lines.colour": PaintColour,
    "buildings.facade": Facade,
    "signs.kind": SignKind,
    "props.kind": PropKind,
}
_POSITIVE = ("lines.width", "buildings.size", "trees.trunk_radius", "trees.crown_radius", "trees.crown_height")
_POSITIVE += ("poles.radius", "signs.size", "light_heads.height", "props.size")
_NOT_NEGATIVE = ("lines.dash", "lines.gap", "buildings.roof", "trees.trunk_height", "light_heads.row")


def scenery_path(folder: Path, location: str) -> Path:
    """Where the scenery of a location lies."""
    return folder / f"{location}{SUFFIX}"


def write_scenery(scenery: Scenery, folder: Path) -> Path:
    """Writes `<location>.scenery.npz` into an existing folder, whole or not at all.

    Raises:
        BadInput: The scenery breaks a rule that the reader would refuse it for.
        OSError: The file cannot be written.
    """
    path = scenery_path(folder, scenery.location)
    arrays = arrays_of(scenery)
    _check(path, scenery.location, arrays)
    sky = {"clouds": float(scenery.sky.clouds), "haze": float(scenery.sky.haze), "seed": int(scenery.sky.seed)}
    write_archive(path, KIND, {"location": scenery.location, "sky": sky}, arrays)
    return path


def read_scenery(path: Path) -> Scenery:
    """Reads a scenery file.

    Raises:
        BadInput: The file is missing, damaged, of another version, or holds what a scenery may not hold.
    """
    header, arrays = read_archive(path, KIND)
    location, sky = header.get("location"), header.get("sky")
    if not isinstance(location, str):
        raise BadInput(path, f"{HEADER}: location", type(location).__name__, "text")
    if not isinstance(sky, dict) or set(sky) != {"clouds", "haze", "seed"}:
        raise BadInput(path, f"{HEADER}: sky", sky, "clouds, haze and seed")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in sky.values()):
        raise BadInput(path, f"{HEADER}: sky", sky, "three numbers")
    _check(path, location, arrays)
    if not (0 <= sky["clouds"] <= 1 and 1 <= sky["haze"] < 1e7):
        raise BadInput(path, f"{HEADER}: sky", sky, "clouds of 0 to 1, haze of at least 1 m")
    tables = {
        name: table(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(table)})
        for name, table in TABLES.items()
    }
    air = Sky(sun=arrays["sky.sun"], clouds=float(sky["clouds"]), haze=float(sky["haze"]), seed=int(sky["seed"]))
    return Scenery(location=location, sky=air, **tables)


def arrays_of(scenery: Scenery) -> dict[str, Array]:
    """Every array by its dotted name, such as `trees.xy`, in the types of the file."""
    arrays = {"sky.sun": np.ascontiguousarray(scenery.sky.sun, dtype=np.float64)}
    for name, empty in _empty_arrays().items():
        table, field = name.split(".")
        if table != "sky":
            arrays[name] = np.ascontiguousarray(getattr(getattr(scenery, table), field), dtype=empty.dtype)
    return arrays


def _empty_arrays() -> dict[str, Array]:
    """Type and trailing shape of every array."""
    arrays = {"sky.sun": np.zeros(3)}
    for name, table in TABLES.items():
        rows = no_rows(table)
        arrays |= {f"{name}.{field.name}": getattr(rows, field.name) for field in fields(table)}
    return arrays


def _check(path: Path, location: str, arrays: dict[str, Array]) -> None:
    if not location or set(location) - ID_CHARACTERS:
        raise BadInput(path, "location", repr(location), "letters, digits, '-', '_' and '.'")
    expected = _empty_arrays()
    if set(arrays) != set(expected):
        extra, lacking = sorted(set(arrays) - set(expected)), sorted(set(expected) - set(arrays))
        raise BadInput(path, "arrays", f"with unknown {extra} and without {lacking}", "exactly the known arrays")
    for name, array in arrays.items():
        _check_array(path, name, array, expected[name])
    for name in TABLES:
        _check_rows(
            path, name, {key.split(".")[1]: array for key, array in arrays.items() if key.startswith(f"{name}.")}
        )
    length = float(np.linalg.norm(arrays["sky.sun"]))
    if abs(length - 1) > 1e-3 or arrays["sky.sun"][2] < 0.05:
        raise BadInput(path, "sky.sun", arrays["sky.sun"].tolist(), "a unit vector that points up")


def _check_array(path: Path, name: str, array: Array, empty: Array) -> None:
    if array.dtype != empty.dtype or array.ndim != empty.ndim or array.shape[1:] != empty.shape[1:]:
        raise BadInput(path, name, f"{array.dtype} {array.shape}", f"{empty.dtype} [n, *{empty.shape[1:]}]")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (np.abs(array) < 1e6).all()):
        raise BadInput(path, name, "not finite or beyond 1000 km", "finite numbers")
    if name in _KINDS and not np.isin(array, [int(kind) for kind in _KINDS[name]]).all():
        raise BadInput(path, name, sorted(set(array.tolist())), f"a {_KINDS[name].__name__}")
    if name in _POSITIVE and not (array > 0).all():
        raise BadInput(path, name, f"{array.min()} at the least", "above 0")
    if name in _NOT_NEGATIVE and not (array >= 0).all():
        raise BadInput(path, name, f"{array.min()} at the least", "0 or more")


def _check_rows(path: Path, table: str, columns: dict[str, Array]) -> None:
    """All columns have one length; a ragged table's rows are in `start`."""
    start = columns.get("start")
    if start is not None:
        points = len(columns["xy"])
        if len(start) < 1 or start[0] != 0 or start[-1] != points or (np.diff(start) < 0).any():
            raise BadInput(path, f"{table}.start", "not ascending from 0 to the number of points", "offsets of rings")
    lengths = {name: len(column) for name, column in columns.items() if start is None or name not in ("xy", "start")}
    if start is not None:
        lengths["start"] = len(start) - 1
    if len(set(lengths.values())) > 1:
        raise BadInput(path, table, f"of unequal columns {lengths}", "as many rows in each column")
