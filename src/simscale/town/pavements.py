"""Where people walk: along both sides of every street, around its corners, and over pedestrian crossings.

A graph of places (the ends of crosswalks and zebras) and of ways between them. A person's path is a walk over it.
"""

from dataclasses import dataclass, field

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.polylines import resample
from simscale.scene import RoadKind, RoadMap
from simscale.town.kerbs import Side
from simscale.town.map import CROSSWALK
from simscale.town.roads import Roads
from simscale.town.zebras import Zebra

Array = np.ndarray

MIDDLE = 1.5
"""People walk about this line beyond the kerb, m."""
STEP = 0.25
"""Between the points of a way, m."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A piece of a walk, usable both ways."""

    places: tuple[int, int]
    line: Float[Array, "n 2"]  # from the first place to the second
    crosses: int  # number of the pedestrian crossing that it leads over; -1 for pavements


@dataclass
class Pavements:
    """Ways, and the crossings among them: each belongs to a crossing with lights or is a zebra."""

    ways: list[Way] = field(default_factory=list)
    at_place: dict[int, list[int]] = field(default_factory=dict)  # place -> ways
    lit_by: list[int] = field(default_factory=list)  # crossing of streets whose lights stop the cars; -1 for zebras
    zebra: list[int] = field(default_factory=list)  # number of the zebra; -1 for crosswalks with lights

    def add(self, a: int, b: int, line: Array, crosses: int = -1) -> None:
        """A way from place `a` to `b`."""
        for place in (a, b):
            self.at_place.setdefault(place, []).append(len(self.ways))
        self.ways.append(Way(places=(a, b), line=resample(line, spacing=STEP), crosses=crosses))


def pavements_of(roads: Roads, road: RoadMap, sides: list[Side], zebras: list[Zebra]) -> Pavements:
    """Lays the ways of a town."""
    pavements, layout = Pavements(), roads.layout
    middle = sum(CROSSWALK) / 2
    places: dict[tuple, tuple[int, Array]] = {}

    def place(key: tuple, xy: Array) -> int:
        places[key] = (len(places), xy)
        return places[key][0]

    for side in sides:
        start, end = _ends(roads, side)
        stops = [(middle, (*start, "leaves"))]
        stops += [
            (at, ("zebra", z, side.lane))
            for z, zebra in enumerate(zebras)
            for lane, at in zebra.lanes
            if lane == side.lane
        ]
        stops += [(side.length - middle, (*end, "arrives"))]
        numbers = [place(key, side.at(np.array([at]), MIDDLE)[0]) for at, key in stops]
        for (first, _), (last, _), a, b in zip(stops, stops[1:], numbers, numbers[1:], strict=False):
            pavements.add(a, b, side.at(np.arange(first, last, STEP), MIDDLE))
    for crossing in range(len(layout.xy)):
        arms = [int(arm) for arm in np.flatnonzero(layout.arm_street[crossing] >= 0)]
        walk = _around(roads, road, crossing)
        for arm, following in zip(arms, arms[1:] + arms[:1], strict=True):
            a, b = places[crossing, arm, "arrives"], places[crossing, following, "leaves"]
            pavements.add(a[0], b[0], _shorter_arc(walk, a[1], b[1]))
        if layout.lights[crossing]:
            for arm in arms:
                a, b = places[crossing, arm, "arrives"], places[crossing, arm, "leaves"]
                _add_crossing(pavements, a, b, lit_by=crossing, zebra=-1)
    for z, zebra in enumerate(zebras):
        a, b = (places["zebra", z, lane] for lane, _ in zebra.lanes)
        _add_crossing(pavements, a, b, lit_by=-1, zebra=z)
    return pavements


def _add_crossing(pavements: Pavements, a: tuple, b: tuple, *, lit_by: int, zebra: int) -> None:
    pavements.add(a[0], b[0], np.stack([a[1], b[1]]), crosses=len(pavements.lit_by))
    pavements.lit_by.append(lit_by)
    pavements.zebra.append(zebra)


def _ends(roads: Roads, side: Side) -> tuple[tuple[int, int], tuple[int, int]]:
    """Crossing and arm where the lane of a side begins and ends."""
    ends = roads.layout.ends[side.street]
    backward = int(roads.backward[side.lane])
    (c, arm), (d, back) = ends[backward].tolist(), ends[1 - backward].tolist()
    return (c, arm), (d, back)


def _around(roads: Roads, road: RoadMap, crossing: int) -> shapely.LinearRing:
    """The line on which people walk around a crossing and the beginnings of its streets."""
    streets = roads.layout.arm_street[crossing]
    names = [f"crossing{crossing}", *(f"street{street}" for street in streets[streets >= 0])]
    parts = [
        shapely.Polygon(road.ring(e))
        for e, name in enumerate(road.id)
        if name in names or name.startswith(f"{names[0]}.")
    ]
    near = shapely.Point(roads.layout.xy[crossing]).buffer(roads.reach[crossing] + 12.0)
    area = shapely.union_all(parts).buffer(MIDDLE, quad_segs=8).intersection(near)
    assert (road.kind[[road.id.index(name) for name in names[1:]]] == RoadKind.DRIVABLE).all()
    return shapely.get_exterior_ring(max(shapely.get_parts(area), key=lambda part: part.area))


def _shorter_arc(ring: shapely.LinearRing, start: Array, end: Array) -> Array:
    """The shorter way along a ring from near one point to near another."""
    a, b = (float(shapely.line_locate_point(ring, shapely.Point(xy))) for xy in (start, end))
    ahead = (b - a) % ring.length
    way = ahead if ahead <= ring.length / 2 else ahead - ring.length
    steps = a + np.linspace(0.0, way, max(int(abs(way) / STEP), 2))
    inner = shapely.get_coordinates(shapely.line_interpolate_point(ring, steps % ring.length))
    return np.concatenate([start[None], inner[1:-1], end[None]])
