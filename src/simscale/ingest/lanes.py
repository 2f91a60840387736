"""Road maps from what a dataset says of its lanes: elements with names in, one numbered `RoadMap` out.

A dataset's file turns each lane into a `MapElement` in the world frame of the scene: its ring, its centre line, and
the names of the lanes after it and beside it. What every source needs is done once, here: names become numbers,
links to lanes outside the excerpt are dropped, lanes side by side become road blocks, connectors become intersections.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import shapely
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from simscale.geometry.polygons import ragged, rings_without_holes
from simscale.geometry.polylines import at_station, stations_of
from simscale.scene import RoadKind, RoadMap

Array = np.ndarray

CAR_LANES = (RoadKind.LANE, RoadKind.CONNECTOR)
LANES = (*CAR_LANES, RoadKind.BICYCLE_LANE)

CENTRE_SPACING = 1.0
"""Largest step of a centre line made from two boundaries, m (ours)."""

END_TOLERANCE = 0.5
"""A lane follows another whose end is this near to its start, m (ours; pipeline.md section 0 measured it)."""

END_TURN = np.deg2rad(60.0)
"""And whose last heading differs by less than this from its first one, rad (ours)."""

SLIVER = 0.02
"""Gaps between drivable areas up to twice this width are drawing inaccuracy and are closed, m (ours)."""


def _nowhere() -> Array:
    return np.zeros((0, 2))


@dataclass(frozen=True, kw_only=True)
class MapElement:
    """One element of a source's map, in the world frame of the scene."""

    id: str  # the source's name, unique in its map
    kind: RoadKind
    ring: Float[Array, "_ 2"] = field(default_factory=_nowhere)  # open polygon, m; empty where the source has none
    centre_line: Float[Array, "_ 2"] = field(default_factory=_nowhere)  # in driving direction, m; may be empty
    speed_limit: float | None = None  # m/s
    in_intersection: bool = False  # true of connectors, and of bicycle lanes that cross a junction
    next: tuple[str, ...] = ()  # names of the lanes after it; unknown ones are dropped
    beside: tuple[str, ...] = ()  # names of the lanes at its sides, oncoming ones too; unknown ones are dropped


def road_map_of(elements: Sequence[MapElement]) -> RoadMap:
    """Numbers the elements in the given order and links them; `beside` and `in_intersection` decide the groups."""
    number = {element.id: i for i, element in enumerate(elements)}
    assert len(number) == len(elements), "names of map elements must be unique"
    xy, start = ragged([element.ring for element in elements])
    centre_xy, centre_start = ragged([element.centre_line for element in elements])
    next_lane = _edges(elements, number)
    return RoadMap(
        id=tuple(element.id for element in elements),
        kind=np.array([int(element.kind) for element in elements], dtype=np.int64),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.array([element.speed_limit or 0.0 for element in elements], dtype=np.float64),
        has_speed_limit=np.array([element.speed_limit is not None for element in elements], dtype=bool),
        next_lane=next_lane,
        group=_groups(elements, number, next_lane),
    )


def lane_between(
    left: Float[Array, "n 2"], right: Float[Array, "m 2"]
) -> tuple[Float[Array, "p 2"], Float[Array, "q 2"]]:
    """Ring and centre line of the lane between two boundaries that both run in driving direction.

    The centre line is the mean of the boundaries at equal shares of their lengths.
    """
    lengths = stations_of(left)[-1], stations_of(right)[-1]
    count = max(int(np.ceil(max(lengths) / CENTRE_SPACING)), 1) + 1
    share = np.linspace(0.0, 1.0, count)
    centre = (at_station(left, share * lengths[0]) + at_station(right, share * lengths[1])) / 2
    return np.concatenate([left, right[::-1]]), centre


def drivable_elements(area: shapely.Geometry) -> list[MapElement]:
    """An area that a car may use as elements without holes."""
    rings = rings_without_holes(area)
    return [MapElement(id=f"drivable-{i}", kind=RoadKind.DRIVABLE, ring=ring) for i, ring in enumerate(rings)]


def merged(rings: Iterable[Float[Array, "_ 2"]]) -> shapely.Geometry:
    """Union of polygons, with hairline gaps between neighbours closed."""
    parts = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) >= 3]
    grown = shapely.buffer(shapely.union_all(parts), SLIVER, join_style="mitre")
    return shapely.make_valid(shapely.buffer(grown, -SLIVER, join_style="mitre"))


def intersection_elements(
    elements: Sequence[MapElement], *, drivable: shapely.Geometry | None = None
) -> list[MapElement]:
    """Intersections: where the connectors' polygons lie, one connected area after the other.

    Between connectors stay gaps that belong to the junction, and a connector drawn with few vertices cuts corners.
    So, where the source has a drivable area, gaps are filled and what lies off the road is cut away (ours).
    """
    area = merged(element.ring for element in elements if element.kind == RoadKind.CONNECTOR)
    if drivable is not None:
        polygons = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon"]
        filled = shapely.union_all([shapely.Polygon(part.exterior) for part in polygons])
        area = shapely.intersection(filled, drivable)
    rings = rings_without_holes(area)
    return [MapElement(id=f"intersection-{i}", kind=RoadKind.INTERSECTION, ring=ring) for i, ring in enumerate(rings)]


def linked_by_ends(elements: Sequence[MapElement]) -> list[MapElement]:
    """The elements with `next` rebuilt from geometry: where a lane ends, those lanes begin that go on from it.

    For sources that store no topology. Cars' lanes follow cars' lanes, bicycle lanes follow bicycle lanes.
    """
    lanes = [i for i, e in enumerate(elements) if e.kind in LANES and len(e.centre_line) >= 2]
    if not lanes:
        return list(elements)
    starts = np.array([elements[i].centre_line[0] for i in lanes])
    ends = np.array([elements[i].centre_line[-1] for i in lanes])
    first = np.array([elements[i].centre_line[1] - elements[i].centre_line[0] for i in lanes])
    last = np.array([elements[i].centre_line[-1] - elements[i].centre_line[-2] for i in lanes])
    linked = list(elements)
    for a, near in enumerate(KDTree(starts).query_ball_point(ends, END_TOLERANCE)):
        names = [elements[lanes[b]].id for b in sorted(near) if b != a and _turn_between(last[a], first[b]) < END_TURN]
        linked[lanes[a]] = replace(elements[lanes[a]], next=tuple(names))
    return linked


def _turn_between(a: Array, b: Array) -> float:
    return abs(float(np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b)))


def _edges(elements: Sequence[MapElement], number: dict[str, int]) -> Int[Array, "e 2"]:
    """Pairs (lane, successor) within the map; a car's lane never leads on to a bicycle lane, nor the reverse."""
    pairs = {
        (i, number[name])
        for i, element in enumerate(elements)
        for name in element.next
        if name in number and (element.kind in CAR_LANES) == (elements[number[name]].kind in CAR_LANES)
    }
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def _groups(elements: Sequence[MapElement], number: dict[str, int], next_lane: Int[Array, "e 2"]) -> Int[Array, " m"]:
    """Road blocks: lanes side by side with one heading; connectors by where they come from and where they lead."""
    group = np.full(len(elements), -1, dtype=np.int64)
    lanes = [i for i, e in enumerate(elements) if e.kind in LANES and not _crosses(e)]
    pairs = [(i, number[name]) for i in lanes for name in elements[i].beside if name in number]
    pairs += _siblings(next_lane) + _siblings(next_lane[:, ::-1])
    inside = set(lanes)
    pairs = [(i, j) for i, j in pairs if i in inside and j in inside and _same_way(elements[i], elements[j])]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(elements), len(elements)))
    _, component = connected_components(links, directed=False)
    _, group[lanes] = np.unique(component[lanes], return_inverse=True)
    connectors = [i for i, e in enumerate(elements) if e.kind in LANES and _crosses(e)]
    free = int(group.max(initial=-1)) + 1
    for members in _alike(connectors, group, next_lane):
        group[members] = free
        free += 1
    return group


def _siblings(links: Int[Array, "e 2"]) -> list[tuple[int, int]]:
    """Pairs of lanes that are linked from the same one: where a lane forks, its branches begin side by side."""
    children = defaultdict(list)
    for a, b in links.tolist():
        children[a].append(b)
    return [pair for found in children.values() for pair in pairwise(found)]


def _crosses(element: MapElement) -> bool:
    return element.in_intersection or element.kind == RoadKind.CONNECTOR


def _same_way(a: MapElement, b: MapElement) -> bool:
    if len(a.centre_line) < 2 or len(b.centre_line) < 2:
        return False
    return float((a.centre_line[-1] - a.centre_line[0]) @ (b.centre_line[-1] - b.centre_line[0])) > 0.0


def _alike(connectors: list[int], group: Int[Array, " m"], next_lane: Int[Array, "e 2"]) -> list[list[int]]:
    """Connectors with the same blocks before and after them; one with a loose end stands alone."""
    after, before = defaultdict(list), defaultdict(list)
    for a, b in next_lane.tolist():
        after[a].append(b)
        before[b].append(a)
    found = defaultdict(list)
    for i in connectors:
        key = _blocks_reached(i, before, group), _blocks_reached(i, after, group)
        found[key if all(key) else i].append(i)
    return list(found.values())


def _blocks_reached(start: int, links: dict[int, list[int]], group: Int[Array, " m"]) -> frozenset[int]:
    """Blocks first met on the way along `links`, through any number of connectors."""
    todo, seen, met = [start], {start}, set()
    while todo:
        for other in links.get(todo.pop(), []):
            if group[other] >= 0:
                met.add(int(group[other]))
            elif other not in seen:
                seen.add(other)
                todo.append(other)
    return frozenset(met)
