"""Maps of Argoverse 2, which sensor logs and motion-forecasting scenarios share.

A lane segment comes as its left and right boundary, both in driving direction; `is_intersection` makes it a connector
or not; neighbours are named, oncoming ones as well. There are no traffic lights and no speed limits.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from simscale.geometry.polylines import without_repeats
from simscale.ingest.lanes import (
    MapElement,
    drivable_elements,
    intersection_elements,
    lane_between,
    merged,
    road_map_of,
)
from simscale.ingest.reading import REACH, read_json, read_raster
from simscale.scene import BadInput, Ground, RoadKind, RoadMap

Array = np.ndarray

LANE_TYPES = ("VEHICLE", "BUS", "BIKE")
ARCHIVE = "log_map_archive_*.json"


def find_archive(folder: Path) -> Path:
    """The one vector map in a folder.

    Raises:
        BadInput: There is none, or several.
    """
    found = sorted(folder.glob(ARCHIVE))
    if len(found) != 1:
        raise BadInput(folder, ARCHIVE, f"{len(found)} files", "one vector map")
    return found[0]


def read_road_map(path: Path, *, origin: Float[Array, "3"]) -> RoadMap:
    """The vector map around a local origin.

    Raises:
        BadInput: The file is missing or damaged, or holds a kind of lane that we do not know.
    """
    archive = read_json(path, what="a vector map with lane_segments, drivable_areas, pedestrian_crossings")
    lanes = [_lane(path, entry, origin) for entry in _entries(path, archive, "lane_segments")]
    crossings = [_crossing(path, entry, origin) for entry in _entries(path, archive, "pedestrian_crossings")]
    areas = [
        _points(path, entry, "area_boundary", origin, at_least=3) for entry in _entries(path, archive, "drivable_areas")
    ]
    drivable = merged(areas)
    elements = [*lanes, *intersection_elements(lanes, drivable=drivable if areas else None), *crossings]
    elements += drivable_elements(drivable)
    if len({element.id for element in elements}) < len(elements):
        raise BadInput(path, "id", "the same for two elements", "an id of its own for each lane and crossing")
    return road_map_of(elements)


def read_ground(folder: Path, *, origin: Float[Array, "3"]) -> Ground | None:
    """The ground height raster of a sensor log around a local origin; None where the log has none.

    Raises:
        BadInput: A file is damaged, one of the pair is missing, or the raster is turned against the map.
    """
    rasters, frames = sorted(folder.glob("*_ground_height_surface____*.npy")), sorted(folder.glob("*Sim2_city.json"))
    if not rasters and not frames:
        return None
    if len(rasters) != 1 or len(frames) != 1:
        found = f"{len(rasters)} rasters, {len(frames)} frames"
        raise BadInput(folder, "ground height", found, "one *_ground_height_surface____*.npy and one *Sim2_city.json")
    frame = read_json(frames[0], what="the similarity img_Sim2_city with R, t, s")
    if frame.get("R") != [1.0, 0.0, 0.0, 1.0]:
        raise BadInput(frames[0], "R", frame.get("R"), "[1.0, 0.0, 0.0, 1.0], a raster along the map's axes")
    scale, shift = _numbers(frames[0], frame, "s", 1)[0], _numbers(frames[0], frame, "t", 2)
    if scale <= 0:
        raise BadInput(frames[0], "s", scale, "cells per metre > 0")
    z = read_raster(rasters[0])
    valid = np.isfinite(z)
    # A point falls into cell floor(scale * (xy + shift)), so the centre of cell (0, 0) is half a cell inside.
    return Ground(
        z=np.where(valid, z, origin[2]) - origin[2],
        valid=valid,
        origin_xy=0.5 / scale - shift - origin[:2],
        resolution=float(1 / scale),
    )


def _entries(path: Path, archive: dict[str, Any], table: str) -> list[dict[str, Any]]:
    entries = archive.get(table)
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise BadInput(path, table, "missing" if entries is None else "damaged", "a table of map elements by id")
    for name, entry in entries.items():
        if not isinstance(entry.get("id"), int):
            raise BadInput(path, f"id of {table} {name}", entry.get("id", "missing"), "an integer")
    return list(entries.values())


def _lane(path: Path, entry: dict[str, Any], origin: Float[Array, "3"]) -> MapElement:
    kind, crosses = entry.get("lane_type"), entry.get("is_intersection")
    where = f"of lane {entry['id']}"
    if kind not in LANE_TYPES:
        raise BadInput(path, f"lane_type {where}", repr(kind), ", ".join(LANE_TYPES))
    if not isinstance(crosses, bool):
        raise BadInput(path, f"is_intersection {where}", repr(crosses), "true or false")
    left = _points(path, entry, "left_lane_boundary", origin, at_least=2)
    right = _points(path, entry, "right_lane_boundary", origin, at_least=2)
    ring, centre = lane_between(left, right)
    centre = without_repeats(centre)
    if len(centre) < 2:
        raise BadInput(path, f"boundaries {where}", "of no length", "a lane that leads somewhere")
    car_kind = RoadKind.CONNECTOR if crosses else RoadKind.LANE
    return MapElement(
        id=str(entry["id"]),
        kind=RoadKind.BICYCLE_LANE if kind == "BIKE" else car_kind,
        ring=ring,
        centre_line=centre,
        in_intersection=crosses,
        next=_links(path, entry, "successors"),
        beside=_links(path, entry, "left_neighbor_id") + _links(path, entry, "right_neighbor_id"),
    )


def _crossing(path: Path, entry: dict[str, Any], origin: Float[Array, "3"]) -> MapElement:
    near, far = (_points(path, entry, edge, origin, at_least=2) for edge in ("edge1", "edge2"))
    same_way = (near[-1] - near[0]) @ (far[-1] - far[0]) > 0
    ring = np.concatenate([near, far[::-1] if same_way else far])
    return MapElement(id=f"crossing-{entry['id']}", kind=RoadKind.CROSSING, ring=ring)


def _links(path: Path, entry: dict[str, Any], field: str) -> tuple[str, ...]:
    links = entry.get(field)
    links = links if isinstance(links, list) else [] if links is None else [links]
    if not all(isinstance(link, int) for link in links):
        raise BadInput(path, f"{field} of lane {entry['id']}", links, "ids of lanes")
    return tuple(str(link) for link in links)


def _points(
    path: Path, entry: dict[str, Any], field: str, origin: Float[Array, "3"], *, at_least: int
) -> Float[Array, "n 2"]:
    where = f"{field} of {entry['id']}"
    try:
        points = np.array([[point["x"], point["y"]] for point in entry[field]], dtype=np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError):
        raise BadInput(path, where, "missing or damaged", "points with x and y, m") from None
    if len(points) < at_least:
        raise BadInput(path, where, f"a line of {len(points)} points", f"{at_least} or more")
    local = points - origin[:2]
    far = np.flatnonzero(~(np.abs(local) <= REACH).all(axis=1))
    if len(far):
        raise BadInput(
            path, f"{where} at point {far[0]}", points[far[0]].tolist(), "a finite place within 100 km of the ego"
        )
    return local


def _numbers(path: Path, entry: dict[str, Any], field: str, count: int) -> Float[Array, " n"]:
    try:
        numbers = np.array(entry[field], dtype=np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError):
        numbers = np.zeros(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise BadInput(path, field, entry.get(field, "missing"), f"{count} finite numbers")
    return numbers
