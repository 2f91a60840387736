"""Driving on the straight two-lane road of `worlds`: what each sub-score says, and what must not matter."""

import dataclasses

import numpy as np
import pytest

from simscale.scene import DT, PACIFICA, CarState, Lights, LightState, RoadKind, RoadMap, TrackKind, Tracks
from simscale.scoring import PARITY, SOUND, Scores, Surroundings, score, surroundings_of, ttc_hits
from worlds import straight_road, tracks_of

NO_LIGHTS = Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, 50), dtype=np.int64))
FRONT = PACIFICA.length / 2 + PACIFICA.rear_axle_to_centre  # of the ego, ahead of its rear axle


def around_of(road: RoadMap | None = None, lights: Lights = NO_LIGHTS) -> Surroundings:
    return surroundings_of(
        straight_road() if road is None else road,
        lights,
        instants=np.arange(50),
        route=np.array([0]),
        centre_line=np.array([[-100.0, 0.0], [100.0, 0.0], [400.0, 0.0]]),
        around_xy=np.array([0.0, 0.0]),
    )


def drive(*, x: float = 0.0, y: float = 0.0, speed: float = 8.0, yaw: float = 0.0, steps: int = 41) -> CarState:
    packed = np.zeros((1, steps, 11))
    moved = x + speed * DT * np.arange(steps)
    packed[0, :, 0], packed[0, :, 1], packed[0, :, 2], packed[0, :, 3] = moved, y, yaw, speed
    return CarState.unpacked(packed)


def scores_of(ego: CarState, tracks: Tracks | None = None, around: Surroundings | None = None, **changes) -> Scores:
    settings = {"vehicle": PACIFICA, "history": None, "rules": SOUND, "best_progress": 32.0} | changes
    return score(ego, tracks_of([], 50) if tracks is None else tracks, around or around_of(), **settings)


def test_a_plain_drive_is_perfect():
    ours = scores_of(drive())
    assert ours.total == 1.0
    np.testing.assert_allclose(ours.progress_m, 32.0)
    assert all(getattr(ours.first, field.name) == -1 for field in dataclasses.fields(ours.first))


def test_running_into_a_standing_car_is_at_fault_when_the_front_arrives():
    rear = 20.0
    ours = scores_of(drive(), tracks_of([(rear + 2.25, 0.0, 0.0, 0.0)], 50))
    assert ours.no_at_fault_collision == 0.0
    assert ours.first.collision == int(np.ceil((rear - FRONT) / 0.8))
    assert ours.time_to_collision == 0.0
    assert 0 <= ours.first.time_to_collision[0] < ours.first.collision[0]
    assert ours.total == 0.0


def test_something_static_costs_half():
    cone = tracks_of([(22.25, 0.0, 0.0, 0.0)], 50, TrackKind.TRAFFIC_CONE)
    assert scores_of(drive(), cone).no_at_fault_collision == 0.5


def test_being_hit_from_behind_is_not_at_fault_but_a_contact_from_the_side_off_the_lane_is():
    behind = tracks_of([(-12.0, 0.0, 0.0, 14.0)], 50)
    assert scores_of(drive(), behind).no_at_fault_collision == 1.0
    beside = tracks_of([(1.0, 2.9, -0.12, 8.0)], 50)  # pushes in from the left
    assert scores_of(drive(), beside).no_at_fault_collision == 1.0
    assert scores_of(drive(y=0.9), beside).no_at_fault_collision == 0.0  # straddling both lanes by then


def test_a_standing_ego_is_never_at_fault():
    crossing = tracks_of([(3.0, -10.0, np.pi / 2, 5.0)], 50)
    ours = scores_of(drive(speed=0.0), crossing)
    assert ours.no_at_fault_collision == 1.0
    assert ours.time_to_collision == 1.0


def test_first_appearance_decides_in_parity_alone():
    """A car that stands at first, according to its velocity, and later pushes into the ego's side: Q4."""
    beside = tracks_of([(1.0, 2.9, -0.12, 8.0)], 50)
    beside.velocity[0, :2] = 0.0
    assert scores_of(drive(), beside, rules=PARITY).no_at_fault_collision == 0.0
    assert scores_of(drive(), beside).no_at_fault_collision == 1.0


def test_time_to_collision_looks_past_the_end_where_the_tracks_do():
    """At sample 40 the front is at 36.0; a wall 6 m further on is hit 0.8 s later."""
    wall = tracks_of([(32.0 + FRONT + 6.0 + 2.25, 0.0, 0.0, 0.0)], 50)
    assert scores_of(drive(), wall).time_to_collision == 0.0
    assert scores_of(drive(), wall.at(0, 41)).time_to_collision == 1.0
    asked = {"vehicle": PACIFICA, "rules": SOUND}
    assert ttc_hits(drive(), wall, around_of(), first=40, last=41, **asked).all()
    assert not ttc_hits(drive(), wall, around_of(), first=0, last=38, **asked).any()


def test_off_the_asphalt():
    ours = scores_of(drive(y=-2.2))
    assert ours.drivable_area == 0.0
    assert ours.first.off_road == 0
    assert scores_of(drive(y=-2.0)).drivable_area == 1.0


def test_metres_on_the_oncoming_lane():
    packed = drive().packed().copy()
    packed[0, 10:14, 1] = 7.0  # four samples, of which each adds its step to the second's sum
    back_and_forth = scores_of(CarState.unpacked(packed))
    assert back_and_forth.driving_direction == 0.0  # the step aside alone is 7 m
    slow = scores_of(drive(y=7.0, speed=3.0))
    assert slow.driving_direction == 0.5  # 3 m a second, 3.3 m in eleven samples
    assert slow.first.oncoming == 7  # 2.1 m
    assert scores_of(drive(y=7.0, speed=1.5)).driving_direction == 1.0


def test_a_red_light_forbids_its_connector_while_it_is_red():
    road = straight_road()
    connector = np.array([[20.0, -1.0], [40.0, -1.0], [40.0, 1.0], [20.0, 1.0]])
    road = dataclasses.replace(
        road,
        id=(*road.id, "connector"),
        kind=np.append(road.kind, RoadKind.CONNECTOR),
        xy=np.concatenate([road.xy, connector]),
        start=np.append(road.start, len(road.xy) + 4),
        centre_start=np.append(road.centre_start, len(road.centre_xy)),
        speed_limit=np.append(road.speed_limit, 0.0),
        has_speed_limit=np.append(road.has_speed_limit, False),
        group=np.append(road.group, 0),
    )
    entered = int(np.ceil((20.0 - FRONT) / 0.8))

    def lights(first: int, last: int) -> Lights:
        state = np.full((1, 50), int(LightState.GREEN))
        state[0, first:last] = int(LightState.RED)
        return Lights(element=np.array([4]), state=state)

    ours = scores_of(drive(), around=around_of(road, lights(0, 50)))
    assert ours.traffic_light == 0.0
    assert ours.first.red_light == entered
    assert scores_of(drive(), around=around_of(road, lights(0, entered))).traffic_light == 1.0
    other_way = dataclasses.replace(road, group=np.append(road.group[:-1], 1))
    assert scores_of(drive(), around=around_of(other_way, lights(0, 50))).traffic_light == 1.0


def test_two_seconds_beside_the_centre_line():
    ours = scores_of(drive(y=0.6))
    assert ours.lane_keeping == 0.0
    assert ours.first.lane_keeping == 19
    assert scores_of(drive(y=0.49)).lane_keeping == 1.0
    packed = drive(y=0.6).packed().copy()
    packed[0, 15, 1] = packed[0, 30, 1] = 0.0
    assert scores_of(CarState.unpacked(packed)).lane_keeping == 1.0


def test_progress_is_measured_against_the_best():
    np.testing.assert_allclose(scores_of(drive(), best_progress=64.0).progress, 0.5)
    assert scores_of(drive(), best_progress=4.0).progress == 1.0
    assert scores_of(drive(speed=0.5), best_progress=4.0).progress == 1.0  # nobody gets 5 m
    both = CarState.unpacked(np.concatenate([drive().packed(), drive(speed=4.0).packed()]))
    np.testing.assert_allclose(scores_of(both, best_progress=None).progress, [1.0, 0.5])


def test_comfort_is_judged_together_with_what_came_before():
    fast, slow = drive(steps=41), drive(x=-12.0, steps=15)
    assert scores_of(fast, history=slow[0, :-1]).history_comfort == 1.0
    braked = slow.packed().copy()
    braked[..., 5] = -6.0
    assert scores_of(fast, history=CarState.unpacked(braked)[0, :-1]).history_comfort == 0.0
    assert scores_of(fast, history=CarState.unpacked(braked)[:, :-1]).history_comfort == 0.0


@pytest.fixture
def crowd() -> tuple[CarState, Tracks]:
    rng = np.random.default_rng(4)
    packed = np.concatenate(
        [drive(y=y, speed=v, yaw=h).packed() for y, v, h in rng.normal([2, 7, 0], [3, 2, 0.1], (30, 3))]
    )
    boxes = np.column_stack(
        [rng.uniform(-20, 50, 12), rng.uniform(-3, 9, 12), rng.normal(0, 0.3, 12), rng.uniform(0, 8, 12)]
    )
    return CarState.unpacked(packed), tracks_of([tuple(box) for box in boxes], 50)


def assert_same(one: Scores, other: Scores) -> None:
    for field in dataclasses.fields(Scores):
        if field.name != "first":
            np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), atol=1e-9)
    for field in dataclasses.fields(one.first):
        np.testing.assert_array_equal(getattr(one.first, field.name), getattr(other.first, field.name))


def test_the_crowd_is_varied(crowd):
    ours = scores_of(*crowd)
    for name in ("no_at_fault_collision", "drivable_area", "driving_direction", "time_to_collision", "lane_keeping"):
        assert 0 < (getattr(ours, name) < 1).sum() < 30, name


def test_each_drive_is_scored_as_if_alone(crowd):
    ego, tracks = crowd
    together = scores_of(ego, tracks)
    for k in range(30):
        alone = scores_of(ego[k : k + 1], tracks)
        assert alone.total[0] == together.total[k]
        assert alone.progress_m[0] == together.progress_m[k]


def test_tracks_may_be_shared_or_one_set_a_drive(crowd):
    ego, tracks = crowd
    own = Tracks(
        **{
            field.name: getattr(tracks, field.name)
            if field.name == "id"
            else np.repeat(getattr(tracks, field.name)[None], 30, axis=0)
            for field in dataclasses.fields(Tracks)
        }
    )
    assert_same(scores_of(ego, tracks), scores_of(ego, own))


def test_the_order_of_agents_does_not_matter(crowd):
    ego, tracks = crowd
    assert_same(scores_of(ego, tracks), scores_of(ego, tracks.of_agents(np.arange(12)[::-1])))


def test_moving_the_world_does_not_matter(crowd):
    ego, tracks = crowd
    turn, shift = 0.7, np.array([512_345.0, 3_456_789.0])
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array([[c, s], [-s, c]])
    packed = ego.packed().copy()
    packed[..., :2] = packed[..., :2] @ matrix + shift
    packed[..., 2] += turn
    moved = dataclasses.replace(
        tracks, xy=tracks.xy @ matrix + shift, yaw=tracks.yaw + turn, velocity=tracks.velocity @ matrix
    )
    road = straight_road()
    road = dataclasses.replace(road, xy=road.xy @ matrix + shift, centre_xy=road.centre_xy @ matrix + shift)
    around = surroundings_of(
        road,
        NO_LIGHTS,
        instants=np.arange(50),
        route=np.array([0]),
        centre_line=np.array([[-100.0, 0.0], [100.0, 0.0], [400.0, 0.0]]) @ matrix + shift,
        around_xy=shift,
    )
    home, away = scores_of(ego, tracks), scores_of(CarState.unpacked(packed), moved, around)
    np.testing.assert_allclose(home.total, away.total, atol=1e-6)
