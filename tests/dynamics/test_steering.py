import numpy as np

from simscale.dynamics import simulate, with_steering
from simscale.scene import PACIFICA, CarState, Plan


def turning(speed: float, yaw_rate: float) -> CarState:
    packed = np.zeros(11)
    packed[3], packed[9], packed[10] = speed, yaw_rate, 5.0
    return CarState.unpacked(packed)


def test_the_wheels_explain_the_yaw_rate():
    state = with_steering(turning(8.0, 0.3), vehicle=PACIFICA)
    np.testing.assert_allclose(8.0 * np.tan(state.steer) / PACIFICA.wheel_base, 0.3, atol=1e-12)
    assert state.yaw_accel == 0.0


def test_a_car_that_hardly_moves_has_straight_wheels():
    assert with_steering(turning(0.3, 0.2), vehicle=PACIFICA).steer == 0.0


def test_a_car_in_a_bend_follows_it_closer():
    radius, speed = 20.0, 6.0
    angle = speed / radius * 0.1 * np.arange(1, 41)
    xy = radius * np.stack([np.sin(angle), 1 - np.cos(angle)], -1)
    plan = Plan(xy=xy[None], yaw=angle[None], dt=0.1)
    start = turning(speed, speed / radius)

    def error(start: CarState) -> float:
        path = simulate(plan, start, vehicle=PACIFICA)
        return np.hypot(*(path.xy[0, 1:] - xy).T).max()

    assert error(with_steering(start, vehicle=PACIFICA)) < 0.8 * error(start)
