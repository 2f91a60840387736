"""The reference's cut of the map: what reaches into the square, and lanes with their blocks."""

from pathlib import Path

import numpy as np
import pytest

from golden import SCENES, golden_scene
from simscale.scene import PACIFICA, RoadKind, RoadMap
from simscale.scoring.drivable import drivable_elements


@pytest.mark.shared
@pytest.mark.parametrize("number", range(SCENES))
def test_polygons_and_their_order_are_the_references(shared: Path, number: int):
    scene = golden_scene(shared, number)
    found = drivable_elements(scene.road, scene.ego.centre_xy(PACIFICA))
    assert [scene.road.id[m] for m in found] == [name for name, _ in scene.json["cache"]["drivable"]]


def squares(*elements: tuple[RoadKind, float, int]) -> RoadMap:
    """Squares of 2 m around (x, 0), each with its group."""
    ring = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    count = len(elements)
    return RoadMap(
        id=tuple(map(str, range(count))),
        kind=np.array([int(kind) for kind, _, _ in elements]),
        xy=np.concatenate([ring + np.array([x, 0.0]) for _, x, _ in elements]),
        start=4 * np.arange(count + 1),
        centre_xy=np.zeros((0, 2)),
        centre_start=np.zeros(count + 1, dtype=np.int64),
        speed_limit=np.zeros(count),
        has_speed_limit=np.zeros(count, dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.array([group for _, _, group in elements]),
    )


def test_a_lane_counts_by_its_block():
    near, far, edge = 0.0, 150.0, 101.0
    road = squares(
        (RoadKind.CAR_PARK, near, -1),
        (RoadKind.LANE, far, 4),
        (RoadKind.LANE, near, 5),
        (RoadKind.INTERSECTION, edge, -1),
        (RoadKind.ROAD_BLOCK, near, 4),
        (RoadKind.ROAD_BLOCK, far, 5),
        (RoadKind.ROAD_BLOCK_CONNECTOR, near, 6),
        (RoadKind.CONNECTOR, far, 6),
    )
    np.testing.assert_array_equal(drivable_elements(road, np.zeros(2)), [4, 1, 7, 3, 0])
