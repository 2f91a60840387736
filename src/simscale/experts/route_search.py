"""From a route of road blocks to the lanes and the centre line that PDM-Closed drives along.

A logged route may start elsewhere than the car, have gaps, or run in a circle; the reference mends it, finds the lane
that the car is in, and takes the shortest way along the route's lanes (`route_utils.py`, `dijkstra.py`,
`bfs_roadblock.py` of the reference). Road blocks are named by their group number in the road map.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from simscale.experts.forecast import ego_polygon
from simscale.experts.paths import headings_of
from simscale.geometry.angles import wrap
from simscale.geometry.polylines import stations_of
from simscale.scene import CarState, EgoVehicle, RoadKind, RoadMap
from simscale.scoring.ring_index import ring_bounds

Array = np.ndarray

NEAR_BOX = 1.0
"""Blocks within a square of this half side around the rear axle may hold the car, m."""
MAX_ANGLE, MAX_OFFSET = np.pi / 4, 3.0
"""A lane holds the car if it is turned less, rad, and its nearest vertex is nearer, m."""
BACKWARD_DEPTH, FORWARD_DEPTH = 15, 30
"""How many blocks the searches for a way onto the route, or over a gap, go."""
FIRST_BLOCKS = 3
"""A car off its route is led to one of so many first blocks."""
LOOP_OVERLAP = 1.0
"""A connector that covers more of an earlier one closes a circle, m^2."""
WINDOW = 30
"""Blocks from the start lane's on that the centre line may reach."""


FALLBACK_LIMIT = 15.0
"""Speed limit of a lane without one, m/s (`fallback_target_velocity`)."""


@dataclass(frozen=True, kw_only=True)
class ReferenceRoute:
    """What PDM-Closed makes of a map and a logged route."""

    blocks: Int[Array, " c"]  # group numbers of the corrected route
    lanes: Int[Array, " r"]  # all lanes and connectors of these
    way: Int[Array, " n"]  # those that are driven along
    centre_line: Float[Array, "m 2"]  # of these, m
    speed_limit: float  # of the first of these, m/s


def reference_route(road: RoadMap, route: Int[Array, " b"], state: CarState, *, vehicle: EgoVehicle) -> ReferenceRoute:
    """The whole search: correction, lanes, the shortest way, its centre line.

    Args:
        road: The map.
        route: Group numbers of the logged route's blocks, in driving order.
        state: The car now (no batch axes).
        vehicle: Its dimensions.
    """
    blocks = blocks_of(road)
    corrected = corrected_route(road, route, state, blocks=blocks)
    lanes = route_lanes(road, corrected, blocks=blocks)
    way = lane_sequence(road, corrected, state, vehicle=vehicle, blocks=blocks)
    first = int(way[0])
    return ReferenceRoute(
        blocks=corrected,
        lanes=lanes,
        way=way,
        centre_line=joined_centre_line(road, way),
        speed_limit=float(road.speed_limit[first]) if road.has_speed_limit[first] else FALLBACK_LIMIT,
    )


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Road blocks of a map: which lanes they hold, and which blocks follow and precede them."""

    element: dict[int, int]  # number of the block's own polygon in the map
    lanes: dict[int, list[int]]
    following: dict[int, list[int]]
    preceding: dict[int, list[int]]


def blocks_of(road: RoadMap) -> Blocks:
    """Road blocks and their connections, which are those of their lanes."""
    block = road.of_kind(RoadKind.ROAD_BLOCK, RoadKind.ROAD_BLOCK_CONNECTOR)
    element = {int(road.group[i]): int(i) for i in block}
    lanes: dict[int, list[int]] = {group: [] for group in element}
    for lane in road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR):
        if int(road.group[lane]) in lanes:
            lanes[int(road.group[lane])].append(int(lane))
    pairs = road.group[road.next_lane].reshape(-1, 2)
    following: dict[int, list[int]] = {group: [] for group in element}
    preceding: dict[int, list[int]] = {group: [] for group in element}
    for before, after in dict.fromkeys((int(a), int(b)) for a, b in pairs):
        if before in element and after in element and before != after:
            following[before].append(after)
            preceding[after].append(before)
    return Blocks(
        element=element,
        lanes=lanes,
        following={group: sorted(after, key=element.__getitem__) for group, after in following.items()},
        preceding={group: sorted(before, key=element.__getitem__) for group, before in preceding.items()},
    )


def corrected_route(
    road: RoadMap, route: Int[Array, " b"], state: CarState, *, blocks: Blocks | None = None
) -> Int[Array, " c"]:
    """A route of blocks that starts where the car is, without gaps and circles (`route_roadblock_correction`).

    Args:
        road: The map.
        route: Group numbers of the logged route's blocks, in driving order.
        state: The car now (no batch axes).
        blocks: Those of the map, where they are known.
    """
    blocks = blocks or blocks_of(road)
    going = [int(group) for group in route]
    start, candidates = _block_here(road, blocks, going, state)
    if start not in going:
        going = _onto_route(blocks, going, start, candidates)
    return np.array(_without_circles(road, blocks, _without_gaps(blocks, going)), dtype=np.int64)


def route_lanes(road: RoadMap, route: Int[Array, " c"], *, blocks: Blocks | None = None) -> Int[Array, " r"]:
    """Lanes and connectors of a route of blocks, block by block."""
    lanes = (blocks or blocks_of(road)).lanes
    return np.array([lane for group in route for lane in lanes[int(group)]], dtype=np.int64)


def lane_sequence(
    road: RoadMap, route: Int[Array, " c"], state: CarState, *, vehicle: EgoVehicle, blocks: Blocks | None = None
) -> Int[Array, " n"]:
    """Lanes that PDM-Closed drives along: the shortest way on the route from where the car is.

    Args:
        road: The map.
        route: Group numbers of the corrected route's blocks.
        state: The car now (no batch axes).
        vehicle: Its dimensions.
        blocks: Those of the map, where they are known.
    """
    allowed = [int(lane) for lane in route_lanes(road, route, blocks=blocks)]
    start = start_lane(road, allowed, state, vehicle=vehicle)
    here = int(np.argmax(route == road.group[start]))
    return np.array(_shortest(road, start, set(allowed), int(route[here : here + WINDOW][-1])), dtype=np.int64)


def joined_centre_line(road: RoadMap, lanes: Int[Array, " n"]) -> Float[Array, "m 2"]:
    """Centre lines one after the other, each with all of its vertices."""
    return np.concatenate([road.centre_line(int(lane)) for lane in lanes])


def start_lane(road: RoadMap, lanes: list[int], state: CarState, *, vehicle: EgoVehicle) -> int:
    """The lane that the car is in: the best aligned one below the rear axle, else the nearest one."""
    point = shapely.Point(state.xy)
    near = _boxes_reach(road, np.array(lanes, dtype=np.int64), state.xy, 0.0)
    below = [
        lane for lane, at in zip(lanes, near, strict=True) if at and shapely.intersects(_polygon(road, lane), point)
    ]
    if below:
        return min(below, key=lambda lane: _error(road, lane, state)[0])
    centre, box = shapely.Point(state.centre_xy(vehicle)), ego_polygon(state.xy, state.yaw, vehicle=vehicle)
    nearest, least = lanes[0], np.inf
    for lane in lanes:
        polygon = _polygon(road, lane)
        if shapely.contains(polygon, centre):
            return lane
        distance = float(shapely.distance(polygon, box))
        if distance < least:
            nearest, least = lane, distance
    return nearest


def _boxes_reach(road: RoadMap, elements: Int[Array, " n"], xy: Float[Array, "2"], within: float) -> Bool[Array, " n"]:
    """Which polygons' bounding boxes come within so many metres of a point, along x and along y."""
    bounds = ring_bounds(road.xy, road.start)[elements]
    return np.all((bounds[:, :2] <= xy + within) & (bounds[:, 2:] >= xy - within), axis=1)


def _polygon(road: RoadMap, element: int) -> shapely.Polygon:
    return shapely.Polygon(road.ring(element))


def _error(road: RoadMap, lane: int, state: CarState) -> tuple[float, float]:
    """Angle to the nearest vertex's heading, and distance from that vertex."""
    line = road.centre_line(lane)
    distance = np.hypot(*(line - state.xy).T)
    nearest = int(np.argmin(distance))
    angle = wrap(headings_of(line)[nearest : nearest + 1] - float(state.yaw))[0]
    return abs(float(angle)), float(distance[nearest])


def _block_here(road: RoadMap, blocks: Blocks, route: list[int], state: CarState) -> tuple[int, list[int]]:
    """The block that holds the car, and all that might (`get_current_roadblock_candidates`)."""
    square = shapely.box(*(state.xy - NEAR_BOX), *(state.xy + NEAR_BOX))
    element = np.array([*blocks.element.values()], dtype=np.int64)
    close = _boxes_reach(road, element, state.xy, NEAR_BOX)
    near = [group for group, at in zip(blocks.element, close, strict=True) if at]
    near = [group for group in near if shapely.intersects(_polygon(road, blocks.element[group]), square)]
    if not near:
        point = shapely.Point(state.xy)
        for kind in (RoadKind.ROAD_BLOCK, RoadKind.ROAD_BLOCK_CONNECTOR):
            of_kind = [group for group, element in blocks.element.items() if road.kind[element] == kind]
            polygons = {group: _polygon(road, blocks.element[group]) for group in of_kind}
            near += sorted(of_kind, key=lambda group: float(shapely.distance(polygons[group], point)))[:1]
    near.sort(key=lambda group: (road.kind[blocks.element[group]], blocks.element[group]))
    on, off, nearest = [], [], []
    for group in near:
        errors = [_error(road, lane, state) for lane in blocks.lanes[group]]
        held = [(offset, group) for angle, offset in errors if angle < MAX_ANGLE and offset < MAX_OFFSET]
        (on if group in route else off).extend(held)
        nearest.append((min((offset for _, offset in errors), default=np.inf), group))
    held = on or off or nearest
    best = min(range(len(held)), key=lambda i: held[i][0])
    return held[best][1], [group for _, group in held]


def _onto_route(blocks: Blocks, route: list[int], start: int, candidates: list[int]) -> list[int]:
    """The route with a way from the car's block to it."""
    way = _search(blocks.preceding, route[0], set(candidates), BACKWARD_DEPTH)
    if way:
        return way[::-1][:-1] + route
    way = _search(blocks.following, start, set(route[:FIRST_BLOCKS]), FORWARD_DEPTH)
    return way + route[route.index(way[-1]) + 1 :] if way else route


def _without_gaps(blocks: Blocks, route: list[int]) -> list[int]:
    """The route with the missing blocks between two that are not connected."""
    mended = route[:1]
    for before, after in pairwise(route):
        if before not in blocks.preceding[after]:
            mended += _search(blocks.following, before, {after}, FORWARD_DEPTH)[1:-1]
        mended.append(after)
    return mended


def _without_circles(road: RoadMap, blocks: Blocks, route: list[int]) -> list[int]:
    """The route up to the first connector that overlaps an earlier one (`remove_route_loops`).

    QUIRK: a route whose very first block closes a circle would not be cut; it cannot, being first.
    """
    passed: list[shapely.Polygon] = []
    for i, group in enumerate(route):
        element = blocks.element[group]
        if road.kind[element] != RoadKind.ROAD_BLOCK_CONNECTOR:
            continue
        polygon = _polygon(road, element)
        if any(shapely.intersection(polygon, before).area > LOOP_OVERLAP for before in passed):
            return route[:i]
        passed.append(polygon)
    return route


def _search(edges: dict[int, list[int]], start: int, targets: set[int], depth: int) -> list[int]:
    """Breadth-first from a block to the first of several; empty where none is within `depth` blocks.

    The reference never marks a block as visited; of several ways of the same length the one by the predecessor that
    it looked at last wins. Kept here by two orders of each level: first and last appearance.
    """
    first, last = [start], [start]
    parents: list[dict[int, int]] = []
    for _ in range(depth):
        for block in first:
            if block in targets:
                way = [block]
                for parent in reversed(parents):
                    way.append(parent[way[-1]])
                return way[::-1]
        parents.append({after: block for block in last for after in edges[block]})
        first = list(dict.fromkeys(after for block in first for after in edges[block]))
        last = list(dict.fromkeys(after for block in reversed(last) for after in reversed(edges[block])))[::-1]
    return []


def _shortest(road: RoadMap, start: int, allowed: set[int], goal: int) -> list[int]:
    """Dijkstra over lanes to any lane of the block `goal`; else to the deepest, then cheapest lane that was reached."""
    cost, depth, parent = {start: 1.0}, {start: 1}, {start: -1}
    queue, expanded = [start], []
    end = -1
    while queue:
        lane = min(queue, key=lambda one: cost[one])
        queue.remove(lane)
        if road.group[lane] == goal:
            end = lane
            break
        expanded.append(lane)
        for after in (int(one) for one in road.successors(lane)):
            if after not in allowed or after in expanded:
                continue
            reached = cost[lane] + stations_of(road.centre_line(after))[-1]
            if after not in queue:
                queue.append(after)
            elif reached >= cost[after]:
                continue
            cost[after], depth[after], parent[after] = reached, depth[lane] + 1, lane
    if end < 0:
        end = min(expanded, key=lambda lane: (-depth[lane], cost[lane]))
    way = [end]
    while parent[way[-1]] >= 0:
        way.append(parent[way[-1]])
    return way[::-1]
