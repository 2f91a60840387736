"""Street furniture: lamps, trees along the pavement, signs, bins and benches, and traffic lights.

Everything that drivers must read stands where they look: lights on masts beyond the crossing and beside the stop
line, signs to the right, just before what they speak of.
"""

from dataclasses import dataclass, field

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.angles import direction
from simscale.town.kerbs import Side
from simscale.town.lots import trees_at
from simscale.town.map import CROSSWALK
from simscale.town.roads import LANE_WIDTH, Roads, arm_pose, half_width
from simscale.town.scenery import LightHeads, Poles, PropKind, Props, SignKind, Signs, Trees, no_rows
from simscale.town.zebras import DEPTH, Zebra

Array = np.ndarray

KERB_CLEARANCE = 0.45
"""From the kerb to whatever stands beside it, m."""
LAMP_SPACING, LAMP_HEIGHT, LAMP_ARM = 30.0, 7.0, 1.8
TREE_SPACING, TREE_OUT = 11.0, 2.6
"""m; trees stand this far beyond the kerb, their crowns above the pavement."""
CLEAR_OF_CROSSING = 14.0
"""No tree this near to the end of a street, m: it would hide the lights."""
TREE_LINED = 0.6
"""Share of the sides of streets that have trees."""
SIGN_HEIGHT = 2.3
"""Middle of a sign above the ground, m."""
HEAD_HEIGHT, SIDE_HEAD_HEIGHT = 1.5, 1.2
"""Of the boards of lights above the road and beside it, m."""
OVERHEAD, BESIDE = 5.7, 3.3
"""Middle of a light above the road and beside it, m."""


@dataclass
class Furniture:
    """Rows of several tables as they are collected."""

    poles: list[tuple] = field(default_factory=list)  # foot, top, radius
    signs: list[tuple] = field(default_factory=list)  # xyz, yaw, size, kind, seed
    heads: list[tuple] = field(default_factory=list)  # xyz, yaw, height, row
    props: list[tuple] = field(default_factory=list)  # xyz, yaw, size, kind, seed

    def pole(self, xy: Array, height: float, radius: float) -> None:
        """An upright bar."""
        self.bar((*xy, 0.0), (*xy, height), radius)

    def bar(self, foot: tuple, top: tuple, radius: float) -> None:
        """A bar from one point to another."""
        self.poles.append((foot, top, radius))

    def sign(self, xy: Array, yaw: float, kind: SignKind, *, seed: int = 0, size: float = 0.75) -> None:
        """A sign on its own post; `yaw` is where its front looks."""
        self.pole(xy, SIGN_HEIGHT + 0.45, 0.04)
        front = xy + 0.06 * direction(np.float64(yaw))
        self.signs.append(((*front, SIGN_HEIGHT), yaw, (size, size), int(kind), seed))

    def head(self, xy: Array, z: float, yaw: float, height: float, row: int) -> None:
        """A traffic light that shines along `yaw`."""
        self.heads.append(((*xy, z), yaw, height, row))

    def clear(self, paved: shapely.Geometry) -> None:
        """Takes away what would stand on a way into a car park."""

        def free(xyz: tuple) -> bool:
            return bool(shapely.distance(paved, shapely.Point(xyz[:2])) > KERB_CLEARANCE - 0.05)

        in_way = [row[0] for row in self.poles if row[0][2] == 0.0 and not free(row[0])]
        near = [np.hypot(*np.subtract(row[0][:2], foot[:2])) for row in self.poles for foot in in_way]
        gone = np.array(near).reshape(len(self.poles), -1).min(1, initial=np.inf) < LAMP_ARM
        self.poles = [row for row, out in zip(self.poles, gone, strict=True) if not out]
        self.signs = [row for row in self.signs if free(row[0])]
        self.props = [
            row for row in self.props if shapely.distance(paved, shapely.Point(row[0][:2])) > max(row[2][:2]) / 2
        ]

    def tables(self) -> tuple[Poles, Signs, LightHeads, Props]:
        """The rows as tables."""
        found = []
        for table, rows in ((Poles, self.poles), (Signs, self.signs), (LightHeads, self.heads), (Props, self.props)):
            if rows:
                names = [f.name for f in table.__dataclass_fields__.values()]
                columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
                found.append(table(**columns))
            else:
                found.append(no_rows(table))
        return tuple(found)


def add_lamps(furniture: Furniture, side: Side, phase: float) -> None:
    """Street lamps at even distances, their arms over the road."""
    at = np.arange(phase, side.length - 6.0, LAMP_SPACING)
    foot, yaw = side.at(at, KERB_CLEARANCE), side.heading(at)
    for xy, heading in zip(foot, yaw, strict=True):
        tip = xy + LAMP_ARM * direction(heading + np.pi / 2)
        furniture.pole(xy, LAMP_HEIGHT, 0.085)
        furniture.bar((*xy, LAMP_HEIGHT), (*tip, LAMP_HEIGHT + 0.25), 0.05)
        lamp = xy + (LAMP_ARM - 0.35) * direction(heading + np.pi / 2)
        furniture.bar((*lamp, LAMP_HEIGHT + 0.18), (*tip, LAMP_HEIGHT + 0.2), 0.12)


def add_small_things(rng: np.random.Generator, furniture: Furniture, side: Side) -> None:
    """Bins, benches, cabinets, a bus shelter, posters."""
    choices = (PropKind.BIN, PropKind.BENCH, PropKind.CABINET, PropKind.SHELTER, PropKind.BOLLARD)
    sizes = {0: (0.45, 0.45, 1.0), 1: (1.8, 0.5, 0.8), 2: (0.9, 0.4, 1.3), 3: (3.6, 1.2, 2.4), 4: (0.2, 0.2, 1.0)}
    for _ in range(int(side.length / 25.0)):
        at, which = rng.uniform(9.0, side.length - 9.0, 1), int(rng.choice(5, p=(0.35, 0.25, 0.2, 0.1, 0.1)))
        length, depth, height = sizes[which]
        out = KERB_CLEARANCE if which == 4 else max(2.95 - depth / 2, 2.45 + depth / 2)
        xy, yaw = side.at(at, out)[0], float(side.heading(at)[0])
        furniture.props.append(
            ((*xy, 0.12 + height / 2), yaw, (length, depth, height), int(choices[which]), int(rng.integers(1 << 31)))
        )


def street_trees(
    rng: np.random.Generator, sides: list[Side], taken: Float[Array, "n 2"], paved: shapely.Geometry
) -> Trees:
    """Rows of trees along some sides, away from what else stands there."""
    places = []
    for side in sides:
        if rng.random() < TREE_LINED:
            at = np.arange(CLEAR_OF_CROSSING, side.length - CLEAR_OF_CROSSING - 8.0, TREE_SPACING)
            at = at + rng.uniform(-2.0, 2.0, len(at))
            places.append(side.at(at[rng.random(len(at)) < 0.8], TREE_OUT))
    xy = np.concatenate([np.zeros((0, 2)), *places])
    apart = np.hypot(*(xy[:, None] - taken[None]).transpose(2, 0, 1)).min(1, initial=np.inf)
    off_road = shapely.distance(paved, shapely.points(xy)) > 1.5
    return trees_at(rng, xy[(apart > 1.6) & off_road])


def add_signs(furniture: Furniture, roads: Roads, side: Side) -> None:
    """Speed limit where a street begins, parking where bays begin, priority where it ends."""
    lane = side.lane
    limit = round(float(roads.speed_limit[lane]) * 3.6)
    _put(furniture, side, 9.0, SignKind.SPEED_LIMIT, seed=limit)
    begins = np.flatnonzero(np.diff(side.bay.astype(int)) == 1)
    for first in begins:
        _put(furniture, side, float(side.station[first]) - 1.0, SignKind.PARKING, size=0.6)
    crossing, approach = int(roads.crossing[lane]), int(roads.approach[lane])
    inside = (roads.crossing == crossing) & (roads.approach == approach) & (roads.before >= 0)
    if roads.layout.roundabout[crossing]:
        _put(furniture, side, side.length - 3.0, SignKind.ROUNDABOUT, size=0.8)
        _put(furniture, side, side.length - 1.2, SignKind.GIVE_WAY, size=0.9)
    elif not roads.layout.lights[crossing] and roads.rank[inside].min() >= 2:
        _put(furniture, side, side.length - float(roads.hold[lane]) - 0.5, SignKind.GIVE_WAY, size=0.9)


def add_zebra_signs(furniture: Furniture, side: Side, zebras: list[Zebra]) -> None:
    """To the right of those who come to a zebra."""
    for zebra in zebras:
        for lane, at in zebra.lanes:
            if lane == side.lane:
                _put(furniture, side, at - DEPTH / 2 - 0.6, SignKind.CROSSING)


def _put(furniture: Furniture, side: Side, at: float, kind: SignKind, *, seed: int = 0, size: float = 0.75) -> None:
    place = np.array([at])
    yaw = float(side.heading(place)[0] + np.pi)
    furniture.sign(side.at(place, KERB_CLEARANCE)[0], yaw, kind, seed=seed, size=size)


def add_lights(furniture: Furniture, roads: Roads, paved: shapely.Geometry) -> None:
    """For each approach with a light: a mast beside the stop line, and one beyond the crossing."""
    lit = np.flatnonzero((roads.before >= 0) & (roads.layout.lights[roads.crossing] > 0))
    for crossing in np.flatnonzero(roads.layout.lights):
        for arm in np.flatnonzero(roads.layout.arm_street[crossing] >= 0):
            mine = (roads.crossing[lit] == crossing) & (roads.approach[lit] == arm)
            straightest = np.flatnonzero(mine)[np.argmin(np.abs(roads.turn[lit[mine]]))]
            _near_mast(furniture, roads, int(crossing), int(arm), int(straightest))
            _far_mast(furniture, roads, paved, int(crossing), int(arm), int(straightest))


def _near_mast(furniture: Furniture, roads: Roads, crossing: int, arm: int, row: int) -> None:
    """To the right of the stop line: one head beside the road, one above it."""
    at, yaw = arm_pose(roads.layout, roads.reach, crossing, arm)
    lanes = int(roads.layout.lanes[roads.layout.arm_street[crossing, arm]])
    right = direction(np.float64(yaw + np.pi / 2))  # of those who come in
    xy = at + (CROSSWALK[1] + 0.5) * direction(np.float64(yaw)) + (half_width(lanes) + 0.5) * right
    furniture.pole(xy, OVERHEAD + 0.3, 0.1)
    furniture.head(xy + 0.2 * direction(np.float64(yaw)), BESIDE, yaw, SIDE_HEAD_HEIGHT, row)
    _arm_with_head(furniture, xy, -right, half_width(lanes) + 0.5 - LANE_WIDTH * (lanes - 0.5), yaw, row)


def _far_mast(furniture: Furniture, roads: Roads, paved: shapely.Geometry, crossing: int, arm: int, row: int) -> None:
    """Beyond the crossing, so that those who stand at the line see it: above the lane that leads on, or on a pole."""
    layout, opposite = roads.layout, (arm + 2) % 4
    yaw = float(layout.arm_yaw[crossing, arm])
    if layout.arm_street[crossing, opposite] >= 0:
        at, away = arm_pose(layout, roads.reach, crossing, opposite)
        lanes = int(layout.lanes[layout.arm_street[crossing, opposite]])
        right = direction(np.float64(away - np.pi / 2))  # of those who leave
        xy = at + (CROSSWALK[1] + 0.8) * direction(np.float64(away)) + (half_width(lanes) + 0.5) * right
        furniture.pole(xy, OVERHEAD + 0.3, 0.1)
        _arm_with_head(furniture, xy, -right, half_width(lanes) + 0.5 - 0.5 * LANE_WIDTH * lanes, yaw, row)
        return
    right = direction(np.float64(yaw + np.pi / 2))
    start = layout.xy[crossing] + 0.5 * LANE_WIDTH * right
    xy = _beyond(start, -direction(np.float64(yaw)), paved)
    furniture.pole(xy, 4.6, 0.1)
    furniture.head(xy + 0.2 * direction(np.float64(yaw)), 4.0, yaw, HEAD_HEIGHT, row)


def _arm_with_head(furniture: Furniture, xy: Array, towards: Array, reach: float, yaw: float, row: int) -> None:
    """A bar from the top of a mast to a head above the road."""
    tip = xy + reach * towards
    furniture.bar((*xy, OVERHEAD + 0.2), (*tip, OVERHEAD + 0.2), 0.06)
    furniture.head(tip + 0.16 * direction(np.float64(yaw)), OVERHEAD, yaw, HEAD_HEIGHT, row)


def _beyond(start: Array, ahead: Array, paved: shapely.Geometry) -> Array:
    """The first point on a ray that is off the road, and a little farther."""
    steps = start + np.arange(0.0, 40.0, 0.25)[:, None] * ahead
    on_road = shapely.contains_xy(paved, steps[:, 0], steps[:, 1])
    return steps[np.argmin(on_road)] + 0.8 * ahead
