import dataclasses

import numpy as np
import pytest
import shapely

from simscale.geometry.angles import direction
from simscale.geometry.boxes import corners_of
from simscale.scene import RoadKind
from simscale.town import SMALL_TOWN, Town, scenery_of, town_of
from simscale.town.roads import LANE_WIDTH
from simscale.town.scenery import AreaKind, Scenery
from simscale.town.scenery_file import arrays_of, read_scenery, write_scenery


@pytest.fixture(scope="module")
def scenery(town: Town) -> Scenery:
    return scenery_of(town)


@pytest.fixture(scope="module")
def paved(town: Town):
    kinds = (RoadKind.DRIVABLE, RoadKind.INTERSECTION, RoadKind.CAR_PARK)
    return shapely.union_all([shapely.Polygon(town.road.ring(int(e))) for e in town.road.of_kind(*kinds)])


def footprints(table, xy):
    return shapely.polygons(corners_of(xy, table.yaw, table.size[:, 0], table.size[:, 1]))


def lines(scenery):
    table = scenery.lines
    return [shapely.LineString(table.xy[a:b]) for a, b in zip(table.start, table.start[1:], strict=False)]


def test_a_town_has_all_kinds_of_things(scenery):
    assert len(scenery.buildings.yaw) > 150
    assert len(scenery.trees.seed) > 150
    assert len(scenery.poles.radius) > 100
    assert len(set(scenery.buildings.facade)) == 6
    assert len(set(scenery.signs.kind)) >= 3
    assert (scenery.buildings.roof > 0).any()
    assert np.ptp(scenery.buildings.size[:, 2]) > 20.0


def test_buildings_stand_off_roads_and_pavements_and_apart(scenery, paved):
    shapes = footprints(scenery.buildings, scenery.buildings.xy)
    assert shapely.distance(paved, shapes).min() > 3.0
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (pairs[0] == pairs[1]).all()


def test_nothing_stands_on_the_road(scenery, paved):
    upright = scenery.poles.foot[scenery.poles.foot[:, 2] == 0.0, :2]
    for xy in (upright, scenery.trees.xy):
        assert shapely.distance(paved, shapely.points(xy)).min() > 0.2
    assert not shapely.intersects(paved, footprints(scenery.props, scenery.props.xyz[:, :2])).any()


def test_no_crown_hangs_over_a_lane(town, scenery):
    lanes = shapely.union_all([shapely.LineString(line).buffer(LANE_WIDTH / 2) for line in town.roads.line])
    room = shapely.distance(lanes, shapely.points(scenery.trees.xy)) - scenery.trees.crown_radius
    assert room.min() > 0.5


def test_edge_lines_lie_beside_the_lanes_and_separators_between_them(town, scenery):
    middles = shapely.union_all([shapely.LineString(line) for line in town.roads.line[: town.roads.lanes]])
    solid = [line for line, dash in zip(lines(scenery), scenery.lines.dash, strict=True) if dash == 0]
    dashed = [line for line, dash in zip(lines(scenery), scenery.lines.dash, strict=True) if dash > 0]
    for line in dashed:
        points = shapely.points(shapely.get_coordinates(shapely.segmentize(line, 2.0)))
        np.testing.assert_allclose(shapely.distance(middles, points), LANE_WIDTH / 2, atol=0.1)
    assert len(dashed) >= len(town.roads.middle)
    assert len(solid) > len(dashed)


def test_stripes_lie_in_their_crossings_and_stop_lines_before_them(town, scenery):
    kind, start, xy = scenery.areas.kind, scenery.areas.start, scenery.areas.xy
    paint = [shapely.Polygon(xy[start[i] : start[i + 1]]) for i in np.flatnonzero(kind == AreaKind.WHITE_PAINT)]
    zones = [shapely.Polygon(town.road.ring(int(e))) for e in town.road.of_kind(RoadKind.CROSSING, RoadKind.STOP_LINE)]
    everywhere = shapely.union_all(zones).buffer(0.01)
    assert len(paint) > 5 * len(town.road.of_kind(RoadKind.CROSSING))
    assert shapely.contains(everywhere, paint).all()


def test_every_light_of_a_scene_has_heads_that_shine_at_those_who_obey_it(town, scenes, scenery):
    heads, roads = scenery.light_heads, town.roads
    element = scenes[0].lights.element
    for scene in scenes:
        np.testing.assert_array_equal(scene.lights.element, element)
        assert scene.location == scenery.location
    approach = 4 * roads.crossing + roads.approach
    assert set(approach[element[heads.row]]) == set(approach[element])
    for xyz, yaw, row in zip(heads.xyz, heads.yaw, heads.row, strict=True):
        lane = int(roads.before[element[row]])
        stop = roads.line[lane][-1] - roads.hold[lane] * direction(np.float64(yaw + np.pi))
        ahead = (xyz[:2] - stop) @ direction(np.float64(yaw + np.pi))
        aside = (xyz[:2] - stop) @ direction(np.float64(yaw + np.pi / 2))
        assert -1.0 < ahead < 60.0
        assert abs(aside) < 12.0


@pytest.mark.slow
def test_the_same_streets_have_the_same_scenery_to_the_byte(tmp_path):
    first = scenery_of(town_of(5, settings=SMALL_TOWN))
    again = scenery_of(town_of(5, settings=dataclasses.replace(SMALL_TOWN, drives=1)))
    for name, array in arrays_of(first).items():
        assert array.tobytes() == arrays_of(again)[name].tobytes(), name
    assert read_scenery(write_scenery(first, tmp_path)).location == first.location
