"""The route search: the reference's lanes and centre line in all golden scenes, and small maps that one can draw."""

from pathlib import Path

import numpy as np
import pytest

from golden import SCENES, golden_scene
from simscale.experts.route_search import corrected_route, lane_sequence, reference_route
from simscale.scene import PACIFICA, CarState, RoadKind, RoadMap

Array = np.ndarray


@pytest.mark.shared
@pytest.mark.parametrize("number", range(SCENES))
def test_lanes_and_centre_line_are_the_references(shared: Path, number: int):
    scene = golden_scene(shared, number)
    logged = scene.road.group[scene.elements(scene.json["route_roadblock_ids"])]
    route = reference_route(scene.road, logged, scene.ego, vehicle=PACIFICA)
    assert [scene.road.id[lane] for lane in route.lanes] == scene.json["cache"]["route_lane_ids"]
    np.testing.assert_allclose(route.centre_line, scene.centre_line, atol=1e-6)
    assert route.speed_limit == pytest.approx(scene.json["cache"]["pdm_target_velocities"][-1])


def chain(*edges: tuple[int, int], count: int) -> RoadMap:
    """Lane `i` runs from x = 20 i to 20 i + 20 in its own block, element `count + i`; edges as given."""
    ring = np.array([[0.0, -2.0], [20.0, -2.0], [20.0, 2.0], [0.0, 2.0]])
    rings = [ring + np.array([20.0 * i, 0.0]) for i in range(count)] * 2
    lines = [np.array([[20.0 * i + x, 0.0] for x in (0.0, 10.0, 20.0)]) for i in range(count)]
    return RoadMap(
        id=tuple(str(i) for i in range(2 * count)),
        kind=np.array([int(RoadKind.LANE)] * count + [int(RoadKind.ROAD_BLOCK)] * count),
        xy=np.concatenate(rings),
        start=np.arange(2 * count + 1) * 4,
        centre_xy=np.concatenate(lines),
        centre_start=np.concatenate([np.arange(count + 1) * 3, np.full(count, 3 * count)]),
        speed_limit=np.zeros(2 * count),
        has_speed_limit=np.zeros(2 * count, dtype=bool),
        next_lane=np.array(edges, dtype=np.int64).reshape(-1, 2),
        group=np.tile(np.arange(count), 2),
    )


def car_at(x: float) -> CarState:
    return CarState.unpacked(np.array([x, 0.0, 0.0, 5.0] + [0.0] * 7))


def test_fills_gaps_of_the_route():
    road = chain((0, 1), (1, 2), (2, 3), count=4)
    np.testing.assert_array_equal(corrected_route(road, np.array([0, 3]), car_at(5.0)), [0, 1, 2, 3])


def test_a_route_that_starts_ahead_is_reached_from_the_car():
    road = chain((0, 1), (1, 2), (2, 3), count=4)
    np.testing.assert_array_equal(corrected_route(road, np.array([2, 3]), car_at(5.0)), [0, 1, 2, 3])


def test_a_route_that_cannot_be_reached_stays():
    road = chain((1, 2), count=3)
    np.testing.assert_array_equal(corrected_route(road, np.array([1, 2]), car_at(5.0)), [1, 2])


def test_takes_the_shorter_of_two_ways():
    road = chain((0, 1), (1, 2), (2, 3), (0, 3), count=4)
    lanes = lane_sequence(road, np.array([0, 1, 2, 3]), car_at(5.0), vehicle=PACIFICA)
    np.testing.assert_array_equal(lanes, [0, 3])


def test_goes_as_deep_as_it_can_where_the_end_is_out_of_reach():
    road = chain((0, 1), (1, 2), count=4)
    lanes = lane_sequence(road, np.array([0, 1, 2, 3]), car_at(5.0), vehicle=PACIFICA)
    np.testing.assert_array_equal(lanes, [0, 1, 2])


def test_starts_in_the_lane_below_the_rear_axle():
    road = chain((0, 1), (1, 2), count=3)
    lanes = lane_sequence(road, np.array([0, 1, 2]), car_at(25.0), vehicle=PACIFICA)
    np.testing.assert_array_equal(lanes, [1, 2])
