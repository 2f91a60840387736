import numpy as np
import pytest
import shapely

from simscale.geometry.boxes import corners_of
from simscale.scene import DT, LightState, RoadKind, TrackKind
from simscale.town import Town
from simscale.town.scenery import KERB


@pytest.fixture(scope="module")
def paved(town: Town):
    kinds = (RoadKind.DRIVABLE, RoadKind.INTERSECTION)
    return shapely.union_all([shapely.Polygon(town.road.ring(int(e))) for e in town.road.of_kind(*kinds)])


@pytest.fixture(scope="module")
def crossings(town: Town):
    return [shapely.Polygon(town.road.ring(int(e))) for e in town.road.of_kind(RoadKind.CROSSING)]


def test_people_walk_on_pavements_and_cross_at_crossings_only(town, paved, crossings):
    walkers = town.walkers
    points = shapely.points(walkers.xy)
    on_asphalt = shapely.contains(paved, points)
    assert not (on_asphalt & ~walkers.on_road).any()
    assert shapely.contains(shapely.union_all(crossings).buffer(0.6), points[on_asphalt]).all()
    assert shapely.distance(paved, points).max() < 4.5
    assert on_asphalt.any(1).sum() > 5


def test_people_walk_at_a_walking_pace_and_look_where_they_go(town):
    step = np.diff(town.walkers.xy, axis=1)
    speed = np.hypot(step[..., 0], step[..., 1]) / DT
    assert speed.max() < 2.6
    assert (speed > 0.5).mean() > 0.6
    ahead = (step * np.stack([np.cos(town.walkers.yaw), np.sin(town.walkers.yaw)], axis=-1)[:, :-1]).sum(-1)
    assert (ahead[speed > 0.5] > 0).mean() > 0.99


def test_cars_see_red_while_people_cross_at_lights(town):
    seen = 0
    for element in town.road.of_kind(RoadKind.CROSSING):
        name = town.road.id[element]
        if name.startswith("zebra"):
            continue
        crossing = int(name.removeprefix("crosswalk").split(".")[0])
        arms = np.flatnonzero(town.roads.layout.arm_street[crossing] >= 0)
        inside = shapely.contains(shapely.Polygon(town.road.ring(int(element))), shapely.points(town.walkers.xy)).any(0)
        red = (town.flow.lights[4 * crossing + arms] == LightState.RED).all(0)
        assert red[inside].all()
        seen += int(inside.any())
    assert seen > 2


def test_nobody_drives_over_a_crossing_with_somebody_on_it(town, crossings):
    """No moving vehicle touches a crossing while a person is on its asphalt."""
    drivers, walkers = town.drivers, town.walkers
    for t in range(0, town.flow.station.shape[1], 4):
        middle = town.rear_axle_xy[:, t] + drivers.rear_axle_to_centre[:, None] * np.stack(
            [np.cos(town.yaw[:, t]), np.sin(town.yaw[:, t])], axis=-1
        )
        boxes = shapely.polygons(corners_of(middle, town.yaw[:, t], drivers.size[:, 0], drivers.size[:, 1]))
        on = shapely.points(walkers.xy[walkers.on_road[:, t], t])
        for crossing in crossings:
            if shapely.contains(crossing, on).any():
                assert not shapely.intersects(crossing, boxes).any()


def test_scenes_show_people_a_kerb_above_the_road_and_cyclists(scenes):
    kinds = np.concatenate([scene.tracks.kind for scene in scenes])
    assert (kinds == TrackKind.PEDESTRIAN).sum() > 20
    assert (kinds == TrackKind.BICYCLE).sum() > 3
    for scene in scenes:
        people = scene.tracks.kind == TrackKind.PEDESTRIAN
        foot = scene.tracks.z[people] - scene.tracks.size[people, 2:] / 2
        assert np.isclose(foot, 0.0).sum() + np.isclose(foot, KERB).sum() == foot.size
