import numpy as np
import pytest

from simscale.render import cropped, navsim_rig, planner_view, scaled
from simscale.render.lenses import directions_of
from simscale.render.rigs import chosen


def rays(cameras, c=0):
    width, height = cameras.size_px[c]
    return directions_of(cameras.intrinsics[c], cameras.distortion[c], width=int(width), height=int(height))


def test_the_rig_looks_where_navsims_cameras_look():
    rig = navsim_rig()
    forward = rig.ego_from_camera[:, :3, 2]
    yaw = np.rad2deg(np.arctan2(forward[:, 1], forward[:, 0]))
    expected = [0, 55, 110, 148, -55, -110, -148, 180]
    np.testing.assert_allclose(np.abs((yaw - expected + 180) % 360 - 180), 0, atol=1e-9)
    np.testing.assert_allclose(forward[:, 2], 0, atol=1e-12)
    view = 2 * np.rad2deg(np.arctan(960 / rig.intrinsics[0, 0, 0]))
    assert view == pytest.approx(63.7, abs=0.1)


def test_a_crop_looks_along_the_very_rays_of_its_original():
    rig = navsim_rig(0.1)
    part = cropped(rig, left=20, right=30, top=5, bottom=7)
    np.testing.assert_allclose(rays(part), rays(rig)[5:-7, 20:-30], atol=1e-12)


def test_a_scaled_pixel_looks_along_the_middle_of_those_it_covers():
    rig = chosen(navsim_rig(), "CAM_F0")
    small = scaled(rig, size=(192, 108))
    plane = rays(rig)[..., :2] / rays(rig)[..., 2:]
    mean = plane.reshape(108, 10, 192, 10, 2).mean(axis=(1, 3))
    found = rays(small)[..., :2] / rays(small)[..., 2:]
    np.testing.assert_allclose(found, mean, atol=1e-9)


@pytest.mark.parametrize("size", [(64, 256), (256, 1024), (512, 2048)])
def test_the_planners_view_covers_the_three_crops(size):
    view = planner_view(navsim_rig(), size)
    assert view.name == ("CAM_L0", "CAM_F0", "CAM_R0")
    assert view.size_px[:, 0].sum() == size[1] and (view.size_px[:, 1] == size[0]).all()
    np.testing.assert_array_equal(view.size_px[:, 0] * 4096 // size[1], [1088, 1920, 1088])


def test_a_rig_without_a_side_camera_makes_no_planners_view():
    with pytest.raises(ValueError, match="CAM_L0"):
        planner_view(chosen(navsim_rig(), "CAM_F0", "CAM_R0"))
