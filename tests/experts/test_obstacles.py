"""What is in the way of a path, against Shapely's polygons."""

import numpy as np
import shapely
from one_road import boxes

from simscale.experts.obstacles import Margins, in_the_way, obstacles_of, stop_stations
from simscale.experts.paths import SPACING, Paths, Road
from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import stations_of

Array = np.ndarray
WIDTH = 2.0


def bend(radius: float = 40.0) -> Road:
    """A road that turns left on a circle."""
    angle = np.arange(0.0, 60.0, SPACING) / radius
    xy = radius * np.column_stack([np.sin(angle), 1 - np.cos(angle)])
    return Road(xy=xy, yaw=angle, curvature=np.full(len(angle), 1 / radius), offset=0.0)


def test_boxes_in_the_way_are_those_that_touch_the_corridor():
    road, rng = bend(), np.random.Generator(np.random.Philox(7))
    count = 300
    rows = np.column_stack([rng.uniform(0, 40, (count, 2)), rng.uniform(-3, 3, count), np.zeros(count)])
    tracks = boxes(*map(tuple, rows))
    line = shapely.LineString(road.xy)
    polygons = shapely.polygons(corners_of(tracks.xy[:, 0], tracks.yaw[:, 0], tracks.size[:, 0], tracks.size[:, 1]))
    inside, near = (
        shapely.intersects(polygons, line.buffer(WIDTH / 2 + grow, cap_style="flat")) for grow in (-0.2, 0.2)
    )
    obstacles = obstacles_of(road, tracks)
    blocked = in_the_way(
        obstacles, stations_of(road.xy), np.zeros(len(road.yaw)), Margins(WIDTH / 2, 0.0, 0.0, 0.0), SPACING
    )
    # Those that stay away from the road were left out: find the rows by their distance.
    kept = shapely.distance(polygons, line) < 8.0
    hit = np.zeros(count, dtype=bool)
    seen = np.flatnonzero(
        shapely.distance(shapely.points(tracks.xy[:, 0]), shapely.MultiPoint(road.xy)) <= 8.0 + np.hypot(4.5, 1.9) / 2
    )
    hit[seen] = np.isfinite(blocked[:, 0]).any(axis=1)
    assert inside.sum() > 20 and (~near).sum() > 20
    assert not np.any(inside & ~hit)
    assert not np.any(hit & ~near)
    assert not np.any(hit & ~kept)


def test_the_nearest_point_in_the_way_is_the_near_edge_of_the_box():
    x = np.arange(0.0, 60.0, SPACING)
    road = Road(xy=np.column_stack([x, 0 * x]), yaw=0 * x, curvature=0 * x, offset=0.0)
    obstacles = obstacles_of(road, boxes((30.0, 0.4, 0.0, 0.0)))
    blocked = in_the_way(obstacles, x, np.zeros(len(x)), Margins(WIDTH / 2, 0.0, 0.0, 0.0), SPACING)
    np.testing.assert_allclose(blocked.min(), 30.0 - 2.25, atol=1e-9)


def test_a_path_beside_an_object_is_free_and_the_road_is_not():
    x = np.arange(0.0, 60.0, SPACING)
    road = Road(xy=np.column_stack([x, 0 * x]), yaw=0 * x, curvature=0 * x, offset=0.0)
    obstacles = obstacles_of(road, boxes((30.0, -1.5, 0.0, 0.0)))
    margins = Margins(WIDTH / 2, 0.1, 0.2, 0.01)
    assert np.isfinite(in_the_way(obstacles, x, np.zeros(len(x)), margins, SPACING)).any()
    assert not np.isfinite(in_the_way(obstacles, x, np.full(len(x), 1.0), margins, SPACING)).any()


def test_stops_lie_just_before_the_red_lane():
    x = np.arange(0.0, 60.0, SPACING)
    ring = np.array([[30.3, -2.0], [45.0, -2.0], [45.0, 2.0], [30.3, 2.0]])
    paths = Paths(
        xy=np.stack([np.column_stack([x, 0 * x]), np.column_stack([x, 0 * x + 8.0])]),
        yaw=np.zeros((2, len(x))),
        station=np.stack([x, x]),
    )
    np.testing.assert_allclose(stop_stations(paths, [ring], width=WIDTH), [[30.0], [np.inf]])
    assert stop_stations(paths, [], width=WIDTH).shape == (2, 0)
