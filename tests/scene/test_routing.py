import numpy as np

from simscale.geometry.polygons import ragged
from simscale.scene import RoadKind, RoadMap
from simscale.scene.routing import extended, matched_lanes, path_of, route_of, straightest_successor
from worlds import straight_road


def fork() -> RoadMap:
    """A lane along x to x = 100, then straight on, or left along y."""
    lines = [
        np.array([[0.0, 0.0], [100.0, 0.0]]),
        np.array([[100.0, 0.0], [200.0, 0.0]]),
        np.array([[100.0, 0.0], [107.0, 3.0], [110.0, 10.0], [110.0, 100.0]]),
    ]
    centre_xy, centre_start = ragged(lines)
    return RoadMap(
        id=("in", "straight", "left"),
        kind=np.full(3, RoadKind.LANE, dtype=np.int64),
        xy=np.zeros((0, 2)),
        start=np.zeros(4, dtype=np.int64),
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.zeros(3),
        has_speed_limit=np.zeros(3, dtype=bool),
        next_lane=np.array([[0, 1], [0, 2]]),
        group=np.array([0, 1, 2]),
    )


def test_a_turning_path_takes_the_turning_lane():
    x = np.arange(50.0, 100.0)
    path = np.concatenate([np.stack([x, 0 * x], -1), fork().centre_line(2)[1:]])
    yaw = np.arctan2(*np.gradient(path, axis=0).T[::-1])
    assert matched_lanes(fork(), path, yaw).tolist() == [0, 2]


def test_without_knowledge_the_road_goes_straight_on():
    assert straightest_successor(fork(), 0) == 1
    assert straightest_successor(fork(), 1) == -1
    assert extended(fork(), np.array([0]), length=500.0).tolist() == [0, 1]


def test_a_standing_car_is_on_its_lane():
    where = np.tile([[20.0, 0.3]], (30, 1))
    assert route_of(straight_road(), where, np.zeros(30)).tolist() == [0]


def test_oncoming_lanes_are_never_matched():
    x = np.arange(0.0, 60.0)
    assert matched_lanes(straight_road(), np.stack([x, 0 * x + 6.0], -1), np.zeros(60)).tolist() == [1]


def test_a_path_off_every_lane_matches_none():
    x = np.arange(0.0, 60.0)
    assert len(matched_lanes(straight_road(), np.stack([x, 0 * x - 30.0], -1), np.zeros(60))) == 0


def test_a_lane_change_becomes_a_path_without_a_kink():
    path = path_of(straight_road(), np.array([0, 1]))
    step = np.diff(path, axis=0)
    turn = np.abs(np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0]))))
    assert turn.max() < np.radians(25)
