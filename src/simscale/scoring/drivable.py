"""Which polygons of a map the reference knows around a decision point, in its order (`PDMDrivableMap`)."""

import numpy as np
import shapely
from jaxtyping import Float, Int

from simscale.scene import RoadKind, RoadMap

Array = np.ndarray

RADIUS = 100.0
"""Half side of the square around the ego's centre that a polygon must reach into, m (`map_radius`)."""


def drivable_elements(road: RoadMap, centre_xy: Float[Array, "2"], *, radius: float = RADIUS) -> Int[Array, " n"]:
    """Elements near the ego: road blocks, their lanes, connectors of road block connectors, intersections, car parks.

    QUIRK: lanes come with their road blocks, so that one counts whose block alone reaches into the square.

    Args:
        road: The whole map.
        centre_xy: Centre of the ego, world frame, m.
        radius: Half side of the square, m.
    """
    square = shapely.box(*(centre_xy - radius), *(centre_xy + radius))

    def near(kind: RoadKind) -> list[int]:
        elements = [int(m) for m in road.of_kind(kind) if road.start[m + 1] - road.start[m] >= 3]
        return [m for m in elements if shapely.intersects(shapely.Polygon(road.ring(m)), square)]

    def within(blocks: list[int], kind: RoadKind) -> list[int]:
        lanes = road.of_kind(kind)
        return [int(lane) for block in blocks for lane in lanes[road.group[lanes] == road.group[block]]]

    blocks, connectors = near(RoadKind.ROAD_BLOCK), near(RoadKind.ROAD_BLOCK_CONNECTOR)
    lanes = within(blocks, RoadKind.LANE) + within(connectors, RoadKind.CONNECTOR)
    return np.array(blocks + lanes + near(RoadKind.INTERSECTION) + near(RoadKind.CAR_PARK), dtype=np.int64)
