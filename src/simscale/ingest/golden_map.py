"""The map of a golden scene: polygons with their layers and connections, and baselines, as a RoadMap."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from simscale.ingest.golden_files import check_groups
from simscale.scene import BadInput, RoadKind, RoadMap

Array = np.ndarray

KIND_OF_LAYER = {
    "LANE": RoadKind.LANE,
    "LANE_CONNECTOR": RoadKind.CONNECTOR,
    "INTERSECTION": RoadKind.INTERSECTION,
    "CARPARK_AREA": RoadKind.CAR_PARK,
    "ROADBLOCK": RoadKind.ROAD_BLOCK,
    "ROADBLOCK_CONNECTOR": RoadKind.ROAD_BLOCK_CONNECTOR,
}
"""nuPlan's layers."""
LANE_LAYERS, BLOCK_LAYERS = ("LANE", "LANE_CONNECTOR"), ("ROADBLOCK", "ROADBLOCK_CONNECTOR")
LEAST_RING, LEAST_LINE = 4, 2
"""Vertices of a closed ring, and of a line."""


def road_of(
    table: dict[str, Any],
    rings_xy: Float[Array, "p 2"],
    ring_start: Int[Array, " m1"],
    lines_xy: Float[Array, "q 2"],
    line_start: Int[Array, " l1"],
) -> RoadMap:
    """The map; elements keep the order of the polygons, and a road block's number is the `group` of its lanes.

    Args:
        table: The JSON's `map`.
        rings_xy: Closed rings, world frame, m.
        ring_start: First vertex of each ring.
        lines_xy: Baselines, world frame, m.
        line_start: First vertex of each.
    """
    polygons = table["polygons"]
    number = {polygon["id"]: i for i, polygon in enumerate(polygons)}
    rings = [rings_xy[ring_start[i] : ring_start[i + 1] - 1] for i in range(len(polygons))]
    lines = [np.zeros((0, 2)) for _ in polygons]
    for i, name in enumerate(table["baseline_ids"]):
        lines[number[name]] = lines_xy[line_start[i] : line_start[i + 1]]
    limits = [polygon.get("speed_limit_mps") for polygon in polygons]
    return RoadMap(
        id=tuple(polygon["id"] for polygon in polygons),
        kind=np.array([int(KIND_OF_LAYER[polygon["layer"]]) for polygon in polygons]),
        xy=np.concatenate(rings),
        start=np.cumsum([0] + [len(ring) for ring in rings]),
        centre_xy=np.concatenate(lines),
        centre_start=np.cumsum([0] + [len(line) for line in lines]),
        speed_limit=np.array([0.0 if limit is None else limit for limit in limits], dtype=np.float64),
        has_speed_limit=np.array([limit is not None for limit in limits]),
        next_lane=_edges(polygons, number),
        group=np.array([_group(i, polygon, number) for i, polygon in enumerate(polygons)]),
    )


def _edges(polygons: list[dict[str, Any]], number: dict[str, int]) -> Int[Array, "e 2"]:
    lanes = [polygon for polygon in polygons if polygon["layer"] in LANE_LAYERS]
    edges = {(number[lane["id"]], number[after]) for lane in lanes for after in lane["outgoing"]}
    return np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)


def _group(i: int, polygon: dict[str, Any], number: dict[str, int]) -> int:
    if polygon["layer"] in BLOCK_LAYERS:
        return i
    return number[polygon["roadblock"]] if "roadblock" in polygon else -1


def check_map(path: Path, text: Path, content: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Refuses a map whose parts do not fit each other.

    Args:
        path: The `.npz` file, for messages.
        text: The `.json` file, for messages.
        content: The JSON object, whose form is known to be right.
        arrays: Of the `.npz` file, whose shapes are known to be right.

    Raises:
        BadInput: A polygon has an id twice or too few vertices, or refers to nothing; likewise a baseline.
    """
    polygons = content["map"]["polygons"]
    check_groups(path, "map_poly_start", arrays["map_poly_start"], len(arrays["map_poly_xy"]), groups=len(polygons))
    ids = {polygon["id"] for polygon in polygons}
    if len(ids) < len(polygons):
        raise BadInput(text, "map.polygons", "with an id twice", "an id of its own for each polygon")
    for i, polygon in enumerate(polygons):
        _check_connections(text, f"map.polygons.{i}", polygon, ids)
    vertices = np.diff(arrays["map_poly_start"])
    if (vertices < LEAST_RING).any():
        few = int(np.argmin(vertices))
        found = f"{vertices[few]} vertices"
        raise BadInput(path, f"map_poly_xy of {polygons[few]['id']}", found, f"{LEAST_RING} or more")
    _check_baselines(path, text, content["map"], arrays)


def _check_connections(text: Path, field: str, polygon: dict[str, Any], ids: set[str]) -> None:
    if polygon["layer"] not in LANE_LAYERS:
        return
    if "outgoing" not in polygon:
        raise BadInput(text, f"{field}.outgoing", "missing", "ids of the lanes that follow")
    for name in [*polygon["outgoing"], *([polygon["roadblock"]] if "roadblock" in polygon else [])]:
        if name not in ids:
            raise BadInput(text, field, f"connected to {name!r}", "connections to polygons of the map")


def _check_baselines(path: Path, text: Path, table: dict[str, Any], arrays: dict[str, Array]) -> None:
    names = table["baseline_ids"]
    lanes = {polygon["id"] for polygon in table["polygons"] if polygon["layer"] in LANE_LAYERS}
    if set(names) != lanes or len(names) != len(lanes):
        raise BadInput(text, "map.baseline_ids", "other lanes than the map's", "each lane and lane connector once")
    check_groups(path, "base_start", arrays["base_start"], len(arrays["base_xyh"]), groups=len(names))
    vertices = np.diff(arrays["base_start"])
    if (vertices < LEAST_LINE).any():
        few = int(np.argmin(vertices))
        raise BadInput(path, f"base_xyh of {names[few]}", f"{vertices[few]} vertices", f"{LEAST_LINE} or more")
