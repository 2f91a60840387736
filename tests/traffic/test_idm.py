"""Sound traffic: the log where nothing departs from it, an intelligent driver where something does."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simscale.geometry.boxes import boxes_overlap
from simscale.geometry.polygons import ragged
from simscale.scene import PACIFICA, CarState, Lights, LightState, TrackKind, Tracks
from simscale.scene.motion import car_state_of_poses
from simscale.traffic.idm import idm, prepare
from simscale.traffic.idm_kernel import Rules, desired_gap, gap_accel
from simscale.traffic.policy import TrafficRules
from worlds import changed, straight_scene, tracks_of

RULES = TrafficRules()
T0 = 20


def traffic_of(scene, t0: int = T0):
    return idm(scene, t0, vehicle=PACIFICA, rules=RULES)


def human(scene, samples: int, t0: int = T0) -> CarState:
    return CarState.unpacked(scene.ego[t0 : t0 + samples].packed()[None])


def driving(x: np.ndarray, y: float = 0.0) -> CarState:
    """An ego whose rear axle is at `x` on a line along the road."""
    states = car_state_of_poses(np.stack([x, np.full(len(x), y)], -1), np.zeros(len(x)), dt=0.1)
    return CarState.unpacked(states.packed()[None])


def braking(x: float, speed: float, decel: float, samples: int, y: float = 0.0) -> CarState:
    time = np.minimum(np.arange(samples) * 0.1, speed / decel)
    return driving(x + speed * time - decel * time**2 / 2, y)


def rolled(scene, ego: CarState, t0: int = T0):
    traffic = traffic_of(scene, t0)
    return traffic.roll(traffic.start(), ego)


def kernel_rules() -> Rules:
    return Rules(**{name: getattr(RULES, name) for name in Rules._fields if name != "dt"}, dt=0.1)


def touching(tracks: Tracks, a: int, b: int) -> bool:
    """Whether two agents of the first rollout ever touch."""
    return any(
        boxes_overlap(
            *tracks.xy[0, a, t],
            tracks.yaw[0, a, t],
            *tracks.size[0, a, :2],
            *tracks.xy[0, b, t],
            tracks.yaw[0, b, t],
            *tracks.size[0, b, :2],
        )
        for t in range(tracks.valid.shape[-1])
        if tracks.valid[0, a, t] and tracks.valid[0, b, t]
    )


def gap_to(ego: CarState, tracks: Tracks, agent: int) -> np.ndarray:
    """Free road between an agent that follows and the ego, m."""
    rear = ego.centre_xy(PACIFICA)[0, :, 0] - PACIFICA.length / 2
    return rear - tracks.xy[0, agent, :, 0] - tracks.size[0, agent, 0] / 2


def test_the_desired_gap_is_in_metres_and_seconds():
    rules = kernel_rules()
    standing = rules.min_gap + rules.headway * 15.0
    assert desired_gap(15.0, 15.0, standing, rules) == pytest.approx(1.0 + 1.5 * 15.0)
    assert desired_gap(15.0, 10.0, standing, rules) == pytest.approx(23.5 + 15.0 * 5.0 / (2 * np.sqrt(2.0)))
    assert desired_gap(0.0, 10.0, rules.min_gap, rules) == rules.min_gap
    assert gap_accel(23.5, 15.0, 15.0, standing, rules) == pytest.approx(0.0)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(-60, 60), st.sampled_from([0.0, 3.5]), st.floats(0, 14)), min_size=1, max_size=6))
def test_where_nothing_departs_from_the_log_the_log_is_kept_exactly(boxes):
    scene = straight_scene(boxes=[(x, y, 0.0, speed) for x, y, speed in boxes])
    traffic = traffic_of(scene)
    run = traffic.roll(traffic.start(), human(scene, 50))
    logged = scene.tracks.of_agents(traffic.agents).at(T0, T0 + 50)
    np.testing.assert_array_equal(run.tracks.xy[0], logged.xy)
    np.testing.assert_array_equal(run.tracks.valid[0], logged.valid)
    np.testing.assert_array_equal(run.tracks.velocity[0], logged.velocity)
    np.testing.assert_allclose(run.tracks.yaw[0], logged.yaw, atol=1e-12)


def test_a_follower_stops_behind_an_ego_that_stops_where_the_log_drove_on():
    scene = straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0)])
    ego = braking(16.0, 8.0, 3.0, 90)
    run = rolled(scene, ego)
    gap = gap_to(ego, run.tracks, 0)
    assert run.speed[0, 0, -1] < 0.1 and 1.0 < gap[-1] < 1.5 and gap.min() > 1.0
    assert (np.diff(run.speed[0, 0]) > -0.31).all(), "there was room to brake without haste"


def test_a_late_emergency_stop_still_avoids_contact():
    scene = straight_scene(boxes=[(-12.0, 0.0, 0.0, 8.0)])
    ego = braking(16.0, 8.0, 6.0, 60)
    run = rolled(scene, ego)
    assert gap_to(ego, run.tracks, 0).min() > 0.0
    assert np.diff(run.speed[0, 0]).min() >= -0.1 * RULES.hard_braking - 1e-9


def test_a_follower_settles_at_the_gap_of_the_model():
    scene = straight_scene(seconds=60.0, boxes=[(-30.0, 0.0, 0.0, 8.0)])
    samples = 500
    ego = driving(16.0 + 5.0 * np.arange(samples) * 0.1)
    run = rolled(scene, ego)
    assert run.speed[0, 0, -1] == pytest.approx(5.0, abs=0.02)
    assert gap_to(ego, run.tracks, 0)[-1] == pytest.approx(1.0 + 1.5 * 5.0, abs=0.3)


def test_who_follows_as_closely_as_in_the_log_is_not_braked():
    scene = straight_scene(boxes=[(-6.0, 0.0, 0.0, 8.0)])  # 2.1 m behind at 8 m/s, as its driver dared to
    ego = human(scene, 50)
    aside = CarState.unpacked(ego.packed() + np.array([0.0, 0.5, *[0.0] * 9]))
    run = rolled(scene, aside)
    np.testing.assert_allclose(run.speed[0, 0], 8.0, atol=0.2)


def test_who_was_blocked_catches_up_and_keeps_the_log_again():
    scene = straight_scene(seconds=60.0, boxes=[(-25.0, 0.0, 0.0, 8.0)])
    time = np.arange(500) * 0.1
    x = 16.0 + 8.0 * time - 20.0 * np.clip((time - 1) / 8, 0, 1) ** 2 * (3 - 2 * np.clip((time - 1) / 8, 0, 1))
    x = np.where(time > 20.0, x + 20.0 * np.clip((time - 20) / 10, 0, 1), x)
    run = rolled(scene, driving(x))
    late = scene.tracks.xy[0, T0 : T0 + 500, 0] - run.tracks.xy[0, 0, :, 0]
    assert late.max() > 3.0
    np.testing.assert_array_equal(run.tracks.xy[0, 0, -20:], scene.tracks.xy[0, T0 + 480 : T0 + 500])
    assert run.speed.max() <= RULES.catch_up * 8.0 + 0.2
    assert np.diff(run.speed[0, 0]).max() <= 0.1 * RULES.catch_up_accel + 1e-9
    assert np.diff(run.speed[0, 0]).min() >= -0.1 * RULES.firm_braking - 1e-9, "it joins the log without a jolt"


def test_a_blocked_queue_touches_nobody():
    boxes = [(-25.0 - 9.0 * i, 0.0, 0.0, 8.0) for i in range(5)]
    scene = straight_scene(boxes=boxes)
    run = rolled(scene, braking(16.0, 8.0, 4.0, 80))
    assert not any(touching(run.tracks, a, a + 1) for a in range(4))
    assert (run.speed[0, :, -1] < 1.5).all()


def test_nobody_ever_rolls_backwards():
    scene = straight_scene(boxes=[(-15.0, 0.0, 0.0, 8.0), (-30.0, 0.0, 0.0, 9.0)])
    run = rolled(scene, braking(16.0, 8.0, 6.0, 90))
    assert (np.diff(run.progress, axis=-1) >= 0.0).all() and (run.speed >= 0.0).all()


def test_an_oncoming_car_stops_for_an_ego_on_its_side():
    scene = straight_scene(boxes=[(110.0, 7.0, np.pi, 8.0)])
    ego = driving(np.full(100, 40.0), 7.0)
    run = rolled(scene, ego)
    assert run.speed[0, 0, -1] < 0.6
    assert run.tracks.xy[0, 0, -1, 0] - 2.25 > 40.0 + PACIFICA.rear_axle_to_centre + PACIFICA.length / 2


def test_parked_cars_that_the_log_passes_closely_do_not_stop_a_late_car():
    scene = straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0), (30.0, 1.85, 0.0, 0.0)])
    time = np.arange(90) * 0.1
    ego = driving(16.0 + np.where(time < 2, 2.0 * time, 4.0 + 14.0 * (time - 2)))
    run = rolled(scene, ego)
    late = scene.tracks.xy[0, T0 : T0 + 90, 0] - run.tracks.xy[0, 0, :, 0]
    assert late.max() > 1.0 and run.tracks.xy[0, 0, -1, 0] > 35.0


def test_traffic_brakes_for_people_once_it_is_late():
    still = straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0)])
    people = tracks_of([(45.0, -16.0, np.pi / 2, 1.5)], len(still), TrackKind.PEDESTRIAN)
    cars = still.tracks
    both = {
        field.name: np.concatenate([getattr(cars, field.name), getattr(people, field.name)])
        for field in dataclasses.fields(Tracks)
        if field.name != "id"
    }
    size = both.pop("size")
    size[1] = [0.6, 0.6, 1.8]
    scene = changed(still, tracks=Tracks(**both, size=size, id=("car", "person")))
    time = np.arange(90) * 0.1
    ego = driving(16.0 + np.where(time < 3, 2.0 * time, 6.0 + 20.0 * (time - 3)))
    run = rolled(scene, ego)
    assert not touching(run.tracks, 0, 1)
    np.testing.assert_array_equal(run.tracks.xy[0, 1], scene.tracks.xy[1, T0 : T0 + 90])


def with_light(scene, state: LightState):
    """A red light over all of the road beyond x = 60, which is a lane of its own."""
    road = scene.road
    lines = [road.centre_line(0)[:33], road.centre_line(0)[32:], *[road.centre_line(i) for i in (1, 2)]]
    rings = [road.ring(0), road.ring(0), road.ring(1), road.ring(2), road.ring(3)]
    centre_xy, centre_start = ragged([*lines, np.zeros((0, 2))])
    xy, start = ragged(rings)
    road = dataclasses.replace(
        road,
        id=("before", "after", "left", "oncoming", "asphalt"),
        kind=np.concatenate([road.kind[:1], road.kind]),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.full(5, 15.0),
        has_speed_limit=np.array([True, True, True, True, False]),
        next_lane=np.array([[0, 1]]),
        group=np.array([0, 1, 2, 3, -1]),
    )
    lights = Lights(element=np.array([1]), state=np.full((1, len(scene)), int(state)))
    return changed(scene, road=road, lights=lights)


@pytest.mark.parametrize(("state", "passes"), [(LightState.RED, False), (LightState.GREEN, True)])
def test_who_is_late_stops_at_red(state, passes):
    scene = with_light(straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0)], seconds=20.0), state)
    time = np.arange(150) * 0.1
    ego = driving(16.0 + np.where(time < 2, 2.0 * time, 4.0 + 14.0 * (time - 2)))
    run = rolled(scene, ego)
    front = run.tracks.xy[0, 0, -1, 0] + 2.25
    assert front > 62.0 if passes else 55.0 < front < 60.0


def test_who_keeps_the_logs_timing_needs_no_light():
    scene = with_light(straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0)], seconds=20.0), LightState.RED)
    run = rolled(scene, human(scene, 120))
    np.testing.assert_array_equal(run.tracks.xy[0, 0], scene.tracks.xy[0, T0 : T0 + 120])


def cut(scene, agent: int, first: int, last: int):
    valid = scene.tracks.valid.copy()
    valid[agent] = False
    valid[agent, first:last] = True
    return changed(scene, tracks=dataclasses.replace(scene.tracks, valid=valid))


def test_a_vehicle_goes_on_along_its_lane_past_its_tracks_end():
    scene = cut(straight_scene(boxes=[(20.0, 3.5, 0.0, 8.0)]), 0, 0, 40)
    run = rolled(scene, human(scene, 60))
    assert run.tracks.valid[0, 0].all()
    np.testing.assert_allclose(run.tracks.xy[0, 0, :, 1], 3.5, atol=1e-6)
    assert (np.diff(run.tracks.xy[0, 0, :, 0]) > 0.75).all()
    assert run.speed.max() <= 15.0, "the lane's limit"


def test_who_is_out_of_sight_does_not_hold_up_the_log():
    scene = cut(straight_scene(boxes=[(30.0, 3.5, 0.0, 4.0), (0.0, 3.5, 0.0, 12.0)]), 0, 0, 25)
    run = rolled(scene, human(scene, 60))
    np.testing.assert_array_equal(run.tracks.xy[0, 1], scene.tracks.xy[1, T0 : T0 + 60])
    assert not touching(run.tracks, 0, 1) and not run.tracks.valid[0, 0, -1]


def test_a_standing_vehicle_ends_as_its_track_does():
    scene = cut(straight_scene(boxes=[(50.0, 3.5, 0.0, 0.0)]), 0, 0, 40)
    assert run_lengths(rolled(scene, human(scene, 60))) == [20]


def run_lengths(run) -> list[int]:
    return run.tracks.valid[0].sum(axis=-1).tolist()


def test_a_late_track_appears_unless_the_ego_is_there():
    scene = cut(straight_scene(boxes=[(60.0, 3.5, 0.0, 8.0)]), 0, 40, 121)
    assert run_lengths(rolled(scene, human(scene, 60))) == [40]
    there = driving(scene.tracks.xy[0, T0 : T0 + 60, 0] - PACIFICA.rear_axle_to_centre, 3.5)
    assert run_lengths(rolled(scene, there)) == [0]


def test_vehicles_off_the_lanes_replay():
    scene = straight_scene(boxes=[(-25.0, 30.0, 0.0, 8.0)])
    run = rolled(scene, driving(np.full(60, 5.0), 30.0))
    np.testing.assert_array_equal(run.tracks.xy[0, 0], scene.tracks.xy[0, T0 : T0 + 60])


def test_the_order_of_agents_does_not_matter():
    boxes = [(-25.0, 0.0, 0.0, 8.0), (-36.0, 0.0, 0.0, 8.5), (-20.0, 3.5, 0.0, 9.0), (60.0, 7.0, np.pi, 8.0)]
    scene = straight_scene(boxes=boxes)
    turned = changed(scene, tracks=scene.tracks.of_agents(np.array([3, 1, 0, 2])))
    ego = braking(16.0, 8.0, 4.0, 60, y=1.0)
    one, two = rolled(scene, ego), rolled(turned, ego)
    rows = [two.tracks.id.index(name) for name in one.tracks.id]
    np.testing.assert_array_equal(two.tracks.xy[0, rows], one.tracks.xy[0])


def test_a_batch_is_its_members_and_a_cut_drive_is_the_whole_one():
    scene = straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0), (-36.0, 0.0, 0.0, 8.5), (60.0, 7.0, np.pi, 8.0)])
    egos = [braking(16.0, 8.0, decel, 70, y) for decel, y in ((2.0, 0.0), (5.0, 1.5), (3.0, 5.0))]
    batch = CarState.unpacked(np.concatenate([ego.packed() for ego in egos]))
    traffic = traffic_of(scene)
    together = traffic.roll(traffic.start(), batch)
    for k, ego in enumerate(egos):
        np.testing.assert_array_equal(traffic.roll(traffic.start(), ego).tracks.xy[0], together.tracks.xy[k])
    half = traffic.roll(together.state_at(slice(None), 30), batch[:, 30:])
    np.testing.assert_array_equal(half.tracks.xy, together.tracks.xy[:, :, 30:])
    np.testing.assert_array_equal(half.present, together.present[:, :, 30:])


def test_preparing_once_serves_all_decision_points():
    scene = straight_scene(boxes=[(-25.0, 0.0, 0.0, 8.0)])
    prepared = prepare(scene, rules=RULES)
    ego = braking(16.0 + 8.0, 8.0, 3.0, 40)
    one = idm(scene, 30, vehicle=PACIFICA, rules=RULES, prepared=prepared)
    two = traffic_of(scene, 30)
    np.testing.assert_array_equal(one.roll(one.start(), ego).tracks.xy, two.roll(two.start(), ego).tracks.xy)
