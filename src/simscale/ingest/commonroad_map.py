"""The lanelets of a CommonRoad scenario as a road map.

A lanelet is a directed lane between two boundaries, with its successors and the lanelets at its sides. A successor of
a lanelet that enters an intersection is a connector; where the file names no intersections (2018b has none), a
lanelet that crosses another one or that turns is taken for one (ours).
"""

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.polylines import stations_of, without_repeats
from simscale.ingest.bounds import MAX_DISTANCE, bounded
from simscale.ingest.lanes import (
    MapElement,
    drivable_elements,
    intersection_elements,
    lane_between,
    merged,
    road_map_of,
)
from simscale.ingest.xml import number, required
from simscale.scene import BadInput, RoadKind, RoadMap

Array = np.ndarray

LANE_TYPES = {"crosswalk": RoadKind.CROSSING, "sidewalk": RoadKind.WALKWAY, "bicycleLane": RoadKind.BICYCLE_LANE}
"""Types of lanelets that are no lanes for cars."""
CROSSING_TURN = np.radians(30)
"""Two lanelets that overlap at more than this angle cross (ours)."""
CROSSING_AREA = 1.0
"""And share at least this area, m^2 (ours)."""
MAX_CONNECTOR = 60.0
"""A lanelet longer than this is no connector, whatever crosses it, m (ours)."""


def road_of(root: Element, log: Path, *, origin: Float[Array, "2"]) -> tuple[RoadMap, list[str]]:
    """The map in the scene's frame, and what it lacks.

    Raises:
        BadInput: A lanelet is incomplete, or two have one name.
    """
    limits = _limits_of_signs(root, log)
    elements = [_element_of(node, log, origin, limits) for node in root.findall("lanelet")]
    if not elements:
        return road_map_of([]), ["a map"]
    if len({element.id for element in elements}) != len(elements):
        raise BadInput(log, "lanelets", "two with one id", "an id for each")
    named = _named_connectors(root)
    inside = named if root.find("intersection") is not None else _crossing(elements)
    elements = [
        replace(e, kind=RoadKind.CONNECTOR, in_intersection=True) if e.id in inside and e.kind == RoadKind.LANE else e
        for e in elements
    ]
    drivable = merged(e.ring for e in elements if e.kind not in (RoadKind.CROSSING, RoadKind.WALKWAY))
    whole = [*elements, *intersection_elements(elements), *drivable_elements(drivable)]
    missing = ["traffic lights", "drivable area (made of the lanelets)"]
    if all(element.speed_limit is None for element in elements):
        missing.append("speed limits")
    if all(element.kind != RoadKind.CROSSING for element in elements):
        missing.append("crossings")
    return road_map_of(whole), missing


def _element_of(node: Element, log: Path, origin: Float[Array, "2"], limits: dict[str, float]) -> MapElement:
    name = node.get("id") or "without id"
    left, right = (
        _bound(required(node, f"{side}Bound", log, f"lanelet {name}"), log, name) for side in ("left", "right")
    )
    for bound in (left, right):
        bounded(bound - origin, MAX_DISTANCE, file=log, field=f"lanelet {name} less the ego")
    ring, centre = lane_between(left - origin, right - origin)
    types = [(part.text or "").strip() for part in node.findall("laneletType")]
    kinds = [LANE_TYPES[kind] for kind in types if kind in LANE_TYPES]
    is_area = bool(kinds) and kinds[0] != RoadKind.BICYCLE_LANE
    return MapElement(
        id=name,
        kind=kinds[0] if kinds else RoadKind.LANE,
        ring=ring,
        centre_line=np.zeros((0, 2)) if is_area else centre,
        speed_limit=_limit(node, log, name, limits),
        next=tuple(part.get("ref", "") for part in node.findall("successor")),
        beside=tuple(part.get("ref", "") for tag in ("adjacentLeft", "adjacentRight") for part in node.findall(tag)),
    )


def _bound(node: Element, log: Path, name: str) -> Float[Array, "n 2"]:
    field = f"lanelet {name}.{node.tag}"
    points = [
        [number(point.findtext(axis), log, f"{field}.{axis}") for axis in ("x", "y")] for point in node.findall("point")
    ]
    line = without_repeats(np.array(points, dtype=np.float64).reshape(-1, 2), closer_than=1e-3)
    if len(line) < 2:
        raise BadInput(log, field, f"{len(line)} different points", "at least 2")
    return line


def _limit(node: Element, log: Path, name: str, limits: dict[str, float]) -> float | None:
    """Speed limit in m/s: the lanelet's own (2018b), else the lowest of its signs (2020a)."""
    if node.find("speedLimit") is not None:
        limit = number(node.findtext("speedLimit"), log, f"lanelet {name}.speedLimit")
        if limit <= 0:
            raise BadInput(log, f"lanelet {name}.speedLimit", limit, "more than 0 m/s")
        return limit
    signs = [limits[ref] for part in node.findall("trafficSignRef") if (ref := part.get("ref", "")) in limits]
    return min(signs) if signs else None


def _limits_of_signs(root: Element, log: Path) -> dict[str, float]:
    """Signs with a maximum speed in m/s: number 274 in Germany, R2-1 in the USA (`MAX_SPEED` in commonroad-io)."""
    found: dict[str, float] = {}
    for sign in root.findall("trafficSign"):
        for part in sign.findall("trafficSignElement"):
            if (part.findtext("trafficSignID") or "").strip() in ("274", "R2-1", "maxSpeed", "MAX_SPEED"):
                limit = number(part.findtext("additionalValue"), log, f"trafficSign {sign.get('id')}")
                if limit > 0:
                    found[sign.get("id") or ""] = limit
    return found


def _named_connectors(root: Element) -> set[str]:
    """Lanelets that the file's intersections lead through."""
    ways = [way for tag in ("successorsRight", "successorsStraight", "successorsLeft") for way in root.iter(tag)]
    return {way.get("ref", "") for way in ways}


def _crossing(elements: list[MapElement]) -> set[str]:
    """Short lanelets that cross another one at an angle."""
    lanes = [e for e in elements if e.kind == RoadKind.LANE and stations_of(e.centre_line)[-1] <= MAX_CONNECTOR]
    if not lanes:
        return set()
    rings = shapely.make_valid([shapely.Polygon(lane.ring) for lane in lanes])
    a, b = shapely.STRtree(rings).query(rings, predicate="intersects")
    a, b = a[a < b], b[a < b]
    over = shapely.area(shapely.intersection(rings[a], rings[b])) >= CROSSING_AREA
    pairs = [
        (i, j) for i, j in zip(a[over], b[over], strict=True) if _angle_between(lanes[i], lanes[j]) > CROSSING_TURN
    ]
    return {lanes[i].id for pair in pairs for i in pair}


def _angle_between(a: MapElement, b: MapElement) -> float:
    """Angle between the chords of two lanes as lines: 0 for parallel and for oncoming ones."""
    one, other = a.centre_line[-1] - a.centre_line[0], b.centre_line[-1] - b.centre_line[0]
    return float(np.arctan2(abs(one[0] * other[1] - one[1] * other[0]), abs(one @ other)))
