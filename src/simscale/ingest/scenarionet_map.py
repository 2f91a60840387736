"""The map of a ScenarioNet file: lanes, connectors, intersections, and the drivable area from a mask beside it.

nuScenes' files name no successors, no neighbours and no intersections, and give connectors a centre line without a
polygon. Topology comes from end points and neighbours from centre lines that run side by side; a lane without a
polygon is a connector and gets a strip around its centre line. Half of the lanes near the ego are such, so where the
drivable area was drawn as a mask (`drivable_crops/` beside the folder of the file), the mask says where a car may be.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from simscale.geometry.angles import wrap
from simscale.geometry.polylines import resample, stations_of, without_repeats, yaw_along
from simscale.ingest.bounds import MAX_DISTANCE, bounded
from simscale.ingest.lanes import (
    MapElement,
    drivable_elements,
    intersection_elements,
    linked_by_ends,
    merged,
    road_map_of,
)
from simscale.ingest.mask import Mask, area_of, read_mask
from simscale.scene import BadInput, RoadKind, RoadMap

Array = np.ndarray

MASK_FOLDER = "drivable_crops"
MASK_LEVELS = 4
"""How many folders above the file are searched for the masks (ours)."""
WIDTH_DEFAULT, WIDTH_MIN, WIDTH_MAX = 3.5, 3.0, 4.5
"""Width of the strip around a connector's centre line, m: the mean width of the lanes before and after it, within
these bounds; the default where it has none (ours)."""
REACH = 120.0
"""Without a mask, the map is kept this far around the driven path, m (ours); with one, as far as the mask."""
SIDE_MIN, SIDE_MAX = 2.0, 4.5
"""Distance between the centre lines of neighbouring lanes, m (ours)."""
SIDE_TURN = np.radians(15)
"""Largest angle between neighbours (ours)."""
SIDE_STEP = 2.0
"""Spacing of the points that are compared, m (ours)."""
SIDE_SHARE = 0.5
"""Share of the shorter lane's points that must lie beside the other lane (ours)."""
CROSSING_DISTANCE, CROSSING_TURN = 2.5, np.radians(30)
"""Connectors make a junction where two of them come this near, m, at more than this angle; else the road only forks
or changes its lanes, and no intersection excuses driving against traffic there (ours)."""
SIMPLE = 0.02
"""How far a centre line may be moved to thin it before its strip is made, m (ours)."""

_LANES = {"LANE_SURFACE_STREET", "LANE_SURFACE_UNSTRUCTURE", "LANE_FREEWAY", "LANE_UNKNOWN"}
_AREAS = {"CROSSWALK": RoadKind.CROSSING, "BOUNDARY_SIDEWALK": RoadKind.WALKWAY}
_IGNORED_PREFIXES = ("ROAD_LINE_", "ROAD_EDGE_", "BOUNDARY_", "UNKNOWN")
_IGNORED = {"STOP_SIGN", "SPEED_BUMP", "DRIVEWAY", "GUARDRAIL"}


def road_of(
    features: dict[str, Any], log: Path, *, name: str, origin: Float[Array, "2"], ego_xy: Float[Array, "t 2"]
) -> tuple[RoadMap, list[str]]:
    """The map in the scene's frame, and what it lacks.

    Args:
        features: `map_features` of the file.
        log: The file, for messages and to find the masks.
        name: The scenario's name, under which its mask is listed.
        origin: Place of the scene's frame in the source's map, m.
        ego_xy: The driven path in the scene's frame, m.

    Raises:
        BadInput: An unknown kind of feature, a centre line that is none, a damaged mask.
    """
    if not features:
        return road_map_of([]), ["a map"]
    elements = [_element(str(key), feature, log, origin) for key, feature in features.items()]
    mask = _mask_of(log, name)
    reach = _extent(mask, origin) if mask is not None else shapely.LineString(ego_xy).buffer(REACH)
    kept = [element for element in elements if element is not None and _touches(element, reach)]
    kept = _with_strips(_with_neighbours(linked_by_ends(kept)))
    missing = [] if any(element.kind == RoadKind.CROSSING for element in kept) else ["crossings"]
    if mask is not None:
        drivable = shapely.transform(area_of(mask), lambda xy: xy - origin)
    else:
        drivable = merged(element.ring for element in kept if element.kind in (RoadKind.LANE, RoadKind.CONNECTOR))
        missing.append("drivable area (made of the lanes)")
    whole = [*kept, *intersection_elements(_of_junctions(kept), drivable=drivable), *drivable_elements(drivable)]
    return road_map_of(whole), missing


def _element(key: str, feature: Any, log: Path, origin: Float[Array, "2"]) -> MapElement | None:
    """A feature of the file as an element; None for lines and other things that no stage uses."""
    kind = feature.get("type") if isinstance(feature, dict) else None
    if not isinstance(kind, str):
        raise BadInput(log, f"map_features.{key}.type", type(kind).__name__, "a string")
    if kind in _AREAS:
        return MapElement(id=key, kind=_AREAS[kind], ring=_points(feature, "polygon", log, key, origin))
    if kind in _IGNORED or kind.startswith(_IGNORED_PREFIXES):
        return None
    if kind not in _LANES and kind != "LANE_BIKE_LANE":
        raise BadInput(log, f"map_features.{key}.type", repr(kind[:60]), "a lane, a line, a crossing or a walkway")
    line = without_repeats(_points(feature, "polyline", log, key, origin), closer_than=1e-3)
    if len(line) < 2:
        raise BadInput(log, f"map_features.{key}.polyline", f"{len(line)} different points", "at least 2")
    if "polygon" in feature:
        ring = _open(_points(feature, "polygon", log, key, origin))
        if len(ring) < 3:
            raise BadInput(log, f"map_features.{key}.polygon", f"{len(ring)} points", "at least 3")
        kind_of = RoadKind.LANE if kind in _LANES else RoadKind.BICYCLE_LANE
        return MapElement(id=key, kind=kind_of, ring=ring, centre_line=line)
    return MapElement(id=key, kind=RoadKind.CONNECTOR, centre_line=line, in_intersection=True)


def _points(feature: dict[str, Any], field: str, log: Path, key: str, origin: Float[Array, "2"]) -> Float[Array, "n 2"]:
    """Points of a line or ring in the scene's frame; the file has them as an array or as a list of rows."""
    value = feature.get(field)
    is_array = isinstance(value, np.ndarray) and value.dtype.kind in "fiu"
    points = np.array(value, dtype=np.float64) if is_array or _are_rows(value) else np.zeros((0, 0))
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not np.isfinite(points).all():
        raise BadInput(log, f"map_features.{key}.{field}", f"of shape {points.shape}", "finite points [n, 2 or 3]")
    return bounded(points[:, :2] - origin, MAX_DISTANCE, file=log, field=f"map_features.{key}.{field} less the ego's")


def _are_rows(value: Any) -> bool:
    """Whether a value is a list of equally long rows of numbers; looked at row by row, as lists in lists can share."""
    if not isinstance(value, list | tuple) or not all(isinstance(row, list | tuple | np.ndarray) for row in value):
        return False
    return {len(row) for row in value} in ({2}, {3}) and all(isinstance(x, int | float) for row in value for x in row)


def _open(ring: Float[Array, "n 2"]) -> Float[Array, "m 2"]:
    return ring[:-1] if len(ring) > 1 and np.array_equal(ring[0], ring[-1]) else ring


def _with_strips(elements: list[MapElement]) -> list[MapElement]:
    """The elements, each connector with a strip around its centre line as its ring."""
    width = {e.id: _width(e) for e in elements if e.kind == RoadKind.LANE}
    linked: dict[str, list[float]] = {e.id: [] for e in elements}
    for element in elements:
        for other in element.next:
            linked[element.id] += [width[other]] if other in width else []
            linked[other] += [width[element.id]] if element.id in width else []
    return [
        replace(e, ring=_strip(e.centre_line, linked[e.id])) if e.kind == RoadKind.CONNECTOR else e for e in elements
    ]


def _width(lane: MapElement) -> float:
    return float(shapely.Polygon(lane.ring).area / stations_of(lane.centre_line)[-1])


def _strip(line: Float[Array, "n 2"], widths: list[float]) -> Float[Array, "m 2"]:
    width = float(np.clip(np.mean(widths), WIDTH_MIN, WIDTH_MAX)) if widths else WIDTH_DEFAULT
    thin = shapely.simplify(shapely.LineString(line), SIMPLE)
    strip = shapely.buffer(thin, width / 2, cap_style="flat", join_style="mitre")
    largest = max(shapely.get_parts(strip), key=lambda part: part.area)
    return np.asarray(largest.exterior.coords)[:-1, :2]


def _mask_of(log: Path, name: str) -> Mask | None:
    for folder in list(log.resolve().parents)[:MASK_LEVELS]:
        if (folder / MASK_FOLDER / "index.json").is_file():
            return read_mask(folder / MASK_FOLDER, name)
    return None


def _extent(mask: Mask, origin: Float[Array, "2"]) -> shapely.Geometry:
    return shapely.transform(mask.extent, lambda xy: xy - origin)


def _touches(element: MapElement, reach: shapely.Geometry) -> bool:
    points = element.centre_line if len(element.centre_line) >= 2 else element.ring
    return bool(shapely.intersects(shapely.LineString(points), reach)) if len(points) >= 2 else False


def _of_junctions(elements: list[MapElement]) -> list[MapElement]:
    """The connectors of those connected groups in which some two cross."""
    connectors = [e for e in elements if e.kind == RoadKind.CONNECTOR]
    if not connectors:
        return []
    strips = [shapely.Polygon(e.ring) for e in connectors]
    touching = shapely.STRtree(strips).query(strips, predicate="intersects")
    links = coo_array((np.ones(touching.shape[1]), tuple(touching)), shape=(len(strips), len(strips)))
    _, group = connected_components(links, directed=False)
    owner, xy, yaw = _points_along(connectors)
    a, b = KDTree(xy).query_pairs(CROSSING_DISTANCE, output_type="ndarray").T
    crossing = (owner[a] != owner[b]) & (np.abs(np.sin(yaw[a] - yaw[b])) > np.sin(CROSSING_TURN))
    junctions = np.unique(group[owner[a[crossing]]])
    return [e for e, its in zip(connectors, group, strict=True) if its in junctions]


def _points_along(lanes: list[MapElement]) -> tuple[Int[Array, " n"], Float[Array, "n 2"], Float[Array, " n"]]:
    """Points every `SIDE_STEP` of all centre lines: number of the lane, place, heading."""
    lines = [resample(lane.centre_line, spacing=SIDE_STEP) for lane in lanes]
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    return owner, np.concatenate(lines), np.concatenate([yaw_along(line) for line in lines])


def _with_neighbours(elements: list[MapElement]) -> list[MapElement]:
    """The elements with `beside` found from centre lines that run along each other at a lane's width."""
    lanes = [i for i, e in enumerate(elements) if e.kind == RoadKind.LANE]
    if len(lanes) < 2:
        return elements
    owner, xy, yaw = _points_along([elements[i] for i in lanes])
    a, b = KDTree(xy).query_pairs(SIDE_MAX + SIDE_STEP, output_type="ndarray").T
    a, b = np.concatenate([a, b]), np.concatenate([b, a])
    offset = xy[b] - xy[a]
    along = offset[:, 0] * np.cos(yaw[a]) + offset[:, 1] * np.sin(yaw[a])
    across = np.abs(offset[:, 1] * np.cos(yaw[a]) - offset[:, 0] * np.sin(yaw[a]))
    is_beside = (owner[a] != owner[b]) & (np.abs(along) <= SIDE_STEP / 2) & (np.abs(wrap(yaw[b] - yaw[a])) < SIDE_TURN)
    is_beside &= (across >= SIDE_MIN) & (across <= SIDE_MAX)
    pairs = np.unique(np.stack([a[is_beside], owner[b[is_beside]]]), axis=1)  # (point, lane beside it), each once
    shared = np.zeros((len(lanes), len(lanes)), dtype=int)
    np.add.at(shared, (owner[pairs[0]], pairs[1]), 1)
    points = np.bincount(owner)
    enough = shared >= SIDE_SHARE * np.minimum(points[:, None], points[None, :])
    found = list(elements)
    for place, i in enumerate(lanes):
        found[i] = replace(elements[i], beside=tuple(elements[lanes[j]].id for j in np.flatnonzero(enough[place])))
    return found
