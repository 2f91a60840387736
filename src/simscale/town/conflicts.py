"""Which connectors of a crossing get in each other's way, and along which part of them.

A generous box is driven along every connector. Where it meets the area that the same box covers on another connector,
only one car may be.
"""

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.angles import direction
from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import stations_of
from simscale.town.cars import REAR_AXLE_SHARE
from simscale.town.curves import headings_of
from simscale.town.roads import Roads

Array = np.ndarray

BOX = (5.4, 2.3)
"""Length and width of the largest car, m."""
LONG_BOX = (10.4, 2.5)
"""Of the largest vehicle, which goes straight on or turns left, m."""
BOX_FRONT, BOX_REAR = (0.5 + REAR_AXLE_SHARE) * BOX[0], (0.5 - REAR_AXLE_SHARE) * BOX[0]
"""From the rear axle of the largest car to its bumpers, m."""
SPARE = 0.35
"""Kept free on each side of it, m: places in the lane differ by as much."""
STEP = 0.75
"""Between two positions of the box, m."""

Conflicts = dict[int, dict[int, tuple[float, float]]]
"""connector -> connector that it meets -> stations (rear axle) between which it does."""


def conflicts_of(roads: Roads) -> Conflicts:
    """Pairs of connectors whose areas meet; those that start in the same lane are among them."""
    conflicts: Conflicts = {connector: {} for connector in range(roads.lanes, len(roads.line))}
    for crossing in range(len(roads.layout.xy)):
        inside = [c for c in conflicts if roads.crossing[c] == crossing]
        swept = {c: _boxes_along(roads.line[c], BOX) for c in inside}
        wide = {c: _boxes_along(roads.line[c], LONG_BOX) if roads.turn[c] == 1 else swept[c] for c in inside}
        area = {c: shapely.union_all(boxes) for c, (_, boxes) in wide.items()}
        for b in inside:
            shapely.prepare(area[b])
            for a in (a for a in inside if a != b and area[a].intersects(area[b])):
                for station, boxes in (swept[a], wide[a]):
                    met = np.flatnonzero(shapely.intersects(boxes, area[b]))
                    if len(met):
                        conflicts[a][b] = (float(station[met[0]] - STEP), float(station[met[-1]] + STEP))
                        break
    return conflicts


def _boxes_along(line: Float[Array, "n 2"], box: tuple[float, float]) -> tuple[Array, Array]:
    """Boxes from the one whose bumper enters the connector to the one whose rear has left it."""
    centre = REAR_AXLE_SHARE * box[0]
    own, yaw = stations_of(line), np.unwrap(headings_of(line))
    station = np.arange(-(centre + box[0] / 2), own[-1] + box[0] / 2 - centre + STEP, STEP)
    held = np.clip(station, 0.0, own[-1])
    heading = np.interp(held, own, yaw)
    rear_axle = np.stack([np.interp(held, own, line[:, 0]), np.interp(held, own, line[:, 1])], axis=-1)
    rear_axle += (station - held)[:, None] * direction(heading)
    middle = rear_axle + centre * direction(heading)
    length, width = np.full(len(station), box[0]), np.full(len(station), box[1] + 2 * SPARE)
    return station, np.asarray(shapely.polygons(corners_of(middle, heading, length, width)))
