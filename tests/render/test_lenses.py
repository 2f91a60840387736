import numpy as np

from simscale.render.lenses import directions_of, distorted, undistorted
from simscale.render.rigs import NAVSIM_DISTORTION, navsim_rig


def test_undistortion_undoes_distortion():
    xy = np.stack(np.meshgrid(np.linspace(-0.7, 0.7, 15), np.linspace(-0.4, 0.4, 9)), axis=-1)
    lens = np.array(NAVSIM_DISTORTION)
    np.testing.assert_allclose(undistorted(distorted(xy, lens), lens), xy, atol=1e-9)
    assert np.abs(distorted(xy, lens) - xy).max() > 0.02


def test_the_principal_point_looks_straight_ahead_and_pixels_project_back():
    rig = navsim_rig(0.1)
    ray = directions_of(rig.intrinsics[0], rig.distortion[0], width=192, height=108)
    np.testing.assert_allclose(np.linalg.norm(ray, axis=-1), 1.0, atol=1e-12)
    pixel = ray @ rig.intrinsics[0].T
    pixel = pixel[..., :2] / pixel[..., 2:]
    np.testing.assert_allclose(pixel[7, 33], [33, 7], atol=1e-9)


def test_more_rays_a_pixel_average_to_its_centre():
    rig = navsim_rig(0.05)
    one = directions_of(rig.intrinsics[0], rig.distortion[0], width=96, height=54)
    two = directions_of(rig.intrinsics[0], rig.distortion[0], width=96, height=54, side=2)
    plane = two[..., :2] / two[..., 2:]
    mean = plane.reshape(54, 2, 96, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(mean, one[..., :2] / one[..., 2:], atol=1e-9)
