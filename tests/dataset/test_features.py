"""What planners read: camera and LiDAR features against the reference's numbers, and what is refused."""

import numpy as np
import pytest

from simscale.dataset.features import camera_feature, lidar_feature, rig_mapping
from simscale.evaluate.golden_recipe import photo, point_cloud, read_recipe
from simscale.render import navsim_rig, scaled
from simscale.render.panorama import PLANNER_CAMERAS
from simscale.render.rigs import chosen
from simscale.scene import BadInput


@pytest.mark.shared
@pytest.mark.parametrize(("case", "size"), [("builders", (512, 2048)), ("builders_navsim", (256, 1024))])
def test_camera_and_lidar_features_are_the_references(shared, case, size):
    folder = shared / "golden/planners"
    name = read_recipe(folder).prefix + case
    with np.load(folder / f"{case}.npz") as file:
        expected = dict(file)
    images = {camera: photo(f"{name}-{camera.lower()}") for camera in PLANNER_CAMERAS}
    found = camera_feature(images, size)
    np.testing.assert_array_equal(found[:, ::8, ::8], expected["camera_strided"])
    np.testing.assert_allclose((found / 255).mean(axis=(1, 2)), expected["camera_mean"], atol=1e-7)
    lidar = lidar_feature(point_cloud(f"{name}-lidar"))
    np.testing.assert_array_equal(lidar * 5, expected["lidar_hist_x5"])


def test_points_count_in_their_cell_from_0_to_1_unless_on_the_ground_or_far():
    points = np.array([[1.1, -2.1, 1.0]] * 3 + [[1.1, -2.1, 0.1], [40.0, 0.0, 1.0], [0.0, 0.0, 200.0]])
    found = lidar_feature(np.concatenate([points, np.tile([[-31.9, 31.9, 2.0]], (9, 1))]))
    assert found.shape == (1, 256, 256) and found.dtype == np.float32
    assert found[0, (32 + 1) * 4, (32 - 3) * 4 + 3] == np.float32(0.6) and found[0, 0, 255] == 1.0
    assert np.count_nonzero(found) == 2


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


def refused(call, *words: str) -> None:
    with pytest.raises(BadInput) as error:
        call()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_missing_camera_and_another_size_are_named():
    two = {name: black(1080, 1920) for name in PLANNER_CAMERAS[:2]}
    refused(lambda: camera_feature(two, (64, 256), where="token-1"), "token-1", "without CAM_R0", "CAM_L0, CAM_F0")
    small = {**two, "CAM_R0": black(540, 960)}
    refused(lambda: camera_feature(small, (64, 256)), "CAM_R0", "(540, 960, 3)", "(1080, 1920, 3)")
    front = chosen(navsim_rig(), "CAM_F0")
    refused(lambda: rig_mapping(front, (64, 256), where="a log"), "a log", "CAM_F0 show", "covers the front")


def test_another_rig_needs_all_its_cameras_in_their_sizes():
    rig = scaled(navsim_rig(), size=(480, 270))
    mapping = rig_mapping(rig, (64, 256))
    images = {name: black(270, 480) for name in rig.name}
    assert camera_feature(images, (64, 256), panorama=mapping).shape == (3, 64, 256)
    images["CAM_B0"] = black(1080, 1920)
    refused(lambda: camera_feature(images, (64, 256), panorama=mapping), "CAM_B0", "(270, 480, 3)")
