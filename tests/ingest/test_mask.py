"""Masks become polygons of the same area at the same place."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image

from simscale.ingest.mask import Mask, area_of, read_mask
from simscale.scene import BadInput


def mask(drivable):
    return Mask(drivable=np.asarray(drivable, dtype=bool), x_min=100.0, y_max=50.0, resolution=0.1)


def test_a_rectangle_lies_where_its_pixels_do():
    drawn = np.zeros((100, 200), dtype=bool)
    drawn[10:40, 20:120] = True
    area = area_of(mask(drawn))
    np.testing.assert_allclose(area.bounds, (102.0, 46.0, 112.0, 49.0), atol=1e-9)
    np.testing.assert_allclose(area.area, 30.0, atol=1e-9)


def test_random_blobs_keep_their_area_and_their_points():
    random = np.random.Generator(np.random.Philox(3))
    coarse = random.random((12, 15)) < 0.5
    drawn = np.kron(coarse, np.ones((20, 20), dtype=bool))  # cells of 2 m, some touch at a corner only
    area = area_of(mask(drawn))
    np.testing.assert_allclose(area.area, drawn.sum() * 0.01, rtol=0.01)
    row, column = np.nonzero(np.ones_like(coarse))
    inside = shapely.contains_xy(area, 100.0 + 2.0 * column + 1.0, 50.0 - 2.0 * row - 1.0)
    np.testing.assert_array_equal(inside, coarse.ravel())


def test_holes_stay_and_specks_go():
    drawn = np.ones((100, 100), dtype=bool)
    drawn[20:60, 20:60] = False  # 16 m^2
    drawn[80, 80] = False  # a speck
    drawn[:, 90] = False  # a crack of one pixel
    area = area_of(mask(drawn))
    assert len(shapely.get_parts(area)) == 1
    np.testing.assert_allclose(area.area, 100.0 - 16.0, rtol=0.005)


def test_a_slope_is_a_straight_line():
    row, column = np.mgrid[:300, :300]
    area = area_of(mask(column > row * 0.5))
    assert shapely.get_num_coordinates(area) < 20


def test_nothing_drivable_is_an_empty_area():
    assert area_of(mask(np.zeros((5, 5)))).is_empty


def write(folder, *, width=4, picture=True, **changed):
    entry = {"x_min": 0.0, "y_max": 1.0, "resolution_m": 0.1, "width": width, "height": 3} | changed
    (folder / "index.json").write_text(json.dumps({"a": entry}))
    if picture:
        Image.fromarray(np.eye(3, 4, dtype=np.uint8) * 255).convert("1").save(folder / "a.png")


def test_reading_finds_the_pixels(tmp_path):
    write(tmp_path)
    found = read_mask(tmp_path, "a")
    assert found is not None
    np.testing.assert_array_equal(found.drivable, np.eye(3, 4, dtype=bool))
    assert read_mask(tmp_path, "b") is None


@pytest.mark.parametrize(
    "damage", [{"width": 5}, {"picture": False}, {"x_min": "left"}, {"resolution_m": 0.0}, {"x_min": float("nan")}]
)
def test_damage_is_refused(tmp_path, damage):
    write(tmp_path, **damage)
    with pytest.raises(BadInput):
        read_mask(tmp_path, "a")


def test_a_truncated_picture_is_refused(tmp_path):
    write(tmp_path)
    raw = (tmp_path / "a.png").read_bytes()
    for length in (0, 10, 40, len(raw) // 2):
        (tmp_path / "a.png").write_bytes(raw[:length])
        with pytest.raises(BadInput):
            read_mask(tmp_path, "a")
