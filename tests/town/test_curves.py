import numpy as np
import pytest

from simscale.geometry.angles import direction
from simscale.geometry.polylines import stations_of
from simscale.town.curves import beside, curvature_of, headings_of, join


@pytest.mark.parametrize("turn", [-2.0, -np.pi / 2, -0.8, 0.8, np.pi / 2, 2.0])
def test_a_turn_starts_and_ends_as_asked_and_never_jumps_in_curvature(turn):
    start, corner = np.array([3.0, -2.0]), np.array([3.0, -2.0]) + 12.0 * direction(np.float64(0.3))
    end = corner + 17.0 * direction(np.float64(0.3 + turn))

    line = join(start, 0.3, end, 0.3 + turn)

    np.testing.assert_array_equal(line[[0, -1]], [start, end])
    yaw = np.unwrap(headings_of(line))
    np.testing.assert_allclose(yaw[[0, -1]], [0.3, 0.3 + turn], atol=0.02)
    curvature = curvature_of(line)
    assert (np.sign(turn) * curvature > -0.01).all()
    assert np.abs(np.diff(curvature)).max() < 0.5 * np.abs(curvature).max()
    assert stations_of(line)[-1] < 12.0 + 17.0


def test_a_right_angle_of_twelve_metres_has_a_radius_that_a_car_can_drive():
    line = join(np.array([-12.0, 0.0]), 0.0, np.array([0.0, 12.0]), np.pi / 2)

    assert 8.0 < 1.0 / curvature_of(line).max() < 12.0


def test_a_wandering_street_leaves_and_arrives_straight():
    line = join(np.zeros(2), 0.0, np.array([100.0, 0.0]), 0.0, bulge=6.0)

    assert line[:, 1].max() == pytest.approx(6.0, abs=0.01)
    assert np.abs(curvature_of(line)[[0, -1]]).max() < 2e-3
    np.testing.assert_allclose(line[:, 1], line[::-1, 1], atol=1e-3)


def test_a_parallel_keeps_its_distance():
    line = join(np.zeros(2), 0.0, np.array([40.0, 40.0]), np.pi / 2)

    shifted = beside(line, headings_of(line), -1.75)

    nearest = np.hypot(*(shifted[:, None] - line[None]).transpose(2, 0, 1)).min(1)
    np.testing.assert_allclose(nearest, 1.75, atol=0.02)
