"""The town's road map: a polygon for everything that lanes, shoulders, crossings and parking places cover.

Elements 0 to m-1 of the map are the `Roads`' lanes and connectors under the same numbers, so that a lane of the
traffic is a lane of the map.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.angles import direction
from simscale.geometry.polygons import ragged, rings_without_holes
from simscale.scene import RoadKind, RoadMap
from simscale.town.curves import beside, headings_of
from simscale.town.parking import Bay
from simscale.town.roads import CROSSING_HOLD, LANE_WIDTH, SHOULDER, Roads, arm_pose, half_width
from simscale.town.zebras import Zebra

Array = np.ndarray

LAP = 0.5
"""Pavement of a street reaches this far into its crossings, m: a corner on a shared edge would lie in neither."""
CROSSWALK = (0.7, 3.7)
"""A pedestrian crossing lies between these distances from the end of a street, m."""
STOP_LINE_DEPTH = 0.4
"""m."""
TOLERANCE = 0.02
"""Vertices that move an outline by less are left out, m."""


@dataclass
class _Table:
    """Elements as they are collected."""

    id: list[str] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    ring: list[Array] = field(default_factory=list)
    line: list[Array] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    group: list[int] = field(default_factory=list)

    def add(self, id: str, kind: RoadKind, ring: Array, *, line: Array | None = None, limit=np.nan, group=-1) -> None:
        self.id.append(id)
        self.kind.append(int(kind))
        self.ring.append(ring)
        self.line.append(np.zeros((0, 2)) if line is None else line)
        self.limit.append(float(limit))
        self.group.append(int(group))


def road_map_of(roads: Roads, bays: list[Bay], zebras: list[Zebra]) -> RoadMap:
    """Draws the map of a town, in the town's own frame."""
    table = _Table()
    _add_lanes(table, roads)
    _add_connectors(table, roads)
    _add_blocks(table, roads)
    _add_streets(table, roads)
    _add_crossings(table, roads)
    for number, zebra in enumerate(zebras):
        table.add(f"zebra{number}", RoadKind.CROSSING, zebra.ring)
    for number, bay in enumerate(bays):
        table.add(f"bay{number}", RoadKind.CAR_PARK, _thinned(bay.ring))
    follows = [(roads.before[c], c) for c in range(roads.lanes, len(roads.line))]
    follows += [(c, roads.after[c]) for c in range(roads.lanes, len(roads.line))]
    limit = np.array(table.limit)
    xy, start = ragged(table.ring)
    centre_xy, centre_start = ragged(table.line)
    return RoadMap(
        id=tuple(table.id),
        kind=np.array(table.kind),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.nan_to_num(limit),
        has_speed_limit=np.isfinite(limit),
        next_lane=np.array(sorted(follows), dtype=np.int64),
        group=np.array(table.group),
    )


def with_car_parks(road: RoadMap, rings: list[Float[Array, "_ 2"]]) -> RoadMap:
    """The same map with car parks behind all other elements."""
    more, count = len(rings), len(road)
    xy, start = ragged(rings)
    return replace(
        road,
        id=(*road.id, *(f"car_park{number}" for number in range(more))),
        kind=np.concatenate([road.kind, np.full(more, int(RoadKind.CAR_PARK))]),
        xy=np.concatenate([road.xy, xy]),
        start=np.concatenate([road.start, road.start[-1] + start[1:]]),
        centre_start=np.concatenate([road.centre_start, np.full(more, road.centre_start[count])]),
        speed_limit=np.concatenate([road.speed_limit, np.zeros(more)]),
        has_speed_limit=np.concatenate([road.has_speed_limit, np.zeros(more, dtype=bool)]),
        group=np.concatenate([road.group, np.full(more, -1)]),
    )


def _add_lanes(table: _Table, roads: Roads) -> None:
    for lane in range(roads.lanes):
        line, index = roads.line[lane], roads.index[lane]
        name = f"{_block_name(roads, lane)}.lane{index}"
        group = 2 * roads.street[lane] + roads.backward[lane]
        ring = _strip(line, -LANE_WIDTH / 2, LANE_WIDTH / 2)
        table.add(name, RoadKind.LANE, ring, line=_thinned_line(line), limit=roads.speed_limit[lane], group=group)


def _block_name(roads: Roads, lane: int) -> str:
    return f"street{roads.street[lane]}.{'backward' if roads.backward[lane] else 'forward'}"


def _add_connectors(table: _Table, roads: Roads) -> None:
    for connector in range(roads.lanes, len(roads.line)):
        line = roads.line[connector]
        table.add(
            f"connector{connector - roads.lanes}",
            RoadKind.CONNECTOR,
            _strip(line, -LANE_WIDTH / 2, LANE_WIDTH / 2),
            line=_thinned_line(line),
            limit=roads.speed_limit[connector],
            group=_connector_group(roads, connector),
        )


def _connector_group(roads: Roads, connector: int) -> int:
    """One group for all connectors from one block to another."""
    arms = 4 * roads.approach[connector] + roads.leaves_by[connector]
    return 2 * len(roads.middle) + 16 * int(roads.crossing[connector]) + int(arms)


def _add_blocks(table: _Table, roads: Roads) -> None:
    for street in range(len(roads.middle)):
        for backward in (0, 1):
            lane = int(np.flatnonzero((roads.street == street) & (roads.backward == backward))[0])
            outer = LANE_WIDTH / 2 - roads.layout.lanes[street] * LANE_WIDTH
            ring = _strip(roads.line[lane], outer, LANE_WIDTH / 2)
            limit = roads.speed_limit[lane]
            table.add(_block_name(roads, lane), RoadKind.ROAD_BLOCK, ring, limit=limit, group=2 * street + backward)
    rings = {}
    for connector in range(roads.lanes, len(roads.line)):
        rings.setdefault(_connector_group(roads, connector), []).append(table.ring[connector])
    for group, parts in rings.items():
        ring = _outline(shapely.union_all([shapely.Polygon(part).buffer(0.01) for part in parts]))
        table.add(f"way{group}", RoadKind.ROAD_BLOCK_CONNECTOR, ring, group=group)


def _add_streets(table: _Table, roads: Roads) -> None:
    for street, middle in enumerate(roads.middle):
        yaw = headings_of(middle)
        ends = np.stack([middle[0] - LAP * direction(yaw[0]), middle[-1] + LAP * direction(yaw[-1])])
        line = np.concatenate([ends[:1], middle, ends[1:]])
        reach = half_width(int(roads.layout.lanes[street]))
        table.add(f"street{street}", RoadKind.DRIVABLE, _strip(line, -reach, reach))


def _add_crossings(table: _Table, roads: Roads) -> None:
    layout = roads.layout
    for crossing in range(len(layout.xy)):
        inside = np.flatnonzero((roads.crossing == crossing) & (roads.before >= 0))
        side = LANE_WIDTH / 2 + SHOULDER
        parts = [shapely.Polygon(_strip(roads.line[c], -side, side)).buffer(0) for c in inside]
        for arm in np.flatnonzero(layout.arm_street[crossing] >= 0):
            lanes = layout.lanes[layout.arm_street[crossing, arm]]
            at, yaw = arm_pose(layout, roads.reach, crossing, int(arm))
            wide = half_width(int(lanes))
            parts.append(shapely.Polygon(_band(at, yaw, -2.0, 0.0, -wide, wide)))
            if layout.lights[crossing]:
                name = f"crosswalk{crossing}.{arm}"
                table.add(name, RoadKind.CROSSING, _band(at, yaw, *CROSSWALK, -wide, wide))
            _add_stop_line(table, roads, crossing, int(arm))
        area = shapely.union_all(parts)
        if layout.roundabout[crossing]:  # around islands
            rings = [_thinned(ring) for ring in rings_without_holes(area.buffer(0.05, join_style="mitre"))]
            for part, ring in enumerate(ring for ring in rings if shapely.Polygon(ring).area > 1.0):
                table.add(f"crossing{crossing}.part{part}", RoadKind.INTERSECTION, ring)
        else:
            table.add(f"crossing{crossing}", RoadKind.INTERSECTION, _outline(area))


def _add_stop_line(table: _Table, roads: Roads, crossing: int, arm: int) -> None:
    """A line across the lanes that come in, where they have to wait: with lights, or off the main road."""
    inside = (roads.crossing == crossing) & (roads.approach == arm) & (roads.before >= 0)
    lights = roads.layout.lights[crossing]
    if not lights and not roads.layout.roundabout[crossing] and roads.rank[inside].min() < 2:
        return
    hold = CROSSING_HOLD if lights else float(roads.hold[roads.before[inside][0]])
    at, yaw = arm_pose(roads.layout, roads.reach, crossing, arm)
    wide = float(roads.layout.lanes[roads.layout.arm_street[crossing, arm]] * LANE_WIDTH)
    ring = _band(at, yaw, hold - STOP_LINE_DEPTH, hold, 0.0, wide)
    table.add(f"stop{crossing}.{arm}", RoadKind.STOP_LINE, ring)


def _band(at: Array, yaw: float, near: float, far: float, right: float, left: float) -> Array:
    """A rectangle on a street's end, in distances along and across a heading."""
    along, across = direction(np.float64(yaw)), direction(np.float64(yaw + np.pi / 2))
    corners = ((near, right), (far, right), (far, left), (near, left))
    return np.array([at + a * along + b * across for a, b in corners])


def _strip(line: Array, right: float, left: float) -> Array:
    """The ring between two parallels of a line."""
    yaw = headings_of(line)
    sides = (beside(line, yaw, right), beside(line, yaw, left)[::-1])
    return np.concatenate([_sparse(side) for side in sides])


def _outline(area: shapely.Geometry) -> Array:
    """The outer ring of the largest part of an area."""
    largest = max(shapely.get_parts(area), key=lambda part: part.area)
    return _thinned(shapely.get_coordinates(shapely.get_exterior_ring(largest))[:-1])


def _thinned(ring: Array) -> Array:
    return shapely.get_coordinates(shapely.simplify(shapely.Polygon(ring), TOLERANCE))[:-1]


def _thinned_line(line: Float[Array, "n 2"]) -> Float[Array, "_ 2"]:
    """Fewer points where the line is straight, never more than 5 m apart."""
    return shapely.get_coordinates(shapely.segmentize(shapely.LineString(_sparse(line, TOLERANCE / 4)), 5.0))


def _sparse(line: Array, tolerance: float = TOLERANCE) -> Array:
    return shapely.get_coordinates(shapely.simplify(shapely.LineString(line), tolerance))
