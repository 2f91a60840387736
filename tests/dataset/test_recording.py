import dataclasses

import numpy as np
import pytest

from command import asked, told
from simscale.dataset.recording import RecordingSettings, record, recorded_instants
from simscale.dataset.renderers import raycast
from simscale.dataset.truth import images_from
from simscale.render.lidar import roof_lidar
from simscale.scene import BadInput
from simscale.scene.file import read_scene, write_scene
from simscale.splats.capture_images import photograph
from simscale.splats.capture_points import coloured, nearest_sweep, seen_points
from simscale.splats.capture_source import capture_of
from simscale.splats.capture_start import start_points
from simscale.town import TownSettings, scenery_of, town_of
from simscale.town.drive import scenes_of
from simscale.town.scenery_file import write_scenery

TOWN = TownSettings(size=270.0, drives=1, duration=1.2)
SETTINGS = RecordingSettings(size=(96, 54), image_every=4, sweep_every=4, rays=1, quality=100)


pytestmark = pytest.mark.slow  # a town is drawn


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A second of a drive: 4 instants of 3 cameras and a LiDAR."""
    folder = tmp_path_factory.mktemp("recorded")
    town = town_of(5, settings=TOWN)
    write_scenery(scenery_of(town), folder)
    (scene,) = scenes_of(town, settings=TOWN)
    caster = raycast(scene, folder, rays=1)
    lidar = roof_lidar(beams=32, columns=720)
    return folder, write_scene(record(scene, folder, caster, settings=SETTINGS, lidar=lidar), folder), caster


def test_a_recorded_scene_is_a_capture(recorded):
    _, path, _ = recorded
    scene = read_scene(path)
    assert recorded_instants(scene, SETTINGS) == 4 and "camera images" not in scene.missing
    capture = capture_of(path, hold_out_every=0)
    assert len(capture.frames) == 12 and len(capture.sweeps) == 4 and capture.metric
    assert capture.camera_names == ("CAM_F0", "CAM_L0", "CAM_R0")
    assert len(capture.agents) == len(scene.tracks.id)
    place = capture.world_from_ego[::3, :2, 3]
    np.testing.assert_allclose(place, scene.ego.xy[::4], atol=1e-9)


def test_a_recorded_scene_may_be_moved(recorded, tmp_path):
    folder, path, _ = recorded
    folder.rename(tmp_path / "elsewhere")
    try:
        assert len(capture_of(tmp_path / "elsewhere" / path.name).frames) == 12
    finally:
        (tmp_path / "elsewhere").rename(folder)


def test_photographs_are_what_the_caster_draws(recorded):
    _, path, caster = recorded
    capture, scene = capture_of(path), read_scene(path)
    truth = {name: image for name, image in zip(scene.cameras.name, images_from(scene, caster, 4), strict=True)}
    for frame in range(3, 6):
        off = photograph(capture.frames, frame).rgb.astype(float) - truth[capture.frames.camera[frame]].rgb
        assert np.abs(off).mean() < 1.5
    aside = images_from(scene, caster, 4, left=1.0)[1].rgb.astype(float) - truth["CAM_F0"].rgb
    assert np.abs(aside).mean() > 3


def test_points_lie_where_the_images_say(recorded):
    """Depth of LiDAR points against the caster's own depth at their pixels, whoever stands or moves there."""
    _, path, caster = recorded
    capture, scene = capture_of(path), read_scene(path)
    for frame in range(3, 6):
        camera = scene.cameras.name.index(capture.frames.camera[frame])
        depth = images_from(scene, caster, 4, channels=("depth",))[camera].depth
        sweep = nearest_sweep(capture, frame)
        assert sweep == 1
        seen = seen_points(capture, sweep, frame)
        u, v = np.round(seen.pixel).astype(int).T
        off = np.abs(seen.depth - depth[v, u]) / seen.depth
        assert len(off) > 500 and np.median(off) < 0.02 and np.quantile(off, 0.9) < 0.15


def test_points_have_the_colours_of_the_street(recorded):
    _, path, _ = recorded
    capture = capture_of(path, hold_out_every=0)
    rgb, known = coloured(capture)
    assert 0.05 < known.mean() < 0.6  # three cameras look ahead, the LiDAR all around
    again, _ = coloured(dataclasses.replace(capture, frames=capture.frames), width=48)
    assert np.abs(rgb[known].astype(float) - again[known]).mean() < 20
    start = start_points(capture)
    assert start.method == "lidar" and len(start.of(-1)) > 1000


def test_a_lacking_camera_is_named(recorded, tmp_path):
    _, path, caster = recorded
    odd = dataclasses.replace(SETTINGS, cameras=("CAM_F0", "CAM_X9"))
    with pytest.raises(BadInput, match="CAM_X9"):
        record(read_scene(path), tmp_path, caster, settings=odd)


def test_a_file_that_is_gone_or_of_another_size_is_named(recorded, tmp_path):
    folder, path, _ = recorded
    scene = read_scene(path)
    lost = dataclasses.replace(scene, sensor_root=str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="missing"):
        capture_of(write_scene(lost, tmp_path))
    rig = dataclasses.replace(scene.cameras, size_px=scene.cameras.size_px + 1)
    root = str((folder / scene.sensor_root).resolve())
    with pytest.raises(BadInput, match="as calibrated"):
        capture_of(write_scene(dataclasses.replace(scene, cameras=rig, sensor_root=root), tmp_path))
    blind = dataclasses.replace(scene, images=dataclasses.replace(scene.sweeps, sensor=("lidar",) * 4))
    with pytest.raises(BadInput, match="of the cameras"):
        capture_of(write_scene(blind, tmp_path))


@pytest.mark.slow
def test_the_town_records_its_drives_when_asked(tmp_path):
    done = asked("town", "--out", tmp_path / "town", "--size", 240, "--drives", 1, "--record", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = told(done.stdout)["scenes"]
    assert row["images"] == 303 and row["sweeps"] == 101 and row["missing"] == []
    assert len(capture_of(tmp_path / "town" / row["file"]).frames) == 303
