import numpy as np
import pytest

from simscale.dynamics.profiles import fit_curvature, fit_speed, speed_fit

DT = 0.1


def arc(speed: float, curvature: float, steps: int = 40) -> np.ndarray:
    yaw = speed * curvature * DT * np.arange(steps + 1)
    step = speed * DT * np.stack([np.cos(yaw[:-1]), np.sin(yaw[:-1])], -1)
    xy = np.concatenate([[[0.0, 0.0]], np.cumsum(step, axis=0)])
    return np.column_stack([xy, (yaw + np.pi) % (2 * np.pi) - np.pi])


def fitted(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    speed, curvature = np.empty(len(pose) - 1), np.empty(len(pose) - 1)
    fit_speed(pose, speed_fit(len(pose) - 1, DT), speed)
    fit_curvature(pose, speed, DT, curvature)
    return speed, curvature


def test_a_steady_circle_has_its_speed_and_curvature():
    speed, curvature = fitted(arc(8.0, 0.05))
    np.testing.assert_allclose(speed, 8.0, atol=1e-6)
    np.testing.assert_allclose(curvature, 0.05, atol=1e-6)


def test_a_standing_car_has_neither():
    speed, curvature = fitted(np.zeros((41, 3)))
    assert not speed.any()
    assert not curvature.any()


@pytest.mark.parametrize("seed", range(3))
def test_the_sweep_agrees_with_the_dense_equations_in_curvature_rates(seed):
    rng = np.random.default_rng(seed)
    pose = arc(6.0, 0.02) + rng.normal(0, 0.05, (41, 3))
    speed, curvature = fitted(pose)

    before = np.tril(np.ones((40, 39)), -1)
    curvature_of = np.column_stack([np.ones(40), DT * before])
    turned = (speed * DT)[:, None] * curvature_of
    penalty = np.diag([1e-10] + [1e-2] * 39)
    turn = (np.diff(pose[:, 2]) + np.pi) % (2 * np.pi) - np.pi
    unknown = np.linalg.solve(turned.T @ turned + penalty, turned.T @ turn)
    np.testing.assert_allclose(curvature, curvature_of @ unknown, atol=1e-9)


def test_the_speed_fit_keeps_the_reference_slip():
    """A proper difference penalty would leave a constant acceleration untouched; the reference's shrinks it."""
    distance = 0.5 * 2.0 * (DT * np.arange(41)) ** 2
    pose = np.column_stack([distance, np.zeros(41), np.zeros(41)])
    speed, _ = fitted(pose)
    assert 0.01 < np.abs(speed - np.diff(distance) / DT).max() < 3.0
