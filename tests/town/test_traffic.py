import numpy as np
import pytest
import shapely

from simscale.geometry.angles import direction, wrap
from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import at_station, yaw_at_station
from simscale.scene import DT, LightState, TrackKind
from simscale.town import Town, TownSettings, town_of
from simscale.town.cars import LONG
from simscale.town.roads import LANE_WIDTH, SHOULDER


def boxes(town: Town, t: int):
    drivers, parked, walkers = town.drivers, town.parked, town.walkers
    centre = town.rear_axle_xy[:, t] + drivers.rear_axle_to_centre[:, None] * direction(town.yaw[:, t])
    moving = corners_of(centre, town.yaw[:, t], drivers.size[:, 0], drivers.size[:, 1])
    standing = corners_of(parked.xy, parked.yaw, parked.size[:, 0], parked.size[:, 1])
    walking = corners_of(walkers.xy[:, t], walkers.yaw[:, t], walkers.size[:, 0], walkers.size[:, 1])
    return shapely.polygons(np.concatenate([moving, standing, walking]))


def touching(town: Town, t: int) -> set:
    polygons = boxes(town, t)
    pairs = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    return {(int(a), int(b)) for a, b in pairs.T if a < b}


def assert_nobody_touches_anybody(town: Town):
    for t in range(town.flow.station.shape[1]):
        assert not touching(town, t), f"instant {t}"


def test_no_two_boxes_ever_overlap(town):
    assert_nobody_touches_anybody(town)


@pytest.mark.slow
def test_no_two_boxes_overlap_in_dense_traffic():
    assert_nobody_touches_anybody(town_of(20, settings=TownSettings(size=260.0, drives=20, cars_per_km=34.0)))


def test_an_overlap_would_be_seen(town):
    inside = town.rear_axle_xy.copy()
    inside[1, 50] = inside[0, 50]
    moved = Town(**{**town.__dict__, "rear_axle_xy": inside})
    assert touching(moved, 50)


def test_nobody_drives_backwards_or_brakes_in_panic(town):
    assert (np.diff(town.flow.station, axis=1) >= 0).all()
    acceleration = np.diff(town.flow.speed, axis=1) / DT
    assert acceleration.min() > -4.0
    assert acceleration.max() < 2.4


def test_most_cars_move_and_some_stand(town):
    standing = (town.flow.speed < 0.1).mean()
    assert 0.03 < standing < 0.4
    assert (np.ptp(town.flow.station, axis=1) > 30.0).mean() > 0.9


def test_speeds_keep_near_the_limit_and_slow_in_turns(town):
    roads = town.roads
    for i, trip in enumerate(town.trips):
        element = np.searchsorted(trip.begin, town.flow.station[i], side="right") - 1
        limit = roads.speed_limit[np.array(trip.elements)[element]]
        assert (town.flow.speed[i] < 1.3 * limit + 1.5).all()
    turning = np.abs(wrap(np.diff(town.yaw, axis=1))) / DT * town.flow.speed[:, 1:]
    assert turning.max() < 3.2


def test_cars_point_where_they_go(town):
    step = np.diff(town.rear_axle_xy, axis=1)
    far = np.hypot(step[..., 0], step[..., 1]) > 0.1
    course = np.arctan2(step[..., 1], step[..., 0])
    middle = town.yaw[:, :-1] + wrap(np.diff(town.yaw, axis=1)) / 2
    assert np.abs(wrap(course - middle))[far].max() < 0.01


def test_nobody_is_in_a_connector_whose_light_is_red(town):
    roads, flow = town.roads, town.flow
    for i, trip in enumerate(town.trips):
        for k, element in enumerate(trip.elements):
            if k % 2 == 0 or not roads.layout.lights[roads.crossing[element]]:
                continue
            front, rear = flow.station[i] + town.drivers.front[i], flow.station[i] - town.drivers.rear[i]
            inside = (front > trip.begin[k]) & (rear < trip.begin[k] + roads.length[element])
            light = flow.lights[4 * roads.crossing[element] + roads.approach[element]]
            assert not (inside & (light == LightState.RED)).any()


def test_drivers_differ(town):
    for habit in ("speed_share", "headway", "acceleration", "offset", "standing_gap"):
        assert np.ptp(getattr(town.drivers, habit)) > 0.1
    assert len(np.unique(town.drivers.size, axis=0)) >= 4


def test_vehicles_of_all_sizes_and_cyclists_get_about(town):
    drivers = town.drivers
    way = np.ptp(town.flow.station, axis=1)
    long, rides = drivers.size[:, 0] > LONG, drivers.kind == TrackKind.BICYCLE
    for some in (long, rides):
        assert some.sum() >= 3
        assert way[some].max() > 50.0
    assert town.flow.speed[rides].max() < 7.0


def test_long_vehicles_never_turn_right(town):
    for driver in np.flatnonzero(town.drivers.size[:, 0] > LONG):
        assert (town.roads.turn[list(town.trips[driver].elements)] >= 0).all()


def test_cyclists_ride_on_the_right_and_are_passed(town):
    riders = np.flatnonzero(town.drivers.kind == TrackKind.BICYCLE)
    cars = np.flatnonzero(town.drivers.kind == TrackKind.VEHICLE)
    passed = 0
    for rider in riders:
        trip, station = town.trips[rider], town.flow.station[rider]
        left = direction(yaw_at_station(trip.xy, station) + np.pi / 2)
        aside = ((town.rear_axle_xy[rider] - at_station(trip.xy, station)) * left).sum(-1)
        assert aside.max() < -1.0
        assert aside.min() > -LANE_WIDTH / 2 - SHOULDER
        ahead = (town.rear_axle_xy[cars] - town.rear_axle_xy[rider]) * direction(town.yaw[rider])
        near = np.hypot(*(town.rear_axle_xy[cars] - town.rear_axle_xy[rider]).transpose(2, 0, 1)) < 12.0
        same = np.cos(town.yaw[cars] - town.yaw[rider]) > 0.9
        along = np.where(near & same, ahead.sum(-1), np.nan)
        passed += int(((along[:, :-1] < 0) & (along[:, 1:] >= 0)).sum())
    assert passed > 0
