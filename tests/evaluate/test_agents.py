"""Agents that read no images."""

import numpy as np

from simscale.evaluate.agents import AGENTS, ConstantVelocity, Human, PdmClosed, StandStill
from simscale.evaluate.starts import Start
from simscale.geometry.se2 import to_parent
from small_splits import small_splits


def second_stage() -> list[Start]:
    return [start for start in small_splits().two.starts if start.stage == 2]


def test_every_agent_plans_one_finite_plan_a_start():
    starts = small_splits().two.starts[:9]
    for make in AGENTS.values():
        plan = make().plan(starts)
        assert plan.xy.shape[0] == 9 and plan.dt * plan.xy.shape[1] == 4.0
        assert np.isfinite(plan.xy).all() and np.isfinite(plan.yaw).all()


def test_constant_velocity_goes_straight_and_standing_still_stays():
    starts = small_splits().one.starts[:4]
    plan = ConstantVelocity().plan(starts)
    speed = np.array([start.ego.speed for start in starts])
    np.testing.assert_allclose(plan.xy[:, -1, 0], 4.0 * speed)
    assert not plan.xy[..., 1].any() and not plan.yaw.any()
    assert not StandStill().plan(starts).xy.any()


def test_the_human_of_the_first_stage_is_the_log():
    start = small_splits().one.starts[3]
    plan = Human().plan([start])
    xy, _ = to_parent(plan.xy[0], plan.yaw[0], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    np.testing.assert_allclose(xy, start.scene.ego.xy[start.instant + 5 : start.instant + 41 : 5], atol=1e-9)


def test_from_a_perturbed_start_the_human_begins_as_the_car_goes_and_never_backs_up():
    for start in second_stage():
        plan = Human().plan([start])
        assert (np.diff(plan.xy[0, :, 0], prepend=0.0) >= 0.0).all()
        if start.ego.velocity[0] > 3.0:
            assert abs(plan.xy[0, 0, 0] / 0.5 - start.ego.velocity[0]) < 2.5
            assert abs(plan.xy[0, 0, 1]) < 0.5


def test_a_car_behind_the_human_is_with_it_in_the_end():
    behind = []
    for start in second_stage():
        plan = Human().plan([start])
        xy, _ = to_parent(plan.xy[0], plan.yaw[0], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
        behind.append(np.hypot(*(xy[-1] - start.scene.ego.xy[start.instant + 40])))
    assert np.median(behind) < 0.05


def test_pdm_closed_is_what_the_split_holds():
    starts = small_splits().two.starts[:5]
    np.testing.assert_array_equal(PdmClosed().plan(starts).xy[4], starts[4].expert.xy)
