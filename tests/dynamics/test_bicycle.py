import numpy as np

from simscale.dynamics.bicycle import MAX_STEER, bicycle_step
from simscale.scene.car import AX, STEER, VX, VY, YAW, YAW_RATE, X, Y

DT, WHEEL_BASE = 0.1, 3.0


def stepped(state: np.ndarray, accel: float, rate: float, steps: int = 1) -> np.ndarray:
    for _ in range(steps):
        after = np.empty(11)
        bicycle_step(state, accel, rate, WHEEL_BASE, DT, after)
        state = after
    return state


def test_acceleration_approaches_its_command_as_a_lag():
    state = np.zeros(11)
    for step in range(1, 6):
        state = stepped(state, 1.5, 0.0)
        np.testing.assert_allclose(state[AX], 1.5 * (1 - (2 / 3) ** step), atol=1e-12)


def test_position_moves_with_the_old_speed_and_heading():
    state = np.zeros(11)
    state[VX], state[YAW], state[VY] = 5.0, np.pi / 2, 0.7
    after = stepped(state, 3.0, 0.0)
    np.testing.assert_allclose(after[[X, Y]], [0.0, 0.5], atol=1e-12)
    assert after[VY] == 0.0


def test_a_held_wheel_turns_at_speed_times_tangent_over_wheel_base():
    state = np.zeros(11)
    state[VX], state[STEER] = 4.0, 0.2
    after = stepped(state, 0.0, 0.0)
    np.testing.assert_allclose(after[YAW], 4.0 * np.tan(0.2) / WHEEL_BASE * DT, atol=1e-12)
    np.testing.assert_allclose(after[YAW_RATE], 4.0 * np.tan(0.2) / WHEEL_BASE, atol=1e-12)


def test_the_wheel_stops_at_its_limit():
    assert stepped(np.zeros(11), 0.0, 5.0, steps=20)[STEER] == MAX_STEER
