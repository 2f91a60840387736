"""The grid only saves asking: whatever it says is what the polygons say."""

import numpy as np
import pytest

from scoring.test_ring_index import star
from simscale.geometry.polygons import ragged
from simscale.scoring.ring_index import ring_holds, ring_index
from simscale.scoring.road_grid import (
    DRIVABLE,
    INTERSECTION,
    LANE,
    NO_LANE,
    ON_ROUTE,
    REACH,
    RoadGrid,
    cell_at,
    is_on,
    road_grid,
)

BITS = (DRIVABLE, ON_ROUTE, INTERSECTION, LANE)


def grid_of(rings: list[np.ndarray], rng: np.random.Generator) -> RoadGrid:
    drivable, on_route, intersection, lane = rng.uniform(size=(4, len(rings))) < 0.5
    flags = {"drivable": drivable, "on_route": on_route, "intersection": intersection, "lane": lane}
    return road_grid(ring_index(*ragged(rings)), **flags)


def assert_tells_the_truth(grid: RoadGrid, points: np.ndarray) -> None:
    for x, y in points:
        holding = [m for m in range(len(grid.meaning)) if ring_holds(grid.rings, m, x, y)]
        cell = cell_at(grid, x, y)
        for bit in BITS:
            assert is_on(grid, bit, cell, x, y) == any(grid.meaning[m] & bit for m in holding)
        if cell < 0:
            continue
        entries = range(grid.entry_of_cell[cell], grid.entry_of_cell[cell + 1])
        assert set(holding) <= {int(grid.ring[e]) for e in entries}
        assert {int(grid.ring[e]) for e in entries if grid.covers[e]} <= set(holding)
        lanes = [m for m in holding if grid.meaning[m] & LANE]
        if grid.lane[cell] >= NO_LANE:
            assert lanes == ([grid.lane[cell]] if grid.lane[cell] >= 0 else [])


@pytest.mark.parametrize("seed", range(4))
def test_points_among_blobs(seed):
    rng = np.random.default_rng(seed)
    rings = [star(rng, 12, tuple(rng.uniform(-60, 60, 2)), rng.uniform(2, 30)) for _ in range(60)]
    grid = grid_of(rings, rng)
    assert_tells_the_truth(grid, rng.uniform(-95, 95, (800, 2)))
    assert_tells_the_truth(grid, np.concatenate(rings))  # vertices
    assert_tells_the_truth(grid, rng.integers(-70, 70, (500, 2)).astype(float))  # corners of cells


def test_polygons_that_reach_beyond_the_grid_and_around_it():
    rng = np.random.default_rng(7)
    far, out = 3.0 * REACH, 1e7
    rings = [
        star(rng, 9, (0.0, 0.0), 6 * far),
        np.array([[-far, -5.0], [far, -7.0], [far, 4.0], [-far, 6.0]]),
        np.array([[3.0, -far], [9.0, -far], [9.0, far], [3.0, far]]),
        np.array([[-out, -out], [out, -out], [out, out], [-out, out]]),
        np.array([[-20.0, 30.0], [20.0, 30.0], [20.0, out], [-20.0, out]]),
        np.array([[out, out], [out + 9.0, out], [out, out + 9.0]]),
    ]
    grid = grid_of(rings, rng)
    assert grid.cells.max() <= 2 * REACH + 2
    assert_tells_the_truth(grid, rng.uniform(-far, far, (800, 2)))
    assert_tells_the_truth(grid, rng.uniform(-REACH, REACH, (800, 2)))


def test_nothing_is_anywhere_without_polygons():
    grid = grid_of([], np.random.default_rng(0))
    assert cell_at(grid, 0.0, 0.0) == -1
    assert not is_on(grid, DRIVABLE, -1, 0.0, 0.0)
    assert cell_at(grid_of([np.zeros((5, 2))], np.random.default_rng(0)), np.nan, 0.0) == -1
