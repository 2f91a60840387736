"""Projection on a line against the plainest search for the nearest segment."""

import numpy as np
import pytest

from simscale.geometry.polylines import project, stations_of


def plainly_projected(xy: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    start, step = xy[:-1], np.diff(xy, axis=0)
    squared = (step**2).sum(-1)
    off = points[:, None] - start
    share = np.clip((off * step).sum(-1) / np.where(squared > 0, squared, 1.0), 0.0, 1.0)
    away = off - share[..., None] * step
    i = np.argmin((away**2).sum(-1), axis=1)
    n = np.arange(len(points))
    side = np.where(step[i, 0] * off[n, i, 1] - step[i, 1] * off[n, i, 0] >= 0, 1.0, -1.0)
    return stations_of(xy)[i] + share[n, i] * np.sqrt(squared[i]), side * np.hypot(*away[n, i].T)


@pytest.mark.parametrize("vertices", [2, 3, 17, 300])
def test_the_nearest_point_is_found(vertices):
    rng = np.random.default_rng(vertices)
    xy = np.cumsum(rng.normal(0.3, 1.0, (vertices, 2)), axis=0)
    points = np.concatenate([xy[rng.integers(0, vertices, 500)] + rng.normal(0, 3.0, (500, 2)), xy])
    station, side = project(xy, points)
    wanted_station, wanted_side = plainly_projected(xy, points)
    np.testing.assert_allclose(np.abs(side), np.abs(wanted_side), atol=1e-9)
    clear = np.abs(wanted_side) > 1e-6
    np.testing.assert_allclose(side[clear], wanted_side[clear], atol=1e-9)
    np.testing.assert_allclose(station, wanted_station, atol=1e-9)


def test_the_first_of_several_nearest_counts():
    there_and_back = np.array([[0.0, 0.0], *[[10.0 + i, 0.0] for i in range(40)], [10.0, 0.0], [0.0, 0.0]])
    station, side = project(there_and_back, np.array([[30.0, 0.0], [5.0, 2.0], [49.0, -1.0]]))
    np.testing.assert_allclose(station, [30.0, 5.0, 49.0])
    np.testing.assert_allclose(side, [0.0, 2.0, -1.0])


def test_a_repeated_vertex_is_no_obstacle():
    station, side = project(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[1.5, -0.5]]))
    np.testing.assert_allclose([station[0], side[0]], [1.5, -0.5])
