import numpy as np
import shapely

from simscale.scene import RoadKind
from simscale.scene.routing import matched_lanes
from simscale.town.roads import LANE_WIDTH, SHOULDER


def polygons(road, *kinds):
    return [shapely.Polygon(road.ring(int(element))) for element in road.of_kind(*kinds)]


def test_every_polygon_is_simple_and_has_an_area(town):
    for element in range(len(town.road)):
        polygon = shapely.Polygon(town.road.ring(element))
        assert polygon.is_valid, town.road.id[element]
        assert polygon.area > 1.0


def test_pavement_holds_all_lanes_and_a_shoulder_beside_them(town):
    pavement = shapely.union_all(polygons(town.road, RoadKind.DRIVABLE, RoadKind.INTERSECTION, RoadKind.CAR_PARK))
    for kind in (RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.ROAD_BLOCK, RoadKind.CROSSING, RoadKind.STOP_LINE):
        for element in town.road.of_kind(kind):
            assert pavement.buffer(0.05).contains(shapely.Polygon(town.road.ring(int(element)))), kind
    for lane in town.road.of_kind(RoadKind.LANE):
        outside = shapely.LineString(town.road.centre_line(int(lane))).buffer(
            LANE_WIDTH / 2 + SHOULDER - 0.1, cap_style="flat"
        )
        assert outside.difference(pavement).area < 0.5


def test_elements_of_the_map_are_the_lanes_of_the_traffic(town):
    roads, road = town.roads, town.road
    for element, line in enumerate(roads.line):
        expected = RoadKind.LANE if element < roads.lanes else RoadKind.CONNECTOR
        assert road.kind[element] == expected
        assert shapely.hausdorff_distance(shapely.LineString(line), shapely.LineString(road.centre_line(element))) < 0.5
        assert road.has_speed_limit[element]
    follows = {(int(a), int(b)) for a, b in road.next_lane}
    assert follows == {(int(roads.before[c]), c) for c in range(roads.lanes, len(roads.line))} | {
        (c, int(roads.after[c])) for c in range(roads.lanes, len(roads.line))
    }


def test_oncoming_lanes_are_in_other_groups_and_lanes_of_a_direction_in_one(town):
    road, roads = town.road, town.roads
    key = np.stack([roads.street, roads.backward], axis=1)[: roads.lanes]
    for a in range(roads.lanes):
        same = (key == key[a]).all(1)
        np.testing.assert_array_equal(road.group[: roads.lanes] == road.group[a], same)
    connectors = set(road.group[roads.lanes : len(roads.line)])
    assert not connectors & set(road.group[: roads.lanes])
    blocks = {int(road.group[b]) for b in road.of_kind(RoadKind.ROAD_BLOCK, RoadKind.ROAD_BLOCK_CONNECTOR)}
    assert blocks == connectors | set(road.group[: roads.lanes])


def test_parked_cars_stand_on_pavement_and_off_all_lanes(town):
    from simscale.geometry.boxes import corners_of

    parked = town.parked
    boxes = shapely.polygons(corners_of(parked.xy, parked.yaw, parked.size[:, 0], parked.size[:, 1]))
    pavement = shapely.union_all(polygons(town.road, RoadKind.DRIVABLE, RoadKind.CAR_PARK))
    lanes = shapely.union_all(polygons(town.road, RoadKind.LANE, RoadKind.CONNECTOR))
    assert len(boxes) > 20
    assert shapely.contains(pavement.buffer(0.05), boxes).all()
    assert not shapely.intersects(lanes, boxes).any()


def test_a_stored_route_is_what_map_matching_finds(scenes):
    same = [np.array_equal(found := matched_lanes(s.road, s.ego.xy, s.ego.yaw), s.route[: len(found)]) for s in scenes]
    assert np.mean(same) >= 0.8
