"""A minute of reconstruction each: a recorded town, whose truth is known, and photographs of a real street."""

import time
from dataclasses import replace

import numpy as np
import pytest

from simscale.dataset.recording import RecordingSettings, record
from simscale.dataset.renderers import raycast
from simscale.dataset.truth import held_out_instants, moved_aside, reposed, shifted_psnr
from simscale.scene import TrackKind
from simscale.scene.file import write_scene
from simscale.splats.capture_source import capture_of
from simscale.splats.reconstruct import reconstruct
from simscale.splats.renderer import SplatRenderer
from simscale.splats.settings import ReconstructSettings
from simscale.town import TownSettings, scenery_of, town_of
from simscale.town.drive import scenes_of
from simscale.town.scenery_file import write_scenery

pytestmark = pytest.mark.slow

MINUTE = ReconstructSettings(steps=700, width=320, gaussians=120_000)
"""What two cores do in a minute, more or less."""
TOWN = TownSettings(size=300.0, drives=1, duration=10.0)


def test_a_town_is_like_the_truth_beside_the_drive_too(tmp_path):
    town = town_of(5, settings=TOWN)
    write_scenery(scenery_of(town), tmp_path)
    (driven,) = scenes_of(town, settings=TOWN)
    recording = RecordingSettings(size=(MINUTE.width, MINUTE.width * 9 // 16))
    scene = record(driven, tmp_path, raycast(driven, tmp_path, rays=2), settings=recording)
    capture = capture_of(write_scene(scene, tmp_path), hold_out_every=8)
    made = reconstruct(capture, MINUTE, clock=time.perf_counter)
    assert made.score.psnr is not None and made.score.psnr > 24

    truth, mine = raycast(scene, tmp_path, rays=2), SplatRenderer(made.street)
    instants = held_out_instants(scene, capture.frames.timestamp_us[capture.frames.held_out])
    assert len(instants) == 6
    on_the_drive = shifted_psnr(scene, truth, mine, instants, left=0.0)
    assert on_the_drive == pytest.approx(made.score.psnr, abs=1)
    for metres, may_lose in ((1.0, 3.0), (2.0, 4.5), (3.0, 6.0)):
        for side in (1, -1):
            assert shifted_psnr(scene, truth, mine, instants, left=side * metres) > on_the_drive - may_lose

    moved = [one for side in (2.0, -2.0) for one in reposed(scene, truth, mine, instants, aside=side)]
    cars = [one.iou for one in moved if one.kind == TrackKind.VEHICLE]
    assert len(cars) >= 3 and np.mean(cars) >= 0.6


def test_agents_move_to_their_own_left():
    town = town_of(5, settings=replace(TOWN, duration=1.0))
    (scene,) = scenes_of(town, settings=replace(TOWN, duration=1.0))
    tracks = scene.tracks.at(0, 1)
    which = np.arange(len(tracks.id)) % 2 == 0
    shift = (moved_aside(tracks, which, 2.0).xy - tracks.xy)[:, 0]
    ahead = np.stack([np.cos(tracks.yaw[:, 0]), np.sin(tracks.yaw[:, 0])], axis=-1)
    np.testing.assert_allclose((shift * ahead).sum(axis=-1), 0, atol=1e-4)
    np.testing.assert_allclose(ahead[:, 0] * shift[:, 1] - ahead[:, 1] * shift[:, 0], 2.0 * which, atol=1e-4)


@pytest.mark.shared
def test_a_real_street_is_recognised(shared):
    capture = capture_of(shared / "data" / "kitti_odometry_stereo", hold_out_every=5)
    made = reconstruct(capture, replace(MINUTE, width=480), clock=time.perf_counter)
    assert made.score.pictures == 20
    assert made.score.psnr is not None and made.score.psnr > 21
