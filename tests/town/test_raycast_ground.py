import numpy as np
import pytest
import shapely

from sceneries import areas_of, lines_of, rectangle, sample_scenery
from simscale.town.raycast_ground import BAND, CELL, GRASS, PAVING, ROAD, extent_of, ground_raster, shadow_raster
from simscale.town.raycast_paint import LEVELS, TEXEL, paint_of
from simscale.town.scenery import AreaKind, Areas, PaintLines, no_rows


def levels_of(paint):
    """Painted area at every level, m^2."""
    ends = [*paint.first[1:, 0].tolist(), len(paint.index)]
    areas = []
    for level in range(LEVELS):
        slots = paint.index[paint.first[level, 0] : ends[level]]
        share = paint.texel[slots[slots >= 0]].astype(float).sum() / 255
        areas.append(share * (TEXEL * 2**level) ** 2)
    return areas


@pytest.mark.parametrize("yaw", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("dash", "gap", "share"), [(0.0, 0.0, 1.0), (3.0, 4.5, 0.4)])
def test_a_line_covers_its_area_at_every_level(yaw, dash, gap, share):
    along = np.array([np.cos(yaw), np.sin(yaw)])
    line = np.array([[1.0, 2.0], [1.0, 2.0] + 75.0 * along])
    low, high = extent_of([line], margin=20.0)
    paint = paint_of(no_rows(Areas), lines_of([(line, 0.15, dash, gap, 0)]), low, high)
    for area in levels_of(paint):
        assert area == pytest.approx(75.0 * 0.15 * share, rel=0.03)


def test_a_painted_ring_covers_its_area():
    triangle = np.array([[0.0, 0.0], [2.0, 0.3], [0.7, 1.5]])
    low, high = extent_of([triangle], margin=20.0)
    paint = paint_of(areas_of([(AreaKind.WHITE_PAINT, triangle)]), no_rows(PaintLines), low, high)
    assert levels_of(paint)[0] == pytest.approx(shapely.Polygon(triangle).area, rel=0.02)


def test_borders_are_signed_distances():
    scenery = sample_scenery()
    low, high = extent_of([scenery.areas.xy], margin=20.0)
    raster = ground_raster(scenery.areas, scenery.lines, low, high)
    road = shapely.union_all(
        [rectangle_of(-100, -5, 100, 5), rectangle_of(25, -100, 35, 100), rectangle_of(-40, 5, -10, 7.4)]
    )
    bare = shapely.union_all([road, rectangle_of(-100, -8.5, 100, 8.5), rectangle_of(21.5, -100, 38.5, 100)])
    paving = rectangle_of(-40, 5, -10, 7.4)
    rng = np.random.default_rng(0)
    rows, columns = raster.border.shape[:2]
    for row, column in zip(rng.integers(rows, size=800), rng.integers(columns, size=800), strict=True):
        point = shapely.Point(raster.origin + CELL * np.array([column, row]))
        for channel, shape in ((ROAD, road), (GRASS, bare), (PAVING, paving)):
            distance = min(shape.boundary.distance(point), BAND)
            found = raster.border[row, column, channel] / 1000
            assert abs(found) == pytest.approx(distance, abs=1e-3)
            if distance > 1e-3:
                assert (found < 0) == shape.contains(point)


def rectangle_of(*corners: float) -> shapely.Polygon:
    return shapely.Polygon(rectangle(*corners))


def test_shadows_cover_their_area_at_every_level():
    ring = np.array([[3.0, 3.0], [9.0, 4.0], [8.0, 8.0], [4.0, 7.0]])
    levels = shadow_raster([ring], np.zeros((0, 6)), np.zeros(2), (64, 64))
    for level, cover in enumerate(levels):
        area = cover.astype(float).sum() / 255 * (CELL * 2**level) ** 2
        assert area == pytest.approx(shapely.Polygon(ring).area, rel=0.02)
