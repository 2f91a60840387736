import numpy as np
import pytest

from simscale.geometry.angles import wrap
from simscale.geometry.polylines import yaw_along
from simscale.scene.seeds import generator_of
from simscale.town.curves import curvature_of
from simscale.town.layout import layout_of
from simscale.town.roads import LANE_WIDTH, roads_of
from simscale.town.roundabout import RADIUS

SEEDS = range(8)


def roads(seed, size=400.0):
    return roads_of(layout_of(generator_of(seed, "town", "roads"), size=size))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lane_ends_where_its_successor_begins_and_in_its_direction(seed):
    town = roads(seed)
    for connector in range(town.lanes, len(town.line)):
        for first, second in ((town.before[connector], connector), (connector, town.after[connector])):
            gap = town.line[first][-1] - town.line[second][0]
            kink = wrap(yaw_along(town.line[first])[-1:] - yaw_along(town.line[second])[:1])
            assert np.hypot(*gap) < 0.01
            assert abs(kink[0]) < np.deg2rad(1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_from_every_lane_a_car_can_go_on_and_reach_every_other(seed):
    town = roads(seed)
    reached = {0}
    todo = [0]
    while todo:
        for connector in town.connectors_from(todo.pop()):
            after = int(town.after[connector])
            if after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == set(range(town.lanes))
    assert all(len(town.connectors_from(lane)) for lane in range(town.lanes))


@pytest.mark.parametrize("seed", SEEDS)
def test_turns_have_radii_that_cars_drive(seed):
    town = roads(seed)
    for element, line in enumerate(town.line):
        tightest = 1.0 / np.abs(curvature_of(line)).max()
        assert tightest > (12.0 if element < town.lanes else 7.0)


def test_a_turn_is_called_what_it_is():
    town = roads(0)
    for connector in range(town.lanes, len(town.line)):
        yaw = yaw_along(town.line[connector])
        change = wrap(yaw[-1:] - yaw[:1])[0]
        assert round(change / (np.pi / 2)) == town.turn[connector]


def test_towns_have_both_kinds_of_crossings_lights_and_avenues():
    several = [roads(seed) for seed in SEEDS]
    for town in several:
        arms = (town.layout.arm_street >= 0).sum(1)
        assert {3, 4} == set(arms)
        assert (town.layout.lights[arms == 4] == 1).any()
        assert {1, 2} == set(town.layout.lanes)
    lit = np.concatenate([town.layout.lights[(town.layout.arm_street >= 0).sum(1) == 3] for town in several])
    assert 0 < lit.mean() < 1


def test_oncoming_lanes_keep_a_lane_width_apart_all_along():
    town = roads(1)
    street = int(np.flatnonzero(town.layout.lanes == 2)[0])
    inner = [int(i) for i in np.flatnonzero((town.street == street) & (town.index == 0))]
    forward, backward = (town.line[i] for i in inner)
    apart = np.hypot(*(forward[:, None] - backward[None]).transpose(2, 0, 1)).min(1)
    np.testing.assert_allclose(apart, LANE_WIDTH, atol=0.05)


def test_ways_through_a_roundabout_share_its_ring_and_run_counter_clockwise():
    for seed in range(3):
        town = roads(seed)
        crossing = int(np.flatnonzero(town.layout.roundabout)[0])
        ways = np.flatnonzero((town.before >= 0) & (town.crossing == crossing))
        arms = int((town.layout.arm_street[crossing] >= 0).sum())
        assert len(ways) == arms * (arms - 1)
        for way in ways:
            from_middle = town.line[way] - town.layout.xy[crossing]
            assert np.hypot(*from_middle.T).min() == pytest.approx(RADIUS, abs=0.6)
            angle = np.unwrap(np.arctan2(*from_middle.T[::-1]))
            assert angle[-1] > angle[0]
        assert town.layout.lights[crossing] == 0
