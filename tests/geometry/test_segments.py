"""Distances of segments, rings and boxes, against Shapely; and the order of its tree."""

import numpy as np
import pytest
import shapely

from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import stations_of
from simscale.geometry.segments import (
    box_off_box,
    nearest_along,
    rings_hold,
    rings_off_box,
    segments_of_lines,
    segments_of_rings,
)
from simscale.geometry.tree_order import tree_order

Array = np.ndarray
CASES = 400


def some_boxes(rng: np.random.Generator) -> list[Array]:
    """x, y, yaw, length, width; sizes down to those of a cone."""
    return [np.append(rng.uniform([-7, -7, -4], [7, 7, 4]), rng.uniform(0.1, 6.0, 2)) for _ in range(2)]


def as_kernels_take_it(x: float, y: float, yaw: float, length: float, width: float) -> tuple[float, ...]:
    return x, y, np.cos(yaw), np.sin(yaw), length / 2, width / 2


def as_polygon(x: float, y: float, yaw: float, length: float, width: float) -> shapely.Polygon:
    values = (np.array([v]) for v in (yaw, length, width))
    return shapely.Polygon(corners_of(np.array([[x, y]]), *values)[0])


def star(rng: np.random.Generator) -> Array:
    """A ring of up to 60 vertices, seldom convex."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 60))))
    spokes = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(1, 8, (len(angle), 1))
    return spokes + rng.uniform(-8, 8, 2)


def test_distances_between_boxes_are_shapelys():
    rng = np.random.Generator(np.random.Philox(3))
    overlapping = 0
    for _ in range(CASES):
        one, two = some_boxes(rng)
        ours = np.sqrt(box_off_box(as_kernels_take_it(*one), as_kernels_take_it(*two)))
        exact = as_polygon(*one).distance(as_polygon(*two))
        assert ours == pytest.approx(exact, abs=1e-12)
        assert (ours == 0) == (exact == 0)
        overlapping += exact == 0
    assert 20 < overlapping < CASES - 20


def test_distances_from_polygons_are_shapelys():
    rng = np.random.Generator(np.random.Philox(4))
    for _ in range(CASES):
        rings, box = [star(rng), np.zeros((0, 2)), star(rng)], some_boxes(rng)[0]
        for group, ring in enumerate(rings):
            polygon = shapely.Polygon(ring)
            if len(ring) == 0 or not polygon.is_valid:
                continue
            ours = np.sqrt(rings_off_box(segments_of_rings(rings), group, as_kernels_take_it(*box), np.inf))
            assert ours == pytest.approx(polygon.distance(as_polygon(*box)), abs=1e-12)
            assert rings_hold(segments_of_rings(rings), group, *box[:2]) == polygon.contains(shapely.Point(box[:2]))


def test_what_is_far_may_be_left_out_and_what_is_near_not():
    rng = np.random.Generator(np.random.Philox(5))
    for _ in range(CASES):
        ring, box, enough = star(rng), as_kernels_take_it(*some_boxes(rng)[0]), rng.uniform(0, 9)
        segments = segments_of_rings([ring])
        whole, part = (rings_off_box(segments, 0, box, limit) for limit in (np.inf, enough))
        assert part == whole if whole <= enough else part > enough


def test_the_nearest_place_on_a_line_is_shapelys():
    rng = np.random.Generator(np.random.Philox(6))
    for _ in range(CASES):
        lines = np.cumsum(rng.normal(0.3, 1.0, (2, 70, 2)), axis=1)
        point = rng.uniform(-5, 25, 2)
        for group, line in enumerate(lines):
            i, share = nearest_along(segments_of_lines(lines), group, *point)
            i -= group * 69
            station = stations_of(line)
            ours = station[i] + share * (station[i + 1] - station[i])
            assert ours == pytest.approx(shapely.LineString(line).project(shapely.Point(point)), abs=1e-9)


def test_a_repeated_vertex_is_no_trouble():
    line = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    assert nearest_along(segments_of_lines(line[None]), 0, 1.5, 1.0) == (2, 0.5)


def test_the_tree_answers_in_the_order_of_shapelys():
    rng = np.random.Generator(np.random.Philox(8))
    for count in [0, 1, 2, 9, 10, 11, 20, 21, 99, 101, 350, 1500]:
        low = rng.uniform(-100, 100, (count, 2))
        bounds = np.concatenate([low, low + rng.uniform(0, 9, (count, 2))], axis=1)
        answers = shapely.STRtree(shapely.box(*bounds.T)).query(shapely.box(-200, -200, 200, 200))
        np.testing.assert_array_equal(np.argsort(tree_order(bounds)), answers)
