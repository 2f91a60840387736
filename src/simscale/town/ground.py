"""What is painted and laid on a town's ground: pavement, asphalt, bays, and the markings that tell drivers where to go.

Areas and stop lines come from the road map, lane markings from the lanes, so that what a camera sees is what the
scorer judges.
"""

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.angles import direction
from simscale.geometry.polygons import ragged
from simscale.geometry.polylines import stations_of
from simscale.scene import RoadKind, RoadMap
from simscale.town.car_parks import CarPark
from simscale.town.curves import beside, headings_of
from simscale.town.kerbs import PAVEMENT_WIDTH
from simscale.town.map import LAP
from simscale.town.roads import LANE_WIDTH, PLAIN_HOLD, Roads, arm_pose, half_width
from simscale.town.scenery import AreaKind, Areas, PaintColour, PaintLines
from simscale.town.zebras import DEPTH, Zebra

Array = np.ndarray

EDGE_WIDTH, SEPARATOR_WIDTH, DOUBLE_GAP = 0.15, 0.15, 0.22
"""Width of edge lines and of separators, and between the middles of a double line, m."""
PLACE_LINE = 0.1
"""Width of the lines between parking places, m."""
DASH, DASH_GAP = 3.0, 4.5
"""Of lines between lanes, m."""
STRIPE, STRIPE_GAP = 0.5, 0.5
"""Of pedestrian crossings, m."""
YIELD_DASH, YIELD_GAP = 0.6, 0.4
"""Of the broken line at which drivers give way, m."""
BEFORE_ZEBRA = 0.6
"""Lines along a street end so far before a zebra, m."""
ISLAND = 30.0
"""Gaps between connectors with a longer outline are islands with an edge line, m."""
CUT = 1.0
"""Edge lines around a corner end this near to the lines along the streets, m."""

Painted = list[tuple[Array, float, float, float]]
"""Lines as (polyline, width, dash, gap)."""


def paved_of(road: RoadMap) -> list[tuple[AreaKind, shapely.Polygon]]:
    """Everything that wheels can roll on: kind and outline."""
    kinds = {
        RoadKind.CAR_PARK: AreaKind.PAVING,
        RoadKind.DRIVABLE: AreaKind.ASPHALT,
        RoadKind.INTERSECTION: AreaKind.ASPHALT,
    }
    return [(kinds[RoadKind(road.kind[e])], shapely.Polygon(road.ring(int(e)))) for e in road.of_kind(*kinds)]


def areas_of(road: RoadMap, roads: Roads) -> Areas:
    """Pavement below, then bays, then asphalt, then the wide paint."""
    paved = paved_of(road)
    parts = [(AreaKind.PAVEMENT, _ring(polygon.buffer(PAVEMENT_WIDTH, quad_segs=4))) for _, polygon in paved]
    for kind in (AreaKind.PAVING, AreaKind.ASPHALT):
        parts += [(kind, _ring(polygon)) for which, polygon in paved if which == kind]
    parts += [
        (AreaKind.WHITE_PAINT, stripe)
        for e in road.of_kind(RoadKind.CROSSING)
        for stripe in _stripes(road.ring(int(e)))
    ]
    for element in road.of_kind(RoadKind.STOP_LINE):
        crossing = int(road.id[element].removeprefix("stop").split(".")[0])
        ring = road.ring(int(element))
        parts += [(AreaKind.WHITE_PAINT, r) for r in ([ring] if roads.layout.lights[crossing] else _teeth(ring))]
    xy, start = ragged([ring for _, ring in parts])
    return Areas(kind=np.array([int(kind) for kind, _ in parts]), xy=xy, start=start)


def lines_of(roads: Roads, zebras: list[Zebra], car_parks: list[CarPark]) -> PaintLines:
    """Lines along the streets, around the corners, and between the places of car parks."""
    painted: Painted = []
    for street in range(len(roads.middle)):
        painted += _street_lines(roads, street, [z.station for z in zebras if z.street == street])
    for crossing in range(len(roads.layout.xy)):
        painted += [(line, EDGE_WIDTH, 0.0, 0.0) for line in _corner_lines(roads, crossing)]
    painted += [(line, PLACE_LINE, 0.0, 0.0) for park in car_parks for line in park.dividers]
    xy, start = ragged([line for line, *_ in painted])
    width, dash, gap = np.array([row[1:] for row in painted], dtype=float).reshape(-1, 3).T
    colour = np.full(len(painted), int(PaintColour.WHITE))
    return PaintLines(xy=xy, start=start, width=width, dash=dash, gap=gap, colour=colour)


def _street_lines(roads: Roads, street: int, zebras: list[float]) -> Painted:
    lanes = int(roads.layout.lanes[street])
    middle = roads.middle[street]
    yaw, station = headings_of(middle), stations_of(middle)
    free = np.ones(len(station), dtype=bool)
    for at in zebras:
        free &= np.abs(station - at) > DEPTH / 2 + BEFORE_ZEBRA
    painted: Painted = []

    def paint(left: float, keep: Array, width: float, dash: float, gap: float) -> None:
        line = beside(middle, yaw, left)
        painted.extend((part, width, dash, gap) for part in _kept(line, keep & free))

    for side, backward in ((-1.0, 0), (1.0, 1)):
        lane = int(np.flatnonzero((roads.street == street) & (roads.backward == backward))[0])
        # lanes that come in end at their stop line; what is beyond it belongs to those who cross
        hold, at_start = float(roads.hold[lane]), bool(backward)
        keep = station >= hold if at_start else station <= station[-1] - hold
        paint(side * lanes * LANE_WIDTH, _clear_of_ends(roads, street, station, edge=True), EDGE_WIDTH, 0.0, 0.0)
        for k in range(1, lanes):
            paint(side * k * LANE_WIDTH, keep, SEPARATOR_WIDTH, DASH, DASH_GAP)
    keep = _clear_of_ends(roads, street, station)
    if lanes == 1:
        paint(0.0, keep, SEPARATOR_WIDTH, DASH, DASH_GAP)
    else:
        for side in (-0.5, 0.5):
            paint(side * DOUBLE_GAP, keep, SEPARATOR_WIDTH, 0.0, 0.0)
    return painted


def _clear_of_ends(roads: Roads, street: int, station: Array, *, edge: bool = False) -> Array:
    """Where a line that runs the length of a street is painted: up to the stop lines at both ends.

    Edge lines go on around the corner where nobody crosses on foot.
    """
    hold = [roads.hold[(roads.street == street) & (roads.backward == backward)][0] for backward in (1, 0)]
    hold = [CUT if edge and h == PLAIN_HOLD else h for h in hold]
    return (station >= hold[0]) & (station <= station[-1] - hold[1])


def _corner_lines(roads: Roads, crossing: int) -> list[Array]:
    """The outline of all connectors of a crossing, less its arms, and around a roundabout's island."""
    inside = np.flatnonzero((roads.crossing == crossing) & (roads.before >= 0))
    half = LANE_WIDTH / 2
    swept = [shapely.LineString(roads.line[c]).buffer(half, cap_style="flat", quad_segs=4) for c in inside]
    arms = [int(arm) for arm in np.flatnonzero(roads.layout.arm_street[crossing] >= 0)]
    doors = [_door(roads, crossing, arm, LAP + 0.1) for arm in arms]
    outline = shapely.union_all([*swept, *doors]).buffer(0.05).buffer(-0.05)
    whole = max(shapely.get_parts(outline), key=lambda part: part.area)
    ring, islands = shapely.get_exterior_ring(whole), [hole for hole in whole.interiors if hole.length > ISLAND]
    left = shapely.difference(ring, shapely.union_all([_door(roads, crossing, arm, CUT) for arm in arms]))
    merged = shapely.get_parts(shapely.line_merge(left)) if left.geom_type == "MultiLineString" else [left]
    lines = [shapely.get_coordinates(shapely.simplify(part, 0.02)) for part in merged if part.length > 2.0]
    return [line for line in lines if len(line) > 1] + [shapely.get_coordinates(hole) for hole in islands]


def _door(roads: Roads, crossing: int, arm: int, depth: float) -> shapely.Polygon:
    """A band across an arm, from `depth` inside the crossing to as far outside."""
    at, yaw = arm_pose(roads.layout, roads.reach, crossing, arm)
    wide = roads.layout.lanes[roads.layout.arm_street[crossing, arm]] * LANE_WIDTH
    reach = wide if depth < CUT else half_width(int(wide / LANE_WIDTH)) + 1.0
    ahead, left = direction(np.float64(yaw)), direction(np.float64(yaw + np.pi / 2))
    return shapely.Polygon([at + a * depth * ahead + b * reach * left for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def _stripes(ring: Float[Array, "4 2"]) -> list[Array]:
    """Stripes of a pedestrian crossing: along the street, side by side; the ring is near right, far right, far left."""
    near_right, far_right, _, near_left = ring
    across = near_left - near_right
    width = float(np.hypot(*across))
    across, along = across / width, far_right - near_right
    count = int((width - 0.6) / (STRIPE + STRIPE_GAP))
    first = (width - count * (STRIPE + STRIPE_GAP) + STRIPE_GAP) / 2
    starts = [near_right + (first + k * (STRIPE + STRIPE_GAP)) * across for k in range(count)]
    return [np.array([s, s + along, s + along + STRIPE * across, s + STRIPE * across]) for s in starts]


def _teeth(ring: Float[Array, "4 2"]) -> list[Array]:
    """The line at which drivers give way: broken."""
    near_right, far_right, _, near_left = ring
    across = near_left - near_right
    width = float(np.hypot(*across))
    across, along = across / width, far_right - near_right
    starts = [near_right + s * across for s in np.arange(0.2, width - YIELD_DASH, YIELD_DASH + YIELD_GAP)]
    return [np.array([s, s + along, s + along + YIELD_DASH * across, s + YIELD_DASH * across]) for s in starts]


def _kept(line: Array, keep: Array) -> list[Array]:
    """The pieces of a line that are painted."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(int)))
    pieces = [line[first:past] for first, past in edges.reshape(-1, 2) if past - first > 1]
    return [shapely.get_coordinates(shapely.simplify(shapely.LineString(piece), 0.01)) for piece in pieces]


def _ring(polygon: shapely.Polygon) -> Array:
    return shapely.get_coordinates(shapely.get_exterior_ring(shapely.simplify(polygon, 0.01)))[:-1]
