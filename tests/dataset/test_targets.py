import dataclasses
import json

import numpy as np
import pytest
import shapely

from simscale.dataset.raster import draw_line, fill_polygon
from simscale.dataset.targets import TARGETS, BevClass, agent_targets, bev_semantic_map
from simscale.geometry.polygons import ragged
from simscale.geometry.se2 import to_parent
from simscale.scene import CarState, RoadKind, RoadMap, TrackKind, Tracks
from worlds import straight_road, tracks_of

EVERYWHERE = dataclasses.replace(TARGETS, map_range=np.inf)
"""The golden map was made with a map that hands out all that it has, whatever the radius it is asked for."""


def ego_at(x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> CarState:
    return CarState.unpacked(np.array([x, y, yaw, *np.zeros(8)]))


def road_of(rings: list, lines: list, kinds: list) -> RoadMap:
    xy, start = ragged(rings)
    centre_xy, centre_start = ragged(lines)
    count = len(kinds)
    return RoadMap(
        id=tuple(map(str, range(count))),
        kind=np.array([int(kind) for kind in kinds], dtype=np.int64),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.zeros(count),
        has_speed_limit=np.zeros(count, dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.full(count, -1),
    )


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=np.float64)


def golden_world(shared) -> tuple[RoadMap, Tracks, CarState, dict]:
    numbers, said = (
        dict(np.load(shared / "golden/planners/builders.npz")),
        json.loads((shared / "golden/planners/builders_map.json").read_text()),
    )
    origin = np.array(said["ego_pose"][:2])
    kinds = {
        "LANE": RoadKind.LANE,
        "LANE_CONNECTOR": RoadKind.CONNECTOR,
        "WALKWAYS": RoadKind.WALKWAY,
        "INTERSECTION": RoadKind.INTERSECTION,
    }
    objects = said["objects"]
    road = road_of(
        [np.array(each["polygon"]) - origin for each in objects],
        [np.array(each["baseline"]) - origin for each in objects],
        [kinds[each["layer"]] for each in objects],
    )
    ego, boxes = ego_at(yaw=said["ego_pose"][2]), numbers["boxes"]
    xy, yaw = to_parent(boxes[:, :2], boxes[:, 6], frame_xy=ego.xy, frame_yaw=float(ego.yaw))
    tracks = dataclasses.replace(
        tracks_of([(*p, a, 0.0) for p, a in zip(xy, yaw, strict=True)], 1),
        size=boxes[:, 3:6],
        kind=np.array([int(TrackKind[name.upper()]) for name in numbers["names"]]),
    )
    return road, tracks, ego, numbers


@pytest.mark.shared
def test_agents_are_the_references(shared):
    _, tracks, ego, expected = golden_world(shared)
    states, labels = agent_targets(tracks, ego)
    np.testing.assert_allclose(states, expected["agent_states"], atol=1e-5)
    np.testing.assert_array_equal(labels, expected["agent_labels"])


@pytest.mark.shared
def test_the_map_is_the_references_to_the_last_cell(shared):
    road, tracks, ego, expected = golden_world(shared)
    found = bev_semantic_map(road, tracks, ego, config=EVERYWHERE)
    np.testing.assert_array_equal(found, expected["bev_semantic_map"])


def test_agents_are_vehicles_within_reach_nearest_first_and_padded():
    boxes = [(20.0, 0.0, 0.1, 0.0), (5.0, -3.0, 0.2, 0.0), (33.0, 0.0, 0.0, 0.0), (-8.0, 30.0, 0.3, 0.0), (1, 1, 0, 0)]
    tracks = tracks_of(boxes, 1)
    tracks.kind[4] = TrackKind.PEDESTRIAN
    states, labels = agent_targets(tracks, ego_at())
    assert labels.tolist() == [True] * 3 + [False] * 27
    np.testing.assert_allclose(states[:3, :3], [boxes[1][:3], boxes[0][:3], boxes[3][:3]], rtol=1e-6)
    assert (states[3:] == 0).all() and (states[:3, 3:] == np.float32([4.5, 1.8])).all()
    few, held = agent_targets(tracks, ego_at(), config=dataclasses.replace(TARGETS, agents=2))
    np.testing.assert_array_equal(few, states[:2])
    assert held.all()


def test_tracks_that_are_not_there_are_neither_agents_nor_painted():
    tracks = tracks_of([(10.0, 0.0, 0.0, 0.0)], 1)
    tracks.valid[:] = False
    tracks.xy[:] = np.nan
    assert not agent_targets(tracks, ego_at())[1].any()
    assert BevClass.VEHICLE not in bev_semantic_map(straight_road(), tracks, ego_at())


def test_moving_the_world_moves_nothing():
    tracks, road, pose = (
        tracks_of([(12.0, 3.5, 0.3, 0.0), (6.0, -4.0, 2.0, 0.0)], 1),
        straight_road(),
        ego_at(1.3, 0.4, 0.2),
    )
    turn, shift = 1.1, np.array([310.0, -120.0])

    def moved(xy, yaw):
        return to_parent(xy, yaw, frame_xy=shift, frame_yaw=turn)

    xy, yaw = moved(tracks.xy[:, 0], tracks.yaw[:, 0])
    elsewhere = dataclasses.replace(tracks, xy=xy[:, None], yaw=yaw[:, None])
    there = dataclasses.replace(
        road,
        xy=moved(road.xy, np.zeros(len(road.xy)))[0],
        centre_xy=moved(road.centre_xy, np.zeros(len(road.centre_xy)))[0],
    )
    ego_xy, ego_yaw = moved(pose.xy, pose.yaw)
    ego = ego_at(*ego_xy, float(ego_yaw))
    np.testing.assert_allclose(agent_targets(elsewhere, ego)[0], agent_targets(tracks, pose)[0], atol=1e-5)
    odd = bev_semantic_map(there, elsewhere, ego) != bev_semantic_map(road, tracks, pose)
    assert odd.mean() < 1e-3  # a corner may fall on either side of a cell's edge


def test_rows_count_forward_and_columns_to_the_left():
    tracks = tracks_of([(10.0, 20.0, 0.0, 0.0)], 1)
    painted = np.argwhere(bev_semantic_map(road_of([], [], []), tracks, ego_at()) == BevClass.VEHICLE)
    np.testing.assert_allclose(painted.mean(axis=0) * 0.25, [10.0, 32.0 + 20.0], atol=0.2)
    np.testing.assert_allclose(np.ptp(painted, axis=0) * 0.25, [4.5, 1.8], atol=0.3)


def test_what_is_painted_later_covers_what_was_there():
    road = road_of(
        [square(0, -30, 60), square(5, -10, 20)],
        [np.array([[0.0, 0.0], [40.0, 0.0]]), np.zeros((0, 2))],
        [RoadKind.LANE, RoadKind.WALKWAY],
    )
    tracks = tracks_of([(10.0, 0.0, 0.0, 0.0), (10.0, 0.0, 0.0, 0.0), (20.0, 0.0, 0.0, 0.0)], 1)
    tracks.kind[:] = [TrackKind.VEHICLE, TrackKind.PEDESTRIAN, TrackKind.BARRIER]
    canvas = bev_semantic_map(road, tracks, ego_at())
    assert [canvas[40, 128], canvas[80, 128], canvas[110, 128]] == [6, 4, 3]
    assert [canvas[40, 140], canvas[10, 140]] == [2, 1]
    bicycle = dataclasses.replace(tracks, kind=np.full(3, int(TrackKind.BICYCLE)))
    assert canvas.max() == 6 and bev_semantic_map(road, bicycle, ego_at()).max() == 3


def test_map_elements_beyond_the_radius_are_not_drawn_even_in_the_corners():
    """A polygon at 40 m in the map's corner, one that touches the circle, and one around the ego with a far outline."""
    corner, touching, around = square(27, 27, 4), square(20, 20, 4), square(-500, -500, 1000)
    none = np.zeros((0, 2))
    assert bev_semantic_map(road_of([corner], [none], [RoadKind.LANE]), tracks_of([], 1), ego_at()).max() == 0
    assert bev_semantic_map(road_of([touching], [none], [RoadKind.LANE]), tracks_of([], 1), ego_at()).max() == 1
    assert bev_semantic_map(road_of([around], [none], [RoadKind.LANE]), tracks_of([], 1), ego_at()).min() == 1


def test_a_lane_without_polygon_still_shows_its_centre_line():
    line = np.array([[-5.0, 1.0], [20.0, 1.0]])
    canvas = bev_semantic_map(road_of([np.zeros((0, 2))], [line], [RoadKind.LANE]), tracks_of([], 1), ego_at())
    assert (canvas[:80, 132] == BevClass.CENTRE_LINE).all() and canvas.max() == BevClass.CENTRE_LINE


def test_polygons_hold_the_cells_that_lie_in_them():
    """Twin: Shapely, on the canvas; the outline is within one cell."""
    draw = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(np.arange(40), np.arange(60), indexing="ij"), -1)
    for _ in range(20):
        angle = np.sort(draw.uniform(0, 2 * np.pi, 7))
        corners = np.array([20, 30]) + (draw.uniform(3, 19, 7) * np.stack([np.cos(angle), np.sin(angle)])).T
        corners = corners.astype(np.int64)
        canvas = np.zeros((40, 60), dtype=np.uint8)
        fill_polygon(canvas, corners[:, 0].copy(), corners[:, 1].copy(), 1)
        area = shapely.make_valid(shapely.Polygon(corners))
        inside = shapely.covers(area, shapely.points(cells))
        near = shapely.dwithin(area, shapely.points(cells), 0.72)
        assert (canvas[inside] == 1).all() and (canvas[~near] == 0).all()


def test_lines_hold_the_cells_within_one_cell_of_them_and_none_further_than_two():
    draw = np.random.default_rng(1)
    cells = np.stack(np.meshgrid(np.arange(40), np.arange(60), indexing="ij"), -1)
    for _ in range(20):
        ends = draw.integers(0, [40, 60], (3, 2))
        canvas = np.zeros((40, 60), dtype=np.uint8)
        draw_line(canvas, ends[:, 0].copy(), ends[:, 1].copy(), 1)
        distance = shapely.distance(shapely.LineString(ends), shapely.points(cells))
        assert (canvas[distance <= 0.7] == 1).all() and (canvas[distance > 2.0] == 0).all()
