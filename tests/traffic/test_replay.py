"""Log replay: the log as it is, and straight on from its end."""

import dataclasses

import numpy as np

from simscale.scene import PACIFICA, CarState
from simscale.traffic.policy import TrafficRules
from simscale.traffic.replay import replay
from worlds import changed, straight_scene


def rolled_from(scene, t0: int, samples: int, *, aside: float = 0.0):
    rows = np.repeat(scene.ego[min(t0, len(scene) - 1)].packed()[None, None], samples, axis=1)
    rows[..., 1] += aside
    traffic = replay(scene, t0, vehicle=PACIFICA, rules=TrafficRules())
    return traffic.roll(traffic.start(), CarState.unpacked(rows))


def test_replay_is_the_log_whatever_the_ego_does():
    scene = straight_scene(boxes=[(20.0, 0.0, 0.0, 8.0), (30.0, 3.5, 0.0, 7.0)])
    for aside in (0.0, 3.0):
        rolled = rolled_from(scene, 10, 30, aside=aside)
        np.testing.assert_array_equal(rolled.tracks.xy[0], scene.tracks.xy[:, 10:40])
        np.testing.assert_array_equal(rolled.tracks.valid[0], scene.tracks.valid[:, 10:40])


def test_a_track_appears_and_ends_as_logged():
    scene = straight_scene(boxes=[(20.0, 0.0, 0.0, 8.0)])
    valid = np.zeros((1, len(scene)), dtype=bool)
    valid[:, 20:30] = True
    scene = changed(scene, tracks=dataclasses.replace(scene.tracks, valid=valid))
    assert rolled_from(scene, 10, 30).tracks.valid[0, 0].nonzero()[0].tolist() == list(range(10, 20))


def test_past_the_log_all_go_straight_on():
    scene = straight_scene(boxes=[(20.0, 0.0, 0.0, 8.0)])
    last = len(scene) - 1
    rolled = rolled_from(scene, last - 2, 13)
    expected = scene.tracks.xy[0, last, 0] + 0.8 * np.arange(11)
    np.testing.assert_allclose(rolled.tracks.xy[0, 0, 2:, 0], expected, atol=1e-9)
    assert rolled.tracks.valid.all()
