import numpy as np

from simscale.experts.recovery import RULES, has_recovered, human_path, nearest_ends
from simscale.scene import CarState
from worlds import straight_scene


def states(rows: list[tuple[float, float, float, float]]) -> CarState:
    packed = np.zeros((len(rows), 11))
    packed[:, :4] = rows
    return CarState.unpacked(packed)


def test_the_nearest_end_weighs_metres_degrees_and_speed():
    human = states([(10, 0, 0, 8)])[0]
    lon, lat, turned, slow = RULES.lon_scale, RULES.lat_scale, RULES.yaw_scale, RULES.speed_scale
    ends = states(
        [(10, 4 * lat, 0, 8), (10 + 3 * lon, 0, 0, 8), (10, 0, 2 * turned, 8), (10, 0, 0, 8 - slow), (10, 0, 0, 8)]
    )
    order, cost = nearest_ends(ends, human)
    assert order.tolist() == [4, 3, 2, 1, 0]
    np.testing.assert_allclose(cost, [0, 1, 4, 9, 16], atol=1e-9)


def test_recovery_means_nearer_to_the_path_and_along_it():
    path = human_path(straight_scene().ego)
    start = states([(30, 2.0, 0, 8)])[0]
    ends = states([(60, 0.9, 0, 8), (60, 1.39, 0, 8), (60, 1.41, 0, 8), (60, 0.2, 0.2, 8), (500, -1.0, 0, 8)])
    assert has_recovered(ends, start, path).tolist() == [True, True, False, False, False]


def test_a_human_who_stands_has_a_path_straight_ahead():
    path = human_path(straight_scene(speed=0.0).ego)
    np.testing.assert_allclose(path, [[-60, 0], [60, 0]], atol=1e-9)
