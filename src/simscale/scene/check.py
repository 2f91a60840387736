"""What a scene must hold to be of use: finite poses, boxes with a size, known kinds, references to something."""

import dataclasses
from typing import Any

import numpy as np

from simscale.scene.errors import BadInput
from simscale.scene.road import LightState, RoadKind
from simscale.scene.scene import DT, Scene
from simscale.scene.tracks import TrackKind

Array = np.ndarray

ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
"""An id becomes a file name and a part of tokens."""
LONGEST_ID = 80
"""A sample's name is the id and some twenty letters; archives hold names of up to 100."""
CLOCK_TOLERANCE_US = 1000
"""How far a step of the grid may be from `DT`, for times that were rounded, us (ours)."""


def arrays_of(scene: Scene) -> dict[str, Array]:
    """Every array of a scene by its dotted name, such as `tracks.xy`."""
    arrays: dict[str, Array] = {}
    for field in dataclasses.fields(Scene):
        value = getattr(scene, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif dataclasses.is_dataclass(value):
            for inner in dataclasses.fields(value):
                part = getattr(value, inner.name)
                if isinstance(part, np.ndarray):
                    arrays[f"{field.name}.{inner.name}"] = part
    return arrays


def check(scene: Scene, path: object) -> None:
    """Refuses a scene that no stage could use.

    Raises:
        BadInput: A pose that is not finite, a box of no size, an unknown kind, a clock of another rate, a reference
            to nothing.
    """
    if not scene.id or set(scene.id) - ID_CHARACTERS or len(scene.id) > LONGEST_ID:
        raise BadInput(path, "id", repr(scene.id), f"up to {LONGEST_ID} letters, digits, '-', '_' and '.'")
    _check_finite(scene, path)
    _check_clock(scene, path)
    _check_boxes(scene, path)
    _check_kinds(path, "tracks.kind", scene.tracks.kind, TrackKind)
    _check_kinds(path, "road.kind", scene.road.kind, RoadKind)
    _check_kinds(path, "lights.state", scene.lights.state, LightState)
    _check_references(scene, path)
    _check_names(scene, path)


def _check_finite(scene: Scene, path: object) -> None:
    for name, value in arrays_of(scene).items():
        used = value
        if name.startswith("tracks.") and value.ndim >= 2 and name not in ("tracks.size", "tracks.valid"):
            used = value[scene.tracks.valid]
        if name == "ground.z" and scene.ground is not None:
            used = value[scene.ground.valid]
        if name == "road.speed_limit":
            used = value[scene.road.has_speed_limit]
        if used.dtype.kind == "f" and not np.isfinite(used).all():
            bad = int((~np.isfinite(used)).sum())
            raise BadInput(path, name, f"not finite at {bad} of {used.size} numbers", "finite numbers")


def _check_clock(scene: Scene, path: object) -> None:
    """A log at another rate would be driven at another speed, and nobody would notice."""
    if len(scene) < 2:
        raise BadInput(path, "timestamp_us", f"{len(scene)} instants", "at least 2")
    step = np.diff(scene.timestamp_us)
    wrong = np.flatnonzero(np.abs(step - DT * 1e6) > CLOCK_TOLERANCE_US)
    if len(wrong):
        found = f"{step[wrong[0]]} us after instant {wrong[0]}"
        raise BadInput(path, "step of timestamp_us", found, f"{DT * 1e6:.0f} us between any two instants")


def _check_boxes(scene: Scene, path: object) -> None:
    size = scene.tracks.size
    empty = np.flatnonzero(~(size > 0).all(axis=1))
    if len(empty):
        field = f"tracks.size of {scene.tracks.id[empty[0]]}"
        raise BadInput(path, field, size[empty[0]].tolist(), "length, width, height > 0")
    for field in dataclasses.fields(scene.vehicle):
        found = getattr(scene.vehicle, field.name)
        least = -np.inf if field.name == "rear_axle_to_centre" else 0.0
        if field.type is float and not (np.isfinite(found) and found > least):
            raise BadInput(path, f"vehicle.{field.name}", found, f"a finite number of metres{' > 0' * (least == 0)}")


def _check_references(scene: Scene, path: object) -> None:
    for name in ("start", "centre_start"):
        offsets, points = getattr(scene.road, name), scene.road.xy if name == "start" else scene.road.centre_xy
        if offsets[0] != 0 or offsets[-1] != len(points) or (np.diff(offsets) < 0).any():
            raise BadInput(path, f"road.{name}", "not a list of offsets", f"ascending from 0 to {len(points)}")
    for name, index in (
        ("route", scene.route),
        ("road.next_lane", scene.road.next_lane),
        ("lights.element", scene.lights.element),
    ):
        if index.size and not (index.min() >= 0 and index.max() < len(scene.road)):
            raise BadInput(path, name, f"{index.min()} to {index.max()}", f"elements 0 to {len(scene.road) - 1}")


def _check_names(scene: Scene, path: object) -> None:
    for name, ids, count in (
        ("tracks.id", scene.tracks.id, len(scene.tracks.kind)),
        ("road.id", scene.road.id, len(scene.road)),
        ("cameras.name", scene.cameras.name, len(scene.cameras.size_px)),
    ):
        if len(ids) != count or len(set(ids)) != count:
            raise BadInput(path, name, f"{len(set(ids))} different names", f"{count}")
    for name, recordings in (("images", scene.images), ("sweeps", scene.sweeps)):
        for field in ("sensor", "path"):
            found, count = len(getattr(recordings, field)), len(recordings.timestamp_us)
            if found != count:
                raise BadInput(path, f"{name}.{field}", f"{found} names", f"{count}, one a recording")


def _check_kinds(path: object, field: str, value: Array, kinds: Any) -> None:
    unknown = set(np.unique(value).tolist()) - {int(kind) for kind in kinds}
    if unknown:
        raise BadInput(path, field, sorted(unknown), ", ".join(f"{int(kind)} ({kind.name.lower()})" for kind in kinds))
