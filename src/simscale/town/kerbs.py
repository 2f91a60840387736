"""Kerbs: the two sides of every street, as lines from which everything beside the road is measured.

A side runs in the direction of the lanes beside it. `out` is the distance from the kerb away from the road, m: the
pavement is first, then the fronts of the buildings.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from simscale.geometry.angles import direction
from simscale.geometry.polylines import stations_of
from simscale.town.curves import beside, headings_of
from simscale.town.parking import BAY_DEPTH, Bay
from simscale.town.roads import LANE_WIDTH, SHOULDER, Roads

Array = np.ndarray

PAVEMENT_WIDTH = 3.0
"""From the kerb to the end of the pavement, m."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a street, a point every half metre of its outermost lane (`n` points)."""

    street: int
    lane: int  # the outermost
    station: Float[Array, " n"]  # on that lane, m
    xy: Float[Array, "n 2"]  # kerb, m
    yaw: Float[Array, " n"]  # the way the lane goes, rad
    bay: Bool[Array, " n"]  # where cars park: the kerb lies farther out
    straight_xy: Float[Array, "n 2"]  # kerb as it would be without bays, m

    @property
    def length(self) -> float:
        """From the first station to the last, m."""
        return float(self.station[-1])

    def at(self, station: Float[Array, " k"], out: Float[Array, " k"] | float) -> Float[Array, "k 2"]:
        """Points `out` beyond the kerb."""
        return self._beyond(self.xy, station, out)

    def beyond_bays(self, station: Float[Array, " k"], out: Float[Array, " k"] | float) -> Float[Array, "k 2"]:
        """Points `out` beyond where the kerb is farthest from the road, bay or not."""
        deepest = BAY_DEPTH - SHOULDER if self.bay.any() else 0.0
        return self._beyond(self.straight_xy, station, np.asarray(out) + deepest)

    def heading(self, station: Float[Array, " k"]) -> Float[Array, " k"]:
        """The way the lane goes, rad."""
        return np.interp(station, self.station, np.unwrap(self.yaw))

    def in_bay(self, station: Float[Array, " k"]) -> Bool[Array, " k"]:
        """Whether cars park there."""
        return np.interp(station, self.station, self.bay.astype(float)) > 0

    def _beyond(self, line: Array, station: Array, out: Array | float) -> Array:
        xy = np.stack([np.interp(station, self.station, line[:, axis]) for axis in (0, 1)], axis=-1)
        away = np.broadcast_to(np.asarray(out), np.shape(station))
        return xy + away[..., None] * direction(self.heading(station) - np.pi / 2)


def sides_of(roads: Roads, bays: list[Bay]) -> list[Side]:
    """Both sides of all streets, street by street, that of the forward lanes first."""
    last = roads.layout.lanes[roads.street[: roads.lanes]] - 1
    return [_side(roads, int(lane), bays) for lane in np.flatnonzero(roads.index[: roads.lanes] == last)]


def _side(roads: Roads, lane: int, bays: list[Bay]) -> Side:
    line = roads.line[lane]
    station, yaw = stations_of(line), headings_of(line)
    bay = np.zeros(len(line), dtype=bool)
    for one in (one for one in bays if one.lane == lane):
        bay |= (station >= one.begin) & (station <= one.end)
    return Side(
        street=int(roads.street[lane]),
        lane=lane,
        station=station,
        xy=beside(line, yaw, -np.where(bay, LANE_WIDTH / 2 + BAY_DEPTH, LANE_WIDTH / 2 + SHOULDER)),
        yaw=yaw,
        bay=bay,
        straight_xy=beside(line, yaw, -(LANE_WIDTH / 2 + SHOULDER)),
    )
