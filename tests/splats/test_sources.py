import dataclasses
import json
import struct

import numpy as np
import pytest
from PIL import Image
from sources import (
    LENS,
    SIZE,
    shot_pose,
    wall_colour,
    wall_points,
    write_colmap,
    write_kitti,
    write_nerfstudio,
)

from simscale.scene import BadInput
from simscale.splats.capture_images import photograph
from simscale.splats.capture_points import projected
from simscale.splats.capture_source import FORMS, capture_of
from simscale.splats.source_scene import read_sweep

WRITERS = {
    "nerfstudio": write_nerfstudio,
    "colmap text": lambda folder: write_colmap(folder, binary=False),
    "colmap binary": lambda folder: write_colmap(folder, binary=True),
}


def agreement(capture, frame: int) -> float:
    """Mean difference between a photograph and the wall's own colours where points of the wall appear, grey levels."""
    image = photograph(capture.frames, frame)
    pixel, depth = projected(wall_points(), capture.frames.world_from_camera[frame], image.intrinsics)
    at = np.round(pixel).astype(int)
    seen = (depth > 0) & (at >= 0).all(1) & (at < SIZE).all(1)
    assert seen.sum() > 10
    sharp = image.rgb[at[seen, 1], at[seen, 0]].astype(float)
    return float(np.abs(sharp - wall_colour(*wall_points()[seen, 1:].T)).mean())


@pytest.mark.parametrize("form", WRITERS)
def test_poses_and_lenses_are_those_of_the_pictures(tmp_path, form):
    capture = capture_of(WRITERS[form](tmp_path / "src"), hold_out_every=3)
    assert len(capture.frames) == 6 and not capture.metric
    for frame in range(6):
        np.testing.assert_allclose(capture.frames.world_from_camera[frame], shot_pose(frame), atol=1e-9)
        np.testing.assert_allclose(capture.frames.intrinsics[frame], LENS)
        assert agreement(capture, frame) < 12
    assert capture.frames.held_out.tolist() == [False, True, False] * 2


@pytest.mark.parametrize("binary", [False, True])
def test_points_of_colmap_come_with_their_colours(tmp_path, binary):
    capture = capture_of(write_colmap(tmp_path / "src", binary=binary))
    np.testing.assert_allclose(capture.points.xyz, wall_points(), atol=1e-6)
    np.testing.assert_array_equal(capture.points.rgb, wall_colour(*wall_points()[:, 1:].T).astype(np.uint8))


def test_a_stereo_pair_of_kitti_stands_on_the_road(tmp_path):
    capture = capture_of(write_kitti(tmp_path / "src"), hold_out_every=0)
    frames = capture.frames
    assert capture.metric and frames.camera == ("image_l", "image_r") * 6 and not frames.held_out.any()
    left, right = frames.world_from_camera[0], frames.world_from_camera[1]
    np.testing.assert_allclose(left[:3, :3], [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(left[:3, 3], [0, 0, 1.65], atol=1e-12)
    np.testing.assert_allclose(right[:3, 3] - left[:3, 3], 0.5 * left[:3, 0], atol=1e-12)  # the right one is right
    moved = dataclasses.replace(frames, world_from_camera=shot_pose(0) @ np.linalg.inv(left) @ frames.world_from_camera)
    assert max(agreement(dataclasses.replace(capture, frames=moved), f) for f in range(4)) < 12


def test_a_source_is_found_below_the_named_folder(tmp_path):
    write_kitti(tmp_path / "data" / "drive")
    assert capture_of(tmp_path).form == "KITTI odometry"
    write_nerfstudio(tmp_path / "data" / "house")
    with pytest.raises(BadInput, match=r"2 sources \(data/drive, data/house\)"):
        capture_of(tmp_path)


def test_anything_else_is_told_what_is_wanted(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(BadInput) as caught:
        capture_of(tmp_path)
    assert all(form.told_by in str(caught.value) for form in FORMS) and "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="missing"):
        capture_of(tmp_path / "absent")


def changed(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(camera_model="OPENCV_FISHEYE"), "camera_model"),
        (lambda c: c.update(k4=0.1), "camera_model"),
        (lambda c: c.update(fl_x=float("nan")), "fl_x"),
        (lambda c: c.update(fl_x=-3), "positive"),
        (lambda c: c.update(w=95), "96"),
        (lambda c: c.update(frames=[]), "frames"),
        (lambda c: c.update(frames="many"), "frames"),
        (lambda c: c["frames"][2].update(file_path="../secret.png"), "below the folder"),
        (lambda c: c["frames"][2].update(file_path="images/absent.png"), "missing"),
        (lambda c: c["frames"][1].update(transform_matrix=[[1, 0], [0, 1]]), "transform_matrix"),
        (lambda c: c["frames"][1]["transform_matrix"][0].__setitem__(0, 5.0), "rigid"),
        (lambda c: c["frames"][1]["transform_matrix"][0].__setitem__(3, 1e300), "transform_matrix"),
        (lambda c: c.update(ply_file_path="points.ply"), "missing"),
    ],
)
def test_a_wrong_transforms_file_gives_one_sentence(tmp_path, change, said):
    folder = write_nerfstudio(tmp_path / "src", 3)
    changed(folder / "transforms.json", change)
    with pytest.raises(BadInput, match=said) as caught:
        capture_of(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_photograph_of_another_size_or_kind_is_refused(tmp_path):
    folder = write_nerfstudio(tmp_path / "src", 3)
    (folder / "images" / "0001.png").write_bytes(b"not a picture")
    with pytest.raises(BadInput, match="not an image"):
        capture_of(folder)
    colmap = write_colmap(tmp_path / "model", 3, binary=True)
    Image.new("RGB", (50, 50)).save(colmap / "images" / "0001.png")
    with pytest.raises(BadInput, match="size"):
        capture_of(colmap)


def test_lenses_of_colmap(tmp_path):
    folder = write_colmap(tmp_path / "src", 2, binary=False)
    path = folder / "sparse" / "0" / "cameras.txt"
    path.write_text("1 SIMPLE_RADIAL 96 64 80 48 32 0.05\n")
    assert capture_of(folder).frames.distortion[0].tolist() == [0.05, 0, 0, 0, 0]
    path.write_text("1 FULL_OPENCV 96 64 80 80 48 32 .1 .2 .3 .4 .5 0 0 0\n")
    assert capture_of(folder).frames.distortion[0].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    for line in ("1 OPENCV_FISHEYE 96 64 80 80 48 32 0 0 0 0", "1 FULL_OPENCV 96 64 80 80 48 32 0 0 0 0 0 1 0 0"):
        path.write_text(line)
        with pytest.raises(BadInput, match="image_undistorter"):
            capture_of(folder)


def test_counts_that_a_binary_file_cannot_hold_are_refused(tmp_path):
    folder = write_colmap(tmp_path / "src", 2, binary=True)
    for name in ("cameras", "images", "points3D"):
        path = folder / "sparse" / "0" / f"{name}.bin"
        whole = path.read_bytes()
        path.write_bytes(struct.pack("<Q", 10**12) + whole[8:])
        with pytest.raises(BadInput, match="bytes can hold"):
            capture_of(folder)
        for end in range(0, len(whole), max(len(whole) // 40, 1)):
            path.write_bytes(whole[:end])
            with pytest.raises(BadInput):
                capture_of(folder)
        path.write_bytes(whole)
    assert len(capture_of(folder).frames) == 2


def test_a_wrong_sequence_gives_one_sentence(tmp_path):
    folder = write_kitti(tmp_path / "src", 3)
    whole = (folder / "poses.txt").read_text()
    for text, said in (("", "no pose"), ("1 2 3", "line 1"), ("x " * 12, "line 1"), (whole + "\n" + whole, "files")):
        (folder / "poses.txt").write_text(text)
        with pytest.raises(BadInput, match=said):
            capture_of(folder)
    (folder / "poses.txt").write_text(whole)
    (folder / "calib.txt").write_text("P0: 0 0 0 0 0 0 0 0 0 0 1 0")
    with pytest.raises(BadInput, match="pinhole"):
        capture_of(folder)


@pytest.mark.shared
def test_the_real_sequence_and_the_real_rig_are_read(shared):
    kitti = capture_of(shared / "data" / "kitti_odometry_stereo", hold_out_every=5)
    assert len(kitti.frames) == 102 and kitti.frames.held_out.sum() == 20
    went = kitti.frames.world_from_camera[-2, :3, 3] - kitti.frames.world_from_camera[0, :3, 3]
    assert 59 < went[0] < 61 and abs(went[2]) < 2  # 60 m ahead, on the road
    rig = capture_of(shared / "data" / "tri_dgp_multicam" / "test_scene" / "scene_02")
    assert len(rig.frames) == 18 and len(rig.sweeps) == 3 and len(rig.agents) == 13
    assert np.abs(rig.sweeps.xyz).max() < 1000


@pytest.mark.shared
def test_a_sweep_of_argoverse_is_read(shared):
    (path, *_) = sorted((shared / "data" / "argoverse2").rglob("lidar/*.feather"))
    xyz = read_sweep(path)
    assert len(xyz) > 50_000 and np.abs(xyz).max() < 300


def test_points_of_nerfstudio_come_from_its_ply(tmp_path):
    folder = write_nerfstudio(tmp_path / "src", 2, ply_file_path="points.ply")
    lines = ["ply", "format ascii 1.0", "element vertex 2", *(f"property double {axis}" for axis in "xyz")]
    lines += [*(f"property uchar {colour}" for colour in ("red", "green", "blue")), "end_header"]
    (folder / "points.ply").write_text("\n".join([*lines, "8 1 2 10 20 30", "8 -1 2 255 0 0"]) + "\n")
    points = capture_of(folder).points
    np.testing.assert_array_equal(points.xyz, [[8, 1, 2], [8, -1, 2]])
    np.testing.assert_array_equal(points.rgb, [[10, 20, 30], [255, 0, 0]])
    (folder / "points.ply").write_text("\n".join([*lines, "8 1 2 10 20 30", "8 1e300 2 255 0 0"]) + "\n")
    with pytest.raises(BadInput, match="huge"):
        capture_of(folder)
