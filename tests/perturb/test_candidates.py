import numpy as np
import pytest

from simscale.perturb.candidates import DEFAULT, can_follow, cell_of, deviation_of, is_new_state, may_end_in_window
from simscale.scene import CarState


def poses_of(speed: np.ndarray, yaw_rate: float = 0.0) -> np.ndarray:
    """One candidate that drives at `speed [40]`, turning at a constant rate."""
    yaw = yaw_rate * 0.1 * np.arange(1, 41)
    step = np.stack([np.cos(yaw - yaw_rate * 0.05), np.sin(yaw - yaw_rate * 0.05)], -1) * speed[:, None] * 0.1
    return np.concatenate([np.cumsum(step, axis=0), yaw[:, None]], -1)[None]


def state(x=0.0, y=0.0, yaw=0.0) -> CarState:
    packed = np.zeros(11)
    packed[:3] = x, y, yaw
    return CarState.unpacked(packed)


@pytest.mark.parametrize(("accel", "follows"), [(0.0, True), (2.3, True), (2.5, False), (-2.0, True), (-4.2, False)])
def test_a_car_follows_what_it_can_accelerate_to(accel, follows):
    middle_of_step = (np.arange(40) + 0.5) * 0.1
    candidate = poses_of(17.0 + accel * middle_of_step)
    assert can_follow(candidate, speed=17.0).tolist() == [follows]


def test_the_first_acceleration_is_measured_from_the_present_speed():
    steady = poses_of(np.full(40, 10.0))
    assert can_follow(steady, speed=10.0).all()
    assert can_follow(steady, speed=9.5).all()
    assert not can_follow(steady, speed=9.0).any()
    assert not can_follow(steady, speed=11.5).any()


def test_a_car_cannot_turn_faster_than_its_tyres_hold():
    assert can_follow(poses_of(np.full(40, 5.0), yaw_rate=0.9), speed=5.0).all()
    assert not can_follow(poses_of(np.full(40, 5.0), yaw_rate=1.0), speed=5.0).any()
    assert not can_follow(poses_of(np.full(40, 10.0), yaw_rate=0.5), speed=10.0).any()


def test_deviation_is_seen_from_the_human():
    human = state(10.0, 5.0, np.pi / 2)
    ahead_and_left = CarState.unpacked(np.array([[9.0, 8.0, np.pi / 2 + 0.1] + [0.0] * 8]))
    np.testing.assert_allclose(deviation_of(ahead_and_left, human), [[3.0, 1.0, 0.1]], atol=1e-12)


def test_new_states_lie_between_the_tube_and_the_window():
    deviation = np.array([[0.0, 0.0, 0.0], [0.9, 0.3, 0.0], [1.1, 0.0, 0.0], [0.0, 0.0, 0.1], [0, 2.1, 0], [11, 0, 0]])
    assert is_new_state(deviation).tolist() == [False, False, True, True, False, False]


def test_a_candidate_that_can_end_in_the_window_is_never_dropped():
    generator = np.random.default_rng(0)
    poses = np.cumsum(generator.normal(size=(200, 40, 3)) * [1.0, 0.3, 0.02], axis=1)
    start, human = state(100.0, -50.0, 1.0), state(115.0, -30.0, 1.1)
    c, s = np.cos(start.yaw), np.sin(start.yaw)
    end = poses[:, -1]
    ends = np.zeros((200, 11))
    ends[:, 0] = start.xy[0] + c * end[:, 0] - s * end[:, 1]
    ends[:, 1] = start.xy[1] + s * end[:, 0] + c * end[:, 1]
    ends[:, 2] = end[:, 2] + start.yaw
    inside = is_new_state(deviation_of(CarState.unpacked(ends), human))
    assert (may_end_in_window(poses, start=start, human=human) | ~inside).all()


def test_cells_have_the_stated_sides():
    deviation = np.array([[0.1, 0.1, 0.01], [2.4, 0.4, 0.08], [2.6, 0.1, 0.01], [-0.1, 0.1, 0.01]])
    cells = cell_of(deviation)
    assert (cells[0] == cells[1]).all()
    assert (cells[2] - cells[0]).tolist() == [1, 0, 0]
    assert (cells[3] - cells[0]).tolist() == [-1, 0, 0]
    assert DEFAULT.cell_lon == 2.5
