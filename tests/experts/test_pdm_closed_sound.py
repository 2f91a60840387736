"""The comfortable planner on a straight road: what a good driver does, and that it is done in comfort."""

from dataclasses import fields, replace

import numpy as np
import pytest
from one_road import JUNCTION, boxes, car, plan

from simscale.dynamics import simulate
from simscale.experts.pdm_closed import RankedProposals
from simscale.experts.ranking import acceptable
from simscale.experts.rules import PARITY, SOUND
from simscale.scene import PACIFICA, CarState
from simscale.scoring import Scores

FRONT = PACIFICA.length / 2 + PACIFICA.rear_axle_to_centre


def best(ranked: RankedProposals) -> CarState:
    """Rollout of the first choice, which must pass all tests in the planner's own forecast."""
    assert acceptable(ranked.scores)[ranked.order[0]]
    return ranked.rollouts[int(ranked.order[0])]


def test_a_free_road_brings_the_car_to_the_speed_limit():
    drive = best(plan(car(speed=8.0), limit=11.0))
    assert drive.velocity[-1, 0] == pytest.approx(11.0, abs=0.6)
    assert np.all(np.diff(drive.velocity[:, 0]) > -0.01)


def test_a_car_that_is_too_fast_slows_down_gently():
    drive = best(plan(car(speed=14.0), limit=10.0))
    assert drive.velocity[-1, 0] < 11.5
    assert drive.acceleration[:, 0].min() > -2.5


@pytest.mark.parametrize("speed", [5.0, 10.0])
def test_stops_behind_a_standing_car(speed: float):
    rear = 15.0 + 0.9 * speed
    drive = best(plan(car(speed=speed), boxes((rear + 2.25, 0.0, 0.0, 0.0))))
    assert rear - 6.0 < drive.xy[-1, 0] + FRONT < rear
    assert drive.velocity[-1, 0] < 0.35 * speed


def test_follows_a_slower_car_without_harsh_braking():
    drive = best(plan(car(speed=10.0), boxes((12.0, 0.0, 0.0, 8.0))))
    assert drive.acceleration[:, 0].min() > -3.0
    assert drive.xy[-1, 0] + FRONT < 12.0 - 2.25 + 32.0


def test_stops_before_a_red_light_and_not_for_a_green_one():
    waiting, passing = best(plan(car(speed=9.0), red=True)), best(plan(car(speed=9.0)))
    assert waiting.xy[-1, 0] + FRONT < JUNCTION[0]
    assert passing.xy[-1, 0] + FRONT > JUNCTION[0]


def test_does_not_wait_for_a_light_that_is_already_behind():
    state = replace(car(speed=6.0), xy=np.array([JUNCTION[0] + 6.0, 0.0]))
    assert best(plan(state, red=False)).velocity[-1, 0] > 6.0


@pytest.mark.parametrize("speed", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("y", [-1.5, 1.0])
def test_merges_back_from_the_side(speed: float, y: float):
    drive = best(plan(car(y=y, speed=speed)))
    assert abs(drive.xy[-1, 1]) < max(0.35, 0.5 * abs(y))
    assert abs(drive.xy[:, 1]).max() < abs(y) + 0.05  # never farther out ...
    assert drive.xy[:, 1].min() * np.sign(y) > -0.3 or y < 0  # ... nor far across the middle


def test_turns_back_from_a_heading_that_leads_off_the_road():
    drive = best(plan(car(y=-0.5, yaw=np.radians(-12.0), speed=8.0)))
    assert abs(drive.yaw[-1]) < np.radians(6.0)


def test_corrections_hold_the_car_closer_to_its_path():
    state = car(y=0.0, yaw=np.radians(10.0), speed=10.0)
    without = plan(state, rules=replace(SOUND, corrections=0))
    swing = [abs(ranked.rollouts.xy[3, :, 1]).max() for ranked in (without, plan(state))]
    assert swing[1] < swing[0] - 0.1


def test_anticipation_makes_the_car_stop_where_it_is_meant_to():
    hard = SOUND.stop_decels.index(max(SOUND.stop_decels)) - len(SOUND.stop_decels)
    meant = 10.0**2 / (2 * 3.7) + 10.0 * 0.1 + 1.0  # braking, the rise of the braking, its soft end
    for rules, excess in ((SOUND, 1.0), (replace(SOUND, anticipate=False), 4.0)):
        end = plan(car(speed=10.0), rules=rules).rollouts.xy[hard, -1, 0]
        assert meant - 1.0 < end < meant + excess
    assert plan(car(speed=10.0)).rollouts.velocity[hard, :, 0].min() > -0.1


def test_a_standing_car_behind_another_stays_and_is_comfortable():
    ranked = plan(car(speed=0.0), boxes((8.0, 0.0, 0.0, 0.0)))
    assert np.all(ranked.scores.history_comfort == 1.0)
    assert best(ranked).xy[-1, 0] < 1.0


def test_brakes_in_comfort_from_strong_acceleration():
    drive = best(plan(car(speed=10.0, accel=2.0), boxes((35.0, 0.0, 0.0, 0.0))))
    assert drive.xy[-1, 0] + FRONT < 35.0 - 2.25


def test_waits_for_one_who_will_cross():
    crossing = boxes((24.0, -9.0, np.pi / 2, 3.0))
    ranked = plan(car(speed=8.0), crossing)
    assert acceptable(ranked.scores)[ranked.order[0]]


def test_the_plan_is_what_the_car_drives():
    ranked = plan(car(y=0.7, yaw=0.05, speed=7.0))
    again = simulate(ranked.plans, car(y=0.7, yaw=0.05, speed=7.0), vehicle=PACIFICA)
    np.testing.assert_allclose(again.packed(), ranked.rollouts.packed(), atol=1e-6)


def test_the_same_state_gives_the_same_bytes():
    state, tracks = car(y=0.4, speed=9.0), boxes((40.0, 0.5, 0.1, 3.0), (15.0, 3.5, np.pi, 6.0))
    one, two = plan(state, tracks), plan(state, tracks)
    assert one.order.tobytes() == two.order.tobytes()
    assert one.rollouts.packed().tobytes() == two.rollouts.packed().tobytes()
    for field in fields(Scores):
        if field.name != "first":
            assert getattr(one.scores, field.name).tobytes() == getattr(two.scores, field.name).tobytes()


def test_order_is_a_permutation_that_starts_with_the_best():
    ranked = plan(car(y=1.0, speed=9.0), boxes((40.0, 0.0, 0.0, 0.0)))
    assert sorted(ranked.order) == list(range(len(ranked.order)))
    value = ranked.scores.total + 2.0 * acceptable(ranked.scores)
    assert value[ranked.order[0]] == value.max()


def test_parity_brakes_in_its_first_step_and_sound_does_not():
    for rules, change in ((PARITY, -0.3), (SOUND, 0.0)):
        ranked = plan(car(speed=8.0), limit=8.0, rules=rules)
        moved = ranked.plans.xy[len(rules.speed_fractions) - 1, :2, 0]
        if rules is PARITY:
            assert np.diff(moved)[0] / 0.1 - 8.0 == pytest.approx(change, abs=0.02)
        else:
            assert np.diff(moved)[0] / 0.1 - 8.0 == pytest.approx(change, abs=0.1)
