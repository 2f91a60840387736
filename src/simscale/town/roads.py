"""Lanes of a town: what vehicles drive on, as centre lines and how they follow each other.

Lanes come first (street by street, forwards then backwards, from the middle of the road outwards), then connectors
(crossing by crossing). Traffic keeps to the right.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import stations_of
from simscale.town.curves import beside, headings_of, join
from simscale.town.layout import Layout
from simscale.town.roundabout import HOLD, REACH, round_line

Array = np.ndarray

LANE_WIDTH = 3.5
SHOULDER = 1.5
"""Paved width beyond the outermost lane, m: half of a small street is 5 m wide."""
CORNER_LEG = 14.0
"""From the corner of two lanes to the start of a right turn, m: turns get a radius of 8 to 14 m."""
CROSSING_HOLD, PLAIN_HOLD = 4.5, 3.5
"""From the stop line to the end of the lane, m, with and without a pedestrian crossing between them; without one,
because whoever turns right into the street swings wide."""


@dataclass(frozen=True, kw_only=True)
class Roads:
    """Lanes and connectors (`m` of them), with the streets' middle lines and the crossings' arms."""

    layout: Layout
    middle: tuple[Array, ...]  # middle line of each street, from its first end to its second, [n 2]
    reach: Float[Array, " j"]  # from the middle of a crossing to where its streets begin, m
    line: tuple[Array, ...]  # centre line of each lane and connector, [n 2]
    length: Float[Array, " m"]
    speed_limit: Float[Array, " m"]
    street: Int[Array, " m"]  # of a lane; -1 for connectors
    backward: Int[Array, " m"]  # 1 for lanes against the street's middle line
    index: Int[Array, " m"]  # of a lane, counted from the middle of the road; 0 for connectors
    crossing: Int[Array, " m"]  # of a connector: where it lies; of a lane: where it ends
    approach: Int[Array, " m"]  # arm by which a lane or connector comes to that crossing
    leaves_by: Int[Array, " m"]  # arm by which a connector leaves; -1 for lanes
    before: Int[Array, " m"]  # lane before a connector; -1 for lanes
    after: Int[Array, " m"]  # lane after a connector; -1 for lanes
    turn: Int[Array, " m"]  # 1 left, 0 straight on, -1 right; 0 for lanes
    rank: Int[Array, " m"]  # of a connector: who gives way, a higher number to a lower one
    hold: Float[Array, " m"]  # of a lane: from its stop line to its end, m

    @property
    def lanes(self) -> int:
        """Number of lanes, which are the first elements."""
        return int((self.street >= 0).sum())

    def connectors_from(self, lane: int) -> Int[Array, " n"]:
        """Connectors that a lane leads to."""
        return np.flatnonzero(self.before == lane)


def half_width(lanes: int) -> float:
    """From the middle of a street to the edge of its pavement, m."""
    return lanes * LANE_WIDTH + SHOULDER


def roads_of(layout: Layout) -> Roads:
    """Lays the lanes and connectors of a plan."""
    reach = _reach(layout)
    middle = tuple(_middle_line(layout, reach, street) for street in range(len(layout.ends)))
    rows = _lane_rows(layout, middle)
    lanes = len(rows)
    rows += [row for crossing in range(len(layout.xy)) for row in _connector_rows(layout, rows[:lanes], crossing)]

    def column(name: str, missing: float | int = -1) -> Array:
        return np.array([row.get(name, missing) for row in rows])

    line = tuple(row["line"] for row in rows)
    return Roads(
        layout=layout,
        middle=middle,
        reach=reach,
        line=line,
        length=np.array([stations_of(xy)[-1] for xy in line]),
        speed_limit=column("speed_limit").astype(float),
        street=column("street"),
        backward=column("backward", 0),
        index=column("index", 0),
        crossing=column("crossing"),
        approach=column("approach"),
        leaves_by=column("leaves_by"),
        before=column("before"),
        after=column("after"),
        turn=column("turn", 0),
        rank=column("rank", 0),
        hold=column("hold", 0.0).astype(float),
    )


def _reach(layout: Layout) -> Array:
    widest = np.where(layout.arm_street >= 0, layout.lanes[layout.arm_street], 0).max(1)
    return np.where(layout.roundabout > 0, REACH, CORNER_LEG + (widest - 0.5) * LANE_WIDTH)


def arm_pose(layout: Layout, reach: Float[Array, " j"], crossing: int, arm: int) -> tuple[Array, float]:
    """Where a street begins at a crossing: the middle of the road, and the heading away from the crossing."""
    yaw = float(layout.arm_yaw[crossing, arm])
    return layout.xy[crossing] + reach[crossing] * direction(np.float64(yaw)), yaw


def _middle_line(layout: Layout, reach: Array, street: int) -> Array:
    (a, arm), (b, back) = layout.ends[street].tolist()
    start, start_yaw = arm_pose(layout, reach, a, arm)
    end, away_yaw = arm_pose(layout, reach, b, back)
    bulge = float(layout.bulge[street] * np.hypot(*(end - start)))
    leg = float(layout.longest_leg[street])
    return join(start, start_yaw, end, float(wrap(np.float64(away_yaw + np.pi))), longest_leg=leg, bulge=bulge)


def _lane_rows(layout: Layout, middle: tuple[Array, ...]) -> list[dict]:
    """One row a lane; a lane's line is its street's middle line shifted to the right of the way it goes."""
    rows = []
    for street, line in enumerate(middle):
        for backward in (0, 1):
            crossing, approach = layout.ends[street, 1 - backward]
            from_crossing, from_arm = layout.ends[street, backward]
            way = line[::-1] if backward else line
            start_yaw = layout.arm_yaw[from_crossing, from_arm]
            end_yaw = layout.arm_yaw[crossing, approach] + np.pi
            yaw = headings_of(way, start_yaw=float(start_yaw), end_yaw=float(end_yaw))
            for index in range(layout.lanes[street]):
                rows.append(
                    {
                        "line": beside(way, yaw, -(index + 0.5) * LANE_WIDTH),
                        "street": street,
                        "backward": backward,
                        "index": index,
                        "crossing": crossing,
                        "approach": approach,
                        "from": (from_crossing, from_arm),
                        "speed_limit": layout.speed_limit[street],
                        "hold": _hold(layout, int(crossing)),
                    }
                )
    return rows


def _hold(layout: Layout, crossing: int) -> float:
    if layout.roundabout[crossing]:
        return HOLD
    return CROSSING_HOLD if layout.lights[crossing] else PLAIN_HOLD


def _connector_rows(layout: Layout, lanes: list[dict], crossing: int) -> list[dict]:
    arms = [int(arm) for arm in np.flatnonzero(layout.arm_street[crossing] >= 0)]
    coming = {
        arm: [i for i, x in enumerate(lanes) if x["crossing"] == crossing and x["approach"] == arm] for arm in arms
    }
    going = {arm: [i for i, x in enumerate(lanes) if x["from"] == (crossing, arm)] for arm in arms}
    main_road = _main_road(layout, crossing, arms)
    rows = []
    for arm in arms:
        for lane, target, leaves_by in _pairs(coming, going, arm):
            end_yaw = float(layout.arm_yaw[crossing, leaves_by])
            start_yaw = float(wrap(np.float64(layout.arm_yaw[crossing, arm] + np.pi)))
            turn = _turn_of(arm, leaves_by)
            start, end = lanes[lane]["line"][-1], lanes[target]["line"][0]
            if layout.roundabout[crossing]:
                line = round_line(layout.xy[crossing], start, start_yaw, end, end_yaw)
            else:
                line = join(start, start_yaw, end, end_yaw)
            rows.append(
                {
                    "line": line,
                    "crossing": crossing,
                    "approach": arm,
                    "leaves_by": leaves_by,
                    "before": lane,
                    "after": target,
                    "turn": turn,
                    "rank": 0 if layout.roundabout[crossing] else (arm not in main_road) * 2 + (turn == 1),
                    "speed_limit": min(lanes[lane]["speed_limit"], lanes[target]["speed_limit"]),
                }
            )
    return rows


def _turn_of(arm: int, leaves_by: int) -> int:
    """Left 1, straight on 0, right -1: arms are numbered counter-clockwise and a car comes in against its own."""
    return {1: -1, 2: 0, 3: 1}[(leaves_by - arm) % 4]


def _main_road(layout: Layout, crossing: int, arms: list[int]) -> tuple[int, int]:
    """The two opposite arms that have priority: the pair that is whole, then the one with more lanes, then faster."""

    def weight(axis: int) -> tuple:
        pair = [layout.arm_street[crossing, arm] for arm in (axis, axis + 2) if arm in arms]
        return len(pair), max(layout.lanes[pair], default=0), max(layout.speed_limit[pair], default=0.0)

    axis = max((0, 1), key=weight)
    return axis, axis + 2


def _pairs(coming: dict, going: dict, arm: int) -> list[tuple[int, int, int]]:
    """Which lane of an approach leads to which lane of which arm: left from the innermost, right from the outermost."""
    lanes, pairs = coming[arm], []
    for leaves_by, targets in going.items():
        if leaves_by == arm:
            continue
        turn = _turn_of(arm, leaves_by)
        if turn == 1:
            pairs.append((lanes[0], targets[0], leaves_by))
        elif turn == -1:
            pairs.append((lanes[-1], targets[-1], leaves_by))
        else:
            pairs += [(lane, target, leaves_by) for lane, target in zip(lanes, targets, strict=False)]
    served = {lane for lane, *_ in pairs}
    for lane in lanes:
        if lane not in served:  # an outer lane whose way on is narrower, where nothing is to the right
            pairs.append((lane, *_way_out(going, arm, lanes.index(lane))))
    return pairs


def _way_out(going: dict, arm: int, index: int) -> tuple[int, int]:
    leaves_by = min((a for a in going if a != arm), key=lambda a: abs(_turn_of(arm, a)))
    return going[leaves_by][min(index, len(going[leaves_by]) - 1)], leaves_by
