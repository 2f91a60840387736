import numpy as np
import pytest
import shapely

from simscale.geometry.polygons import ragged
from simscale.scoring.ring_index import ring_bounds, ring_holds, ring_index


def star(rng: np.random.Generator, vertices: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    reach = radius * rng.uniform(0.3, 1.0, vertices)
    return np.array(centre) + np.stack([reach * np.cos(angle), reach * np.sin(angle)], -1)


@pytest.mark.parametrize("vertices", [3, 4, 11, 400, 5000])
def test_agrees_with_strict_containment(vertices):
    rng = np.random.default_rng(vertices)
    rings = [star(rng, vertices, (20.0 * i, -10.0), 30.0) for i in range(3)]
    index = ring_index(*ragged(rings))
    points = rng.uniform([-40, -50], [80, 30], (2000, 2))
    for m, ring in enumerate(rings):
        polygon = shapely.Polygon(ring)
        wanted = shapely.contains_xy(polygon, points)
        assert wanted.any() and not wanted.all()
        assert [ring_holds(index, m, x, y) for x, y in points] == wanted.tolist()


def test_points_on_edges_and_vertices_are_outside():
    rng = np.random.default_rng(2)
    # Whole and half numbers: points hit edges and vertices exactly, horizontal and sloping ones.
    ring = np.array([[0, 0], [4, 0], [4, 2], [6, 4], [2, 4], [2, 2], [0, 2]], dtype=float)
    index = ring_index(*ragged([ring]))
    polygon = shapely.Polygon(ring)
    points = rng.integers(-2, 14, (500, 2)) / 2
    wanted = shapely.contains_properly(polygon, shapely.points(points))
    assert [ring_holds(index, 0, x, y) for x, y in points] == wanted.tolist()


def test_empty_and_degenerate_rings_hold_nothing():
    rings = [np.zeros((0, 2)), np.array([[0.0, 0.0], [1.0, 1.0]]), np.zeros((5, 2))]
    index = ring_index(*ragged(rings))
    assert not any(ring_holds(index, m, 0.0, 0.0) for m in range(3))
    assert ring_bounds(*ragged(rings))[0, 0] == np.inf
