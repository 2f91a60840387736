import numpy as np
import pytest

from golden import SCENES, golden_scene
from simscale.dynamics import coast, reference_of, simulate
from simscale.dynamics.profiles import fit_curvature, fit_speed, speed_fit
from simscale.geometry.angles import wrap
from simscale.scene import PACIFICA, CarState, Plan


def car(x: float = 0.0, y: float = 0.0, yaw: float = 0.0, speed: float = 8.0) -> CarState:
    packed = np.zeros(11)
    packed[:4] = x, y, yaw, speed
    return CarState.unpacked(packed)


def wild_plans(plans: int = 6, poses: int = 8, dt: float = 0.5) -> Plan:
    rng = np.random.default_rng(5)
    step = rng.normal([8 * dt, 0.0], [1.0 * dt, 0.4 * dt], (plans, poses, 2))
    return Plan(xy=np.cumsum(step, axis=1), yaw=np.cumsum(rng.normal(0, 0.05, (plans, poses)), axis=1), dt=dt)


def test_straight_on_at_constant_speed_stays_so():
    plan = Plan(xy=np.array([[[4.0 * (i + 1), 0.0] for i in range(8)]]), yaw=np.zeros((1, 8)), dt=0.5)
    path = simulate(plan, car(), vehicle=PACIFICA)
    np.testing.assert_allclose(path.xy[0, :, 0], 0.8 * np.arange(41), atol=1e-6)
    np.testing.assert_allclose(path.xy[0, :, 1], 0.0, atol=1e-12)


def test_the_first_state_is_the_start_with_all_its_numbers():
    start = CarState.unpacked(np.array([1.0, 2.0, 0.3, 7.0, 0.2, 0.5, -0.1, 0.05, 0.01, 0.02, 0.03]))
    path = simulate(wild_plans(), start, vehicle=PACIFICA)
    assert (path.packed()[:, 0] == start.packed()).all()


def test_moving_the_world_moves_the_drive():
    turn, shift = 2.5, np.array([120.0, -70.0])
    home = simulate(wild_plans(), car(), vehicle=PACIFICA)
    away = simulate(wild_plans(), car(*shift, yaw=turn), vehicle=PACIFICA)
    c, s = np.cos(turn), np.sin(turn)
    np.testing.assert_allclose(away.xy, shift + home.xy @ np.array([[c, s], [-s, c]]), atol=1e-9)
    np.testing.assert_allclose(wrap(away.yaw - home.yaw - turn), 0.0, atol=1e-9)
    np.testing.assert_allclose(away.velocity, home.velocity, atol=1e-9)


def test_each_plan_is_driven_as_if_alone_to_the_last_bit():
    plan, starts = wild_plans(), [car(speed=v) for v in (0.0, 2.0, 4.0, 8.0, 10.0, 12.0)]
    batch = CarState.unpacked(np.stack([start.packed() for start in starts]))
    together = simulate(plan, batch, vehicle=PACIFICA).packed()
    for k, start in enumerate(starts):
        one = Plan(xy=plan.xy[k : k + 1], yaw=plan.yaw[k : k + 1], dt=0.5)
        assert (simulate(one, start, vehicle=PACIFICA).packed()[0] == together[k]).all()


def test_fewer_steps_are_the_beginning_of_more():
    long = simulate(wild_plans(), car(), vehicle=PACIFICA).packed()
    short = simulate(wild_plans(), car(), vehicle=PACIFICA, steps=15).packed()
    assert (short == long[:, :16]).all()


def test_a_standing_car_told_to_stay_stays():
    plan = Plan(xy=np.zeros((1, 40, 2)), yaw=np.zeros((1, 40)), dt=0.1)
    path = simulate(plan, car(speed=0.0), vehicle=PACIFICA)
    assert not path.packed().any()


def test_the_reference_passes_through_the_poses_of_the_plan():
    plan = wild_plans()
    pose = reference_of(plan, car())
    np.testing.assert_allclose(pose[:, 5::5, :2], plan.xy, atol=1e-9)
    np.testing.assert_allclose(pose[:, 0], 0.0, atol=1e-12)


def test_coasting_goes_straight_on_at_the_last_speed():
    path = simulate(wild_plans(), car(), vehicle=PACIFICA)
    longer = coast(path, 9)
    assert longer.yaw.shape == (6, 50)
    assert (longer.packed()[:, :41] == path.packed()).all()
    ahead = path.velocity[:, -1, :1] * 0.9 * np.stack([np.cos(path.yaw[:, -1]), np.sin(path.yaw[:, -1])], -1)
    np.testing.assert_allclose(longer.xy[:, -1], path.xy[:, -1] + ahead, atol=1e-12)
    np.testing.assert_allclose(longer.velocity[:, -1, 0], path.velocity[:, -1, 0], atol=1e-12)
    assert not longer.acceleration[:, 41:].any()


@pytest.mark.shared
def test_golden_references_and_rollouts(shared):
    for number in range(SCENES):
        golden = golden_scene(shared, number)
        time_us = int(golden.npz["ego_time_us"])
        for prefix, poses, dt in (("nr", "traj_poses", 0.5), ("nr10", "traj10_poses", 0.1)):
            plan = golden.plans(poses, dt)
            reference = golden.npz[f"{prefix}_ref"]
            ours = reference_of(plan, golden.ego, start_time_us=time_us)
            ours[..., :2] += golden.npz["ego_state"][:2] - reference[..., :2]
            ours[..., 2] = wrap(ours[..., 2] - reference[..., 2])
            assert np.abs(ours).max() < 1e-9

            path = simulate(plan, golden.ego, vehicle=PACIFICA, start_time_us=time_us).packed()
            off = path - golden.local(golden.npz[f"{prefix}_sim"])
            off[..., 2] = wrap(off[..., 2])
            assert np.abs(off).max() < 1e-7


@pytest.mark.shared
def test_golden_speed_and_curvature_profiles(shared):
    fit, speed, curvature = speed_fit(40, 0.1), np.empty(40), np.empty(40)
    for number in range(SCENES):
        arrays = golden_scene(shared, number).npz
        for pose, v, k in zip(arrays["nr_ref"], arrays["nr_vel_profile"], arrays["nr_curv_profile"], strict=True):
            fit_speed(pose, fit, speed)
            fit_curvature(pose, speed, 0.1, curvature)
            np.testing.assert_allclose(speed, v, rtol=0, atol=1e-9)
            np.testing.assert_allclose(curvature, k, rtol=0, atol=1e-9)
