"""The road map as one table of elements, each with a polygon, a centre line, both, or (a stop line) either.

Elements are numbered 0 to m-1; every other field refers to them by that number. Rings and lines are ragged: one flat
array and `start [m+1]`; an element without a polygon or a centre line has an empty one.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray


class RoadKind(IntEnum):
    """What an element of the map is."""

    LANE = 0
    CONNECTOR = 1  # a lane inside an intersection
    INTERSECTION = 2
    CROSSING = 3
    CAR_PARK = 4
    WALKWAY = 5
    DRIVABLE = 6
    ROAD_BLOCK = 7  # all lanes of one direction between two junctions
    ROAD_BLOCK_CONNECTOR = 8
    STOP_LINE = 9
    BICYCLE_LANE = 10  # never a lane for cars; in a road block of lanes with its direction, it is not oncoming


@dataclass(frozen=True, kw_only=True)
class RoadMap:
    """A local vector map in the world frame of its scene."""

    id: tuple[str, ...]  # the source's own names, unique
    kind: Int[Array, " m"]  # RoadKind
    xy: Float[Array, "p 2"]  # rings of the polygons, open, m
    start: Int[Array, " m1"]  # m1 = m + 1
    centre_xy: Float[Array, "q 2"]  # centre lines in driving direction, m
    centre_start: Int[Array, " m1"]
    speed_limit: Float[Array, " m"]  # m/s
    has_speed_limit: Bool[Array, " m"]
    next_lane: Int[Array, "e 2"]  # (lane or connector, its successor)
    group: Int[Array, " m"]  # number of the road block that a lane, connector or block belongs to; -1 for all else

    def __len__(self) -> int:
        """Number of elements."""
        return len(self.kind)

    def ring(self, element: int) -> Float[Array, "_ 2"]:
        """Polygon of an element; empty where it has none."""
        return self.xy[self.start[element] : self.start[element + 1]]

    def centre_line(self, element: int) -> Float[Array, "_ 2"]:
        """Centre line of an element; empty where it has none."""
        return self.centre_xy[self.centre_start[element] : self.centre_start[element + 1]]

    def of_kind(self, *kinds: RoadKind) -> Int[Array, " n"]:
        """Numbers of the elements of these kinds, ascending."""
        return np.flatnonzero(np.isin(self.kind, [int(kind) for kind in kinds]))

    def successors(self, element: int) -> Int[Array, " n"]:
        """Lanes that follow a lane."""
        return self.next_lane[self.next_lane[:, 0] == element, 1]


class LightState(IntEnum):
    """What a traffic light shows."""

    UNKNOWN = 0
    GREEN = 1
    YELLOW = 2
    RED = 3


@dataclass(frozen=True, kw_only=True)
class Lights:
    """Traffic lights over time, each of which governs one connector (or lane) of the map."""

    element: Int[Array, " l"]  # number of the governed element
    state: Int[Array, "l t"]  # LightState
