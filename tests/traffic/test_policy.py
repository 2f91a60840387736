"""What all kinds of traffic have in common: who takes part, and states that can be cut and rolled on."""

import numpy as np
import pytest

from simscale.scene import PACIFICA, CarState, RoadMap
from simscale.traffic.policy import POLICIES, TrafficRules, policy_of
from worlds import changed, straight_scene

BOXES = [(20.0, 0.0, 0.0, 8.0), (30.0, 3.5, 0.0, 7.0), (90.0, 7.0, np.pi, 9.0), (500.0, 0.0, 0.0, 0.0)]


def egos(scene, t0: int, samples: int, count: int = 2) -> CarState:
    rows = scene.ego[t0 : t0 + samples].packed()
    return CarState.unpacked(np.repeat(rows[None], count, axis=0))


@pytest.mark.parametrize("name", POLICIES)
def test_a_track_that_overlaps_the_ego_is_dropped_and_counted(name):
    scene = straight_scene(boxes=[(2.5, 0.5, 0.0, 8.0), *BOXES])
    traffic = POLICIES[name](scene, 20, vehicle=PACIFICA, rules=TrafficRules())
    rolled = traffic.roll(traffic.start(), egos(scene, 20, 11))
    assert traffic.dropped == 1
    assert "agent-0" not in rolled.tracks.id and "agent-1" in rolled.tracks.id


@pytest.mark.parametrize("name", POLICIES)
def test_far_agents_take_no_part(name):
    scene = straight_scene(boxes=BOXES)
    traffic = POLICIES[name](scene, 20, vehicle=PACIFICA, rules=TrafficRules(radius=100.0))
    rolled = traffic.roll(traffic.start(), egos(scene, 20, 11))
    assert "agent-3" not in rolled.tracks.id and "agent-2" in rolled.tracks.id


@pytest.mark.parametrize("name", POLICIES)
def test_sample_zero_is_the_decision_point(name):
    scene = straight_scene(boxes=BOXES)
    traffic = POLICIES[name](scene, 20, vehicle=PACIFICA, rules=TrafficRules())
    rolled = traffic.roll(traffic.start(), egos(scene, 20, 11))
    rows = [scene.tracks.id.index(name) for name in rolled.tracks.id]
    np.testing.assert_allclose(rolled.tracks.xy[1, :, 0], scene.tracks.xy[rows, 20], atol=1e-9)
    assert rolled.tracks.xy.shape == (2, 3, 11, 2)


@pytest.mark.parametrize("name", POLICIES)
def test_a_cut_drive_goes_on_as_if_it_had_not_been_cut(name):
    scene = straight_scene(boxes=BOXES)
    traffic = POLICIES[name](scene, 20, vehicle=PACIFICA, rules=TrafficRules())
    shift = np.array([0.0, 2.0, *[0.0] * 9])
    ego = CarState.unpacked(egos(scene, 20, 61).packed() + shift)
    whole = traffic.roll(traffic.start(), ego)
    first = traffic.roll(traffic.start(), ego[:, :31])
    second = traffic.roll(first.state_at(slice(None), 30), ego[:, 30:])
    np.testing.assert_array_equal(second.tracks.xy, whole.tracks.xy[:, :, 30:])
    alone = traffic.roll(first.state_at(1, 30), ego[1:, 30:])
    np.testing.assert_array_equal(alone.tracks.xy[0], whole.tracks.xy[1, :, 30:])


@pytest.mark.parametrize("name", POLICIES)
def test_a_scene_without_tracks_is_rolled_all_the_same(name):
    scene = straight_scene()
    traffic = POLICIES[name](scene, 20, vehicle=PACIFICA, rules=TrafficRules())
    rolled = traffic.roll(traffic.start(), egos(scene, 20, 11))
    assert rolled.tracks.xy.shape == (2, 0, 11, 2) and rolled.tracks.id == ()


@pytest.mark.parametrize("name", POLICIES)
def test_one_policy_serves_all_decision_points_of_a_scene(name):
    scene = straight_scene(boxes=BOXES)
    policy = policy_of(name, scene, rules=TrafficRules())
    for t0 in (20, 35):
        ego = CarState.unpacked(egos(scene, t0, 31).packed() + np.array([0.0, 2.0, *[0.0] * 9]))
        shared, alone = policy(t0, vehicle=PACIFICA), POLICIES[name](scene, t0, vehicle=PACIFICA, rules=TrafficRules())
        one, two = shared.roll(shared.start(), ego), alone.roll(alone.start(), ego)
        np.testing.assert_array_equal(one.tracks.xy, two.tracks.xy)


@pytest.mark.parametrize("name", POLICIES)
def test_a_scene_without_a_map_is_rolled_all_the_same(name):
    scene = straight_scene(boxes=BOXES)
    none = np.zeros(0, dtype=np.int64)
    road = RoadMap(
        id=(),
        kind=none,
        xy=np.zeros((0, 2)),
        start=np.zeros(1, dtype=np.int64),
        centre_xy=np.zeros((0, 2)),
        centre_start=np.zeros(1, dtype=np.int64),
        speed_limit=np.zeros(0),
        has_speed_limit=np.zeros(0, dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=none,
    )
    traffic = POLICIES[name](changed(scene, road=road, route=none), 20, vehicle=PACIFICA, rules=TrafficRules())
    rolled = traffic.roll(traffic.start(), egos(scene, 20, 11))
    assert rolled.tracks.valid.all()


def test_a_track_beside_the_ego_is_not_dropped():
    scene = straight_scene(boxes=[(2.5, 2.5, 0.0, 8.0)])
    assert POLICIES["replay"](scene, 20, vehicle=PACIFICA, rules=TrafficRules()).dropped == 0
