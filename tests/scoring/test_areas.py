"""Areas and red lights against the plain sentences of the reference, spelled out with Shapely."""

import dataclasses

import numpy as np
import pytest
import shapely

from simscale.geometry.boxes import corners_of
from simscale.geometry.polygons import ragged
from simscale.scene import PACIFICA, CarState, Lights, LightState, RoadKind, RoadMap
from simscale.scoring import Surroundings, surroundings_of
from simscale.scoring.areas import ego_areas
from simscale.scoring.boxes import ego_boxes
from simscale.scoring.traffic_light import first_red_light

KINDS = (RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.INTERSECTION, RoadKind.DRIVABLE, RoadKind.BICYCLE_LANE)


def patchwork(rng: np.random.Generator) -> RoadMap:
    """Eighty overlapping blobs, concave ones too, of all kinds and ten road blocks."""
    rings = []
    for _ in range(80):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 14))
        reach = rng.uniform(6.0, 25.0) * rng.uniform(0.5, 1.0, 14)
        rings.append(rng.uniform(-50, 50, 2) + np.stack([reach * np.cos(angle), reach * np.sin(angle)], -1))
    xy, start = ragged(rings)
    kind = rng.choice([int(kind) for kind in KINDS], 80)
    lanes = np.isin(kind, (RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.BICYCLE_LANE))
    return RoadMap(
        id=tuple(map(str, range(80))),
        kind=kind,
        xy=xy,
        start=start,
        centre_xy=np.zeros((0, 2)),
        centre_start=np.zeros(81, dtype=np.int64),
        speed_limit=np.zeros(80),
        has_speed_limit=np.zeros(80, dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.where(lanes, rng.integers(0, 10, 80), -1),
    )


def around_of(road: RoadMap, lights: Lights, route: np.ndarray, radius: float = 100.0) -> Surroundings:
    return surroundings_of(
        road,
        lights,
        instants=np.arange(41),
        route=route,
        centre_line=np.array([[0.0, 0.0], [10.0, 0.0]]),
        around_xy=np.array([3.0, -2.0]),
        radius=radius,
    )


@pytest.fixture
def world() -> tuple[RoadMap, Lights, np.ndarray, CarState]:
    rng = np.random.default_rng(12)
    road = patchwork(rng)
    lanes = road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    state = rng.choice([int(LightState.GREEN), int(LightState.RED)], (len(lanes), 41), p=[0.8, 0.2])
    packed = np.zeros((40, 41, 11))
    packed[..., :2] = rng.uniform(-60, 60, (40, 41, 2))
    packed[..., 2] = rng.uniform(-4, 4, (40, 41))
    return road, Lights(element=lanes, state=state), lanes[:3], CarState.unpacked(packed)


def blob(road: RoadMap, element: int) -> shapely.Polygon:
    return shapely.Polygon(road.ring(element))


def on_way(road: RoadMap, route: np.ndarray) -> list[int]:
    kinds = (RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.BICYCLE_LANE)
    return [int(e) for e in road.of_kind(*kinds) if road.group[e] in road.group[route]]


def test_areas_are_what_the_reference_says(world):
    road, lights, route, ego = world
    around = around_of(road, lights, route)
    areas = ego_areas(ego_boxes(ego, vehicle=PACIFICA, origin_xy=around.origin_xy), around)
    centre, shape = ego.centre_xy(PACIFICA), ego.yaw.shape
    corner = corners_of(centre, ego.yaw, np.full(shape, PACIFICA.length), np.full(shape, PACIFICA.width))

    def held(elements: np.ndarray | list[int], points: np.ndarray) -> np.ndarray:
        return np.stack([shapely.contains_xy(blob(road, int(e)), points[..., 0], points[..., 1]) for e in elements])

    lane = held(road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR), corner)
    many = (lane.any(-1).sum(0) > 1) & ~lane.all(-1).any(0)
    off = ~held(road.of_kind(RoadKind.DRIVABLE, RoadKind.INTERSECTION), corner).any(0).all(-1)
    junctions = road.of_kind(RoadKind.INTERSECTION)
    assert 0.05 < many.mean() < 0.95 and 0.05 < off.mean() < 0.95
    np.testing.assert_array_equal(areas.multiple_lanes, many)
    np.testing.assert_array_equal(areas.non_drivable, off)
    np.testing.assert_array_equal(areas.oncoming, ~held(on_way(road, route), centre).any(0))
    np.testing.assert_array_equal(areas.in_intersection, held(junctions, centre).any(0))
    np.testing.assert_array_equal(areas.rear_in_intersection, held(junctions, ego.xy).any(0))


def test_red_lights_are_touched_as_polygons_are(world):
    road, lights, route, ego = world
    around = around_of(road, lights, route)
    found = first_red_light(ego_boxes(ego, vehicle=PACIFICA, origin_xy=around.origin_xy), around)
    size = np.full(ego.yaw.shape, PACIFICA.length), np.full(ego.yaw.shape, PACIFICA.width)
    boxes = shapely.polygons(corners_of(ego.centre_xy(PACIFICA), ego.yaw, *size))
    touched = np.zeros(ego.yaw.shape, dtype=bool)
    for row, element in enumerate(lights.element):
        if element in on_way(road, route):
            touched |= shapely.intersects(blob(road, int(element)), boxes) & (lights.state[row] == LightState.RED)
    first = np.where(touched.any(1), touched.argmax(1), -1)
    assert (first >= 0).sum() > 0
    np.testing.assert_array_equal(found, first)


def test_surroundings_are_those_within_the_square(world):
    road, lights, route, _ = world
    square = shapely.box(-17.0, -22.0, 23.0, 18.0)
    near = [e for e in range(len(road)) if shapely.box(*blob(road, e).bounds).intersects(square)]
    around = around_of(road, lights, route, radius=20.0)
    assert around.element.tolist() == near
    assert around.element[around.on_route].tolist() == [e for e in on_way(road, route) if e in near]


def test_a_map_without_elements_has_no_road(world):
    road, lights, _, ego = world
    nothing = np.zeros(0, dtype=np.int64)
    bare = dataclasses.replace(
        road,
        id=(),
        kind=nothing,
        xy=np.zeros((0, 2)),
        start=np.zeros(1, dtype=np.int64),
        centre_start=np.zeros(1, dtype=np.int64),
        speed_limit=np.zeros(0),
        has_speed_limit=np.zeros(0, dtype=bool),
        group=nothing,
    )
    dark = Lights(element=nothing, state=lights.state[:0])
    around = around_of(bare, dark, nothing)
    areas = ego_areas(ego_boxes(ego, vehicle=PACIFICA, origin_xy=around.origin_xy), around)
    assert areas.non_drivable.all() and areas.oncoming.all() and not areas.multiple_lanes.any()
